"""Rows that a choice of texts leaves alone: a mask of reasons takes none of the lots out of a denominator."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.view import MatchFilter

from tests.unit.query_engine_datasets.hold_frames import HoldFrame, hand_made, hold

EVERYTHING = {"hold_type": "all", "record_type": ["new", "on_hold", "released"]}


@pytest.fixture(scope="module")
def frame(dataset: Dataset) -> HoldFrame:
    """Lots A to C, of which B is kept whatever reason is chosen."""
    filters = tuple(
        replace(item, keeps="lot_id = 'B'") if isinstance(item, MatchFilter) and item.name == "reason" else item
        for item in dataset.filters
    )
    rows = [
        hold("1", "03-10 08:00", lot_id="A", hold_reason="Die crack"),
        hold("2", "03-10 08:00", lot_id="B", hold_reason=None),
        hold("3", "03-10 08:00", lot_id="C", hold_reason="Low yield"),
    ]
    return hand_made(replace(dataset, filters=filters), rows)


@pytest.mark.parametrize(
    ("reason", "lots"),
    [("Die crack", "AB"), ({"exclude": ["Die crack", None]}, "BC"), ("No such reason", "B"), (None, "ABC")],
)
def test_kept_rows_pass_whatever_is_chosen(frame: HoldFrame, reason: object, lots: str) -> None:
    assert frame.ids({**EVERYTHING, "reason": reason}) == lots


def test_kept_rows_are_no_option(frame: HoldFrame) -> None:
    assert frame.options(EVERYTHING)["reason"] == [("Die crack", 1), ("Low yield", 1)]
