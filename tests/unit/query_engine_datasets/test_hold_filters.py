"""Which filter of hold history touches which view, and what it keeps: one test per cell of the matrix."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sluice_query_engine.dataset import Dataset

from tests.unit.query_engine_datasets.hold_frames import HoldFrame, hand_made, hold

WHOLE = {"hold_type": "all", "record_type": ["new", "on_hold", "released"]}
"""A selection that keeps every row."""

NARROW: Mapping[str, object] = {
    "hold_type": "non-quality",
    "record_type": ["on_hold"],
    "reason": "Wire sweep",
    "duration_range": "<4h",
    "day_filter": "2025-03-12:release",
}
"""For each filter a value that keeps fewer rows than WHOLE does."""

TOUCHED = {
    "trend": set[str](),
    "reason_pareto": {"hold_type", "record_type", "duration_range", "day_filter"},
    "duration": {"hold_type", "record_type", "reason"},
    "hours": {"hold_type", "record_type", "reason"},
    "list": {"hold_type", "record_type", "reason", "duration_range", "day_filter"},
}


@pytest.fixture(scope="module")
def frame(dataset: Dataset) -> HoldFrame:
    """Six lots, one hold each: carried, new, open and released ones of both types."""
    return hand_made(
        dataset,
        [
            hold("1", "03-10 08:00", "03-10 09:00", lot_id="A", qty=1),
            hold("2", "03-10 08:00", "03-12 06:00", lot_id="B", qty=2, hold_reason="Wire sweep"),
            hold("3", "03-11 08:00", None, lot_id="C", qty=4),
            hold("4", "03-11 08:00", "03-11 20:00", lot_id="D", qty=8, hold_reason="Process trial"),
        ],
        [
            hold("5", "01-11 08:00", None, lot_id="E", qty=16, hold_reason="Process trial"),
            hold("6", "01-11 08:00", "03-12 07:00", lot_id="F", qty=32, hold_reason=None),
        ],
    )


@pytest.mark.parametrize(("view", "name"), [(view, name) for view in TOUCHED for name in NARROW])
def test_a_filter_touches_exactly_the_views_that_declare_it(frame: HoldFrame, view: str, name: str) -> None:
    changed = frame.rows(view, {**WHOLE, name: NARROW[name]}) != frame.rows(view, WHOLE)
    assert changed == (name in TOUCHED[view])


@pytest.mark.parametrize(
    ("filters", "lots"),
    [
        ({}, "ABC"),
        ({"hold_type": "quality"}, "ABC"),
        ({"hold_type": "non-quality"}, "D"),
        ({"hold_type": "all"}, "ABCD"),
        ({"hold_type": None, "record_type": None}, "ABC"),
        (WHOLE, "ABCDEF"),
        ({"hold_type": "all", "record_type": ["on_hold"]}, "CE"),
        ({"hold_type": "all", "record_type": ["released"]}, "ABDF"),
        ({"hold_type": "all", "record_type": ["new", "on_hold"]}, "ABCDE"),
        ({"hold_type": "all", "record_type": "new, on_hold"}, "ABCDE"),
        ({**WHOLE, "duration_range": "<4h"}, "A"),
        ({**WHOLE, "duration_range": "4-24h"}, "D"),
        ({**WHOLE, "duration_range": "1-3d"}, "B"),
        ({**WHOLE, "duration_range": ">3d"}, "CEF"),
        ({**WHOLE, "day_filter": "2025-03-11:new"}, "AB"),
        ({**WHOLE, "day_filter": "2025-03-12:release"}, "BDF"),
        ({**WHOLE, "day_filter": "2025-03-10:new"}, ""),
        ({**WHOLE, "reason": "Die crack"}, "AC"),
        ({**WHOLE, "reason": "  Die crack "}, "AC"),
        ({**WHOLE, "reason": "die crack"}, ""),
        ({**WHOLE, "reason": ["Die crack", "Wire sweep"]}, "ABC"),
        ({**WHOLE, "reason": {"include": ["Wire sweep", None]}}, "BF"),
        ({**WHOLE, "reason": {"include": ["(not filled)"]}}, "F"),
        ({**WHOLE, "reason": {"exclude": ["Die crack"]}}, "BDEF"),
        ({**WHOLE, "reason": {"exclude": [None]}}, "ABCDE"),
        ({**WHOLE, "reason": {"exclude": ["(not filled)", "Process trial"]}}, "ABC"),
        ({**WHOLE, "reason": {"include": ["Die crack", "Wire sweep"], "exclude": ["Wire sweep"]}}, "AC"),
        ({**WHOLE, "reason": {"include": [], "exclude": []}}, "ABCDEF"),
        ({**WHOLE, "reason": "' or 1=1 --"}, ""),
    ],
)
def test_the_list_keeps_exactly_these_lots(frame: HoldFrame, filters: Mapping[str, object], lots: str) -> None:
    assert frame.ids(filters) == lots
    assert frame.count("list", filters) == len(lots)


def test_a_day_of_new_holds_keeps_the_last_hold_of_each_lot(dataset: Dataset) -> None:
    frame = hand_made(dataset, [hold("1", "03-10 09:00", qty=7), hold("2", "03-10 11:00", qty=60)])
    assert [row["qty"] for row in frame.rows("list", {"day_filter": "2025-03-11:new"})] == [60]


@pytest.mark.parametrize(("view", "lots"), [("new", "A"), ("release", "A")])
def test_a_clicked_day_adds_up_to_its_bar(dataset: Dataset, view: str, lots: str) -> None:
    frame = hand_made(
        dataset,
        [hold("1", "03-10 09:00", "03-10 12:00", qty=7), hold("2", "03-11 11:00", "03-11 12:00", qty=60, lot_id="B")],
    )
    bar = {"new": "new_hold_qty", "release": "release_qty"}[view]
    shown = [row[bar] for row in frame.rows("trend") if (row["day"].day, row["hold_type"]) == (11, "all")]
    listed = frame.rows("list", {**WHOLE, "day_filter": f"2025-03-11:{view}"})
    assert shown == [sum(row["qty"] for row in listed)] == [7]
    assert "".join(row["lot_id"] for row in listed) == lots


def test_options_of_a_filter_ignore_the_filter_itself(frame: HoldFrame) -> None:
    options = frame.options({**WHOLE, "hold_type": "non-quality", "reason": "Process trial"})
    assert options["hold_type"] == [("all", 2), ("non-quality", 2), ("quality", 0)]
    assert options["reason"] == [("Process trial", 2)]


def test_options_name_a_missing_reason_by_its_label_and_come_most_rows_first(frame: HoldFrame) -> None:
    assert frame.options(WHOLE)["reason"] == [
        ("Die crack", 2),
        ("Process trial", 2),
        ("(not filled)", 1),
        ("Wire sweep", 1),
    ]


def test_options_of_a_set_count_each_value_alone(frame: HoldFrame) -> None:
    assert frame.options(WHOLE)["record_type"] == [("new", 4), ("released", 4), ("on_hold", 2)]


def test_options_exist_for_every_filter_with_a_list_of_values(frame: HoldFrame) -> None:
    assert list(frame.options()) == ["hold_type", "record_type", "reason", "duration_range"]
