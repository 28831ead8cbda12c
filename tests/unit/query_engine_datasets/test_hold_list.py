"""The list of hold history: its columns, order, pages and export, over hand-made rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sluice_query_engine.dataset import Dataset

from tests.unit.query_engine_datasets.hold_frames import HoldFrame, hand_made, hold

COLUMNS = [
    "lot_id",
    "workorder",
    "product",
    "package",
    "workcenter",
    "hold_reason",
    "qty",
    "hold_time",
    "hold_employee",
    "hold_comment",
    "release_time",
    "release_employee",
    "release_comment",
    "hold_hours",
    "ncr",
    "future_hold_comment",
]


def lots(frame: HoldFrame, **order: Any) -> str:
    """Return the lots of the first page in their order."""
    return "".join(row["lot_id"] for row in frame.rows("list", {"hold_type": "all"}, **order))


def test_a_row_shows_what_was_recorded(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold(
                "1",
                "03-10 08:00",
                "03-10 09:20",
                workorder="GA001",
                product="P1",
                package="SOT-23",
                workcenter="GOLD_WB",
                hold_employee="Ada",
                hold_comment='Line 3, "urgent"; ask',
                release_employee="Bo",
                release_comment="Counted",
                ncr="NCR-1",
                future_hold_comment="保留待確認",
            )
        ],
        groups={"GOLD_WB": "Wire Bond"},
    )
    [row] = frame.rows("list")
    assert list(row) == COLUMNS
    assert list(row.values()) == [
        "A",
        "GA001",
        "P1",
        "SOT-23",
        "Wire Bond",
        "Die crack",
        100,
        datetime(2025, 3, 10, 8),
        "Ada",
        'Line 3, "urgent"; ask',
        datetime(2025, 3, 10, 9, 20),
        "Bo",
        "Counted",
        1.33,
        "NCR-1",
        "保留待確認",
    ]


def test_every_column_is_a_sort_key(dataset: Dataset) -> None:
    view = dataset.view("list")
    assert view is not None
    assert {key.name for key in view.sort_keys} == set(COLUMNS)


def test_the_latest_hold_comes_first_and_ties_fall_to_lot_and_key(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold("4", "03-10 09:00", lot_id="C", qty=4),
            hold("3", "03-10 09:00", lot_id="B", qty=3),
            hold("2", "03-10 09:00", lot_id="B", qty=2),
            hold("1", "03-10 08:00", lot_id="A", qty=1),
        ],
    )
    assert [row["qty"] for row in frame.rows("list")] == [2, 3, 4, 1]


@pytest.mark.parametrize(("descending", "expected"), [(None, "BAC"), (False, "BAC"), (True, "ABC")])
def test_missing_values_come_last_in_either_direction(dataset: Dataset, descending: bool | None, expected: str) -> None:
    frame = hand_made(
        dataset,
        [
            hold("1", "03-10 09:00", lot_id="A", ncr="NCR-2"),
            hold("2", "03-10 09:00", lot_id="B", ncr="NCR-1"),
            hold("3", "03-10 09:00", lot_id="C", ncr=None),
        ],
    )
    assert lots(frame, sort="ncr", descending=descending) == expected


def test_open_holds_come_last_when_sorted_by_release(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold("1", "03-10 09:00", None, lot_id="A"),
            hold("2", "03-10 09:00", "03-10 12:00", lot_id="B"),
            hold("3", "03-10 09:00", "03-11 12:00", lot_id="C"),
        ],
    )
    assert lots(frame, sort="release_time") == "CBA"
    assert lots(frame, sort="release_time", descending=False) == "BCA"


def test_work_centres_sort_as_they_are_shown(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold("1", "03-10 09:00", lot_id="A", workcenter="A_RAW"),
            hold("2", "03-10 09:00", lot_id="B", workcenter="Z_RAW"),
            hold("3", "03-10 09:00", lot_id="C", workcenter="N_ALONE"),
        ],
        groups={"A_RAW": "Testing", "Z_RAW": "Die Bond"},
    )
    assert [row["workcenter"] for row in frame.rows("list", sort="workcenter")] == ["Die Bond", "N_ALONE", "Testing"]


@pytest.fixture(scope="module")
def seven(dataset: Dataset) -> HoldFrame:
    """Seven lots, A held last."""
    return hand_made(dataset, [hold(lot, f"03-10 0{9 - at}:00", lot_id=lot) for at, lot in enumerate("ABCDEFG")])


@pytest.mark.parametrize(
    ("page", "expected"), [(0, "ABC"), (1, "ABC"), (2, "DEF"), (3, "G"), (4, "G"), (2_000_000_000, "G")]
)
def test_a_page_beyond_the_last_is_the_last(seven: HoldFrame, page: int, expected: str) -> None:
    assert lots(seven, page=page, page_size=3) == expected


def test_no_rows_are_one_empty_page(dataset: Dataset) -> None:
    assert hand_made(dataset, []).rows("list", page=9) == []


def test_pages_laid_end_to_end_are_the_export(seven: HoldFrame) -> None:
    order: dict[str, Any] = {"sort": "qty", "descending": True}
    pages = [row for page in (1, 2, 3) for row in seven.rows("list", page=page, page_size=3, **order)]
    assert pages == seven.exported(**order)
    assert len(pages) == 7


def test_the_export_obeys_the_filters_of_the_list(seven: HoldFrame) -> None:
    assert seven.exported({"hold_type": "non-quality"}) == []
    assert seven.exported({"reason": "Die crack"}) == seven.rows("list")
