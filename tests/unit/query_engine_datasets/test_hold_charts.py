"""Pareto, duration and hours of hold history over hand-made rows; expected numbers stand in the tests."""

from __future__ import annotations

import pytest
from sluice_query_engine.dataset import Dataset

from tests.unit.query_engine_datasets.hold_frames import hand_made, hold


def test_reasons_come_by_quantity_and_then_by_name(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold("1", "03-10 09:00", lot_id="A", hold_reason="Wire sweep", qty=50),
            hold("2", "03-10 09:00", lot_id="B", hold_reason="Mold void", qty=50),
            hold("3", "03-10 09:00", lot_id="C", hold_reason="Low yield", qty=60),
            hold("4", "03-10 09:00", lot_id="D", hold_reason="Low yield", qty=40),
        ],
    )
    assert frame.rows("reason_pareto") == [
        {"reason": "Low yield", "hold_count": 2, "qty": 100, "pct": 50.0, "cum_pct": 50.0},
        {"reason": "Mold void", "hold_count": 1, "qty": 50, "pct": 25.0, "cum_pct": 75.0},
        {"reason": "Wire sweep", "hold_count": 1, "qty": 50, "pct": 25.0, "cum_pct": 100.0},
    ]


def test_the_running_share_ends_at_100_where_rounded_shares_do_not(dataset: Dataset) -> None:
    frame = hand_made(
        dataset, [hold(str(number), "03-10 09:00", lot_id=str(number), hold_reason=f"R{number}") for number in range(3)]
    )
    rows = frame.rows("reason_pareto")
    assert [row["pct"] for row in rows] == [33.33, 33.33, 33.33]
    assert [row["cum_pct"] for row in rows] == [33.33, 66.67, 100.0]


def test_shares_are_rounded_half_up(dataset: Dataset) -> None:
    # 1 of 800 is 0.125 %.
    frame = hand_made(
        dataset,
        [
            hold("1", "03-10 09:00", lot_id="A", hold_reason="R1", qty=799),
            hold("2", "03-10 09:00", lot_id="B", hold_reason="R2", qty=1),
        ],
    )
    assert [row["pct"] for row in frame.rows("reason_pareto")] == [99.88, 0.13]


def test_shares_of_nothing_are_zero(dataset: Dataset) -> None:
    frame = hand_made(dataset, [hold("1", "03-10 09:00", qty=0)])
    assert frame.rows("reason_pareto") == [
        {"reason": "Die crack", "hold_count": 1, "qty": 0, "pct": 0.0, "cum_pct": 0.0}
    ]


def test_a_missing_reason_is_shown_as_not_filled_and_found_by_that_name(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [hold("1", "03-10 09:00", lot_id="A", hold_reason=None), hold("2", "03-10 09:00", lot_id="B")],
    )
    assert {row["reason"] for row in frame.rows("reason_pareto")} == {"(not filled)", "Die crack"}
    assert frame.ids({"reason": "(not filled)"}) == "A"


def test_no_rows_make_no_reasons(dataset: Dataset) -> None:
    assert hand_made(dataset, []).rows("reason_pareto") == []


@pytest.mark.parametrize(
    ("released", "duration_range"),
    [
        ("03-10 08:00:00", "<4h"),
        ("03-10 11:59:59", "<4h"),
        ("03-10 12:00:00", "4-24h"),
        ("03-11 07:59:59", "4-24h"),
        ("03-11 08:00:00", "1-3d"),
        ("03-13 07:59:59", "1-3d"),
        ("03-13 08:00:00", ">3d"),
    ],
)
def test_a_duration_on_an_edge_belongs_to_the_longer_range(
    dataset: Dataset, released: str, duration_range: str
) -> None:
    frame = hand_made(dataset, [hold("1", "03-10 08:00:00", released)])
    rows = frame.rows("duration")
    assert [row["duration_range"] for row in rows if row["hold_count"]] == [duration_range]
    assert frame.count("list", {"duration_range": duration_range}) == 1


def test_duration_has_four_ranges_and_counts_released_holds_only(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold("1", "03-10 08:00", "03-10 09:00", lot_id="A", qty=30),
            hold("2", "03-10 08:00", "03-10 10:00", lot_id="B", qty=10),
            hold("3", "03-10 08:00", "03-14 10:00", lot_id="C", qty=20),
            hold("4", "03-10 08:00", None, lot_id="D", qty=1000),
        ],
    )
    assert frame.rows("duration") == [
        {"duration_range": "<4h", "hold_count": 2, "qty": 40, "pct": 66.67},
        {"duration_range": "4-24h", "hold_count": 0, "qty": 0, "pct": 0.0},
        {"duration_range": "1-3d", "hold_count": 0, "qty": 0, "pct": 0.0},
        {"duration_range": ">3d", "hold_count": 1, "qty": 20, "pct": 33.33},
    ]


def test_duration_of_nothing_is_four_zeros(dataset: Dataset) -> None:
    rows = hand_made(dataset, []).rows("duration")
    assert [(row["hold_count"], row["qty"], row["pct"]) for row in rows] == [(0, 0, 0.0)] * 4


def test_hours_keep_released_and_open_holds_apart(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold("1", "03-10 08:00", "03-10 09:00", lot_id="A", qty=1),
            hold("2", "03-10 08:00", "03-10 10:30", lot_id="B", qty=999),
            hold("3", "03-10 12:00", None, lot_id="C"),
        ],
        as_of="03-20 12:20",
    )
    assert frame.rows("hours") == [
        {
            "avg_released_hours": 1.75,
            "max_released_hours": 2.5,
            "avg_on_hold_hours": 240.33,
            "max_on_hold_hours": 240.33,
        }
    ]


def test_hours_of_nothing_are_zero(dataset: Dataset) -> None:
    assert list(hand_made(dataset, []).rows("hours")[0].values()) == [0.0, 0.0, 0.0, 0.0]


def test_hours_are_rounded_half_up(dataset: Dataset) -> None:
    # 18 seconds are 0.005 hours, 3618 seconds 1.005, which no binary fraction holds.
    frame = hand_made(dataset, [hold("1", "03-10 08:00:00", "03-10 09:00:18")])
    assert frame.rows("hours")[0]["max_released_hours"] == 1.01
    assert frame.rows("list")[0]["hold_hours"] == 1.01


def test_open_holds_have_hours_up_to_the_moment_of_the_query(dataset: Dataset) -> None:
    frame = hand_made(dataset, [hold("1", "03-10 08:00")], as_of="03-10 12:00")
    assert frame.ids({"duration_range": "4-24h"}) == "A"
    assert frame.ids({"duration_range": "<4h"}) == ""
