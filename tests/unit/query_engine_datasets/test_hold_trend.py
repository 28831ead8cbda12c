"""The trend of hold history over hand-made rows; expected pieces stand in the tests."""

from __future__ import annotations

from datetime import date, datetime

from sluice_query_engine.dataset import Dataset

from tests.unit.query_engine_datasets.hold_frames import HoldFrame, hand_made, hold


def series(frame: HoldFrame, measure: str, hold_type: str = "quality") -> list[int]:
    """Return one measure of one hold type, day by day."""
    return [row[measure] for row in frame.rows("trend") if row["hold_type"] == hold_type]


def test_every_day_has_three_types_in_order_even_without_rows(dataset: Dataset) -> None:
    rows = hand_made(dataset, []).rows("trend")
    assert [(row["day"].day, row["hold_type"]) for row in rows] == [
        (10, "quality"),
        (10, "non-quality"),
        (10, "all"),
        (11, "quality"),
        (11, "non-quality"),
        (11, "all"),
        (12, "quality"),
        (12, "non-quality"),
        (12, "all"),
    ]
    assert {value for row in rows for value in (row["hold_qty"], row["new_hold_qty"], row["release_qty"])} == {0}


def test_a_leap_day_is_a_day(dataset: Dataset) -> None:
    frame = HoldFrame(
        dataset,
        {},
        date(2024, 2, 28),
        date(2024, 3, 1),
        datetime(2024, 3, 1, 8),
        {item.name: item.schema.empty_table() for item in dataset.references},
    )
    assert [row["day"].isoformat() for row in frame.rows("trend")[::3]] == ["2024-02-28", "2024-02-29", "2024-03-01"]


def test_seven_thirty_opens_the_next_day_for_holds(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [hold("1", "03-10 07:29:59", lot_id="A", qty=1), hold("2", "03-10 07:30:00", lot_id="B", qty=20)],
    )
    assert series(frame, "new_hold_qty") == [1, 20, 0]
    assert series(frame, "hold_qty") == [1, 21, 21]


def test_seven_thirty_opens_the_next_day_for_releases(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold("1", "03-09 08:00", "03-10 07:29:59", lot_id="A", qty=1),
            hold("2", "03-09 08:00", "03-10 07:30:00", lot_id="B", qty=20),
        ],
    )
    assert series(frame, "release_qty") == [1, 20, 0]
    assert series(frame, "hold_qty") == [20, 0, 0]


def test_the_edges_of_the_range_are_half_open(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold("1", "03-09 07:30:00", lot_id="A", qty=1),
            hold("2", "03-12 07:29:59", lot_id="B", qty=20),
            hold("3", "03-12 07:30:00", lot_id="C", qty=300),
        ],
        [
            hold("4", "03-09 07:29:59", lot_id="D", qty=4000),
            hold("5", "03-01 08:00", "03-09 07:29:59", lot_id="E", qty=50000),
            hold("6", "03-01 08:00", "03-09 07:30:00", lot_id="F", qty=600000),
        ],
    )
    assert series(frame, "new_hold_qty") == [1, 0, 20]
    assert series(frame, "release_qty") == [600000, 0, 0]
    assert series(frame, "hold_qty") == [4001, 4001, 4021]


def test_a_carried_hold_counts_every_day_until_its_release(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [],
        [hold("1", "01-05 09:00", "03-11 06:00", qty=70), hold("2", "02-05 09:00", None, lot_id="B", qty=5)],
    )
    assert series(frame, "hold_qty") == [75, 5, 5]
    assert series(frame, "new_hold_qty") == [0, 0, 0]
    assert series(frame, "release_qty") == [0, 70, 0]


def test_a_hold_released_after_the_range_stays_in_the_balance(dataset: Dataset) -> None:
    frame = hand_made(dataset, [hold("1", "03-10 09:00", "03-25 09:00", qty=8)])
    assert series(frame, "hold_qty") == [0, 8, 8]
    assert series(frame, "release_qty") == [0, 0, 0]


def test_a_hold_released_on_its_own_day_never_enters_the_balance(dataset: Dataset) -> None:
    frame = hand_made(dataset, [hold("1", "03-10 09:00", "03-10 10:00", qty=8)])
    assert series(frame, "hold_qty") == [0, 0, 0]
    assert series(frame, "new_hold_qty") == [0, 8, 0]
    assert series(frame, "release_qty") == [0, 8, 0]


def test_a_release_booked_before_its_hold_never_makes_the_balance_negative(dataset: Dataset) -> None:
    frame = hand_made(dataset, [hold("1", "03-11 09:00", "03-09 10:00", qty=8)])
    assert series(frame, "hold_qty") == [0, 0, 0]
    assert series(frame, "release_qty") == [8, 0, 0]


def test_of_two_holds_of_a_lot_on_one_day_only_the_last_is_new_but_both_are_on_hold(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [hold("1", "03-10 09:00", qty=7), hold("2", "03-10 11:00", hold_reason="Wire sweep", qty=60)],
    )
    assert series(frame, "new_hold_qty") == [0, 60, 0]
    assert series(frame, "hold_qty") == [0, 67, 67]


def test_two_holds_in_one_second_are_told_apart_by_their_key(dataset: Dataset) -> None:
    frame = hand_made(dataset, [hold("2", "03-10 09:00", qty=60), hold("1", "03-10 09:00", qty=7)])
    assert [(row["history_id"], row["rn_hold_day"], row["rn_reason"]) for row in frame.holds()] == [
        ("1", 2, 1),
        ("2", 1, 2),
    ]
    assert series(frame, "new_hold_qty") == [0, 60, 0]


def test_repeats_are_counted_by_reason_key_and_for_quality_only(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold("1", "03-09 09:00", "03-09 10:00", hold_reason="Bond lift", hold_reason_id="k1", qty=1),
            hold("2", "03-10 09:00", "03-10 10:00", hold_reason="Bond lift", hold_reason_id="k2", qty=20),
            hold("3", "03-11 09:00", "03-11 10:00", hold_reason="Bond lift again", hold_reason_id="k1", qty=300),
            hold("4", "03-09 09:00", "03-09 10:00", lot_id="B", hold_reason="Process trial", qty=4000),
            hold("5", "03-11 09:00", "03-11 10:00", lot_id="B", hold_reason="Process trial", qty=50000),
        ],
    )
    assert series(frame, "repeat_quality_hold_qty") == [0, 0, 300]
    assert series(frame, "repeat_quality_hold_qty", "non-quality") == [0, 0, 0]
    assert series(frame, "repeat_quality_hold_qty", "all") == [0, 0, 300]


def test_a_carried_hold_makes_the_next_one_for_its_reason_a_repeat(dataset: Dataset) -> None:
    frame = hand_made(dataset, [hold("2", "03-10 09:00", qty=3)], [hold("1", "01-10 09:00", qty=40)])
    assert series(frame, "repeat_quality_hold_qty") == [0, 3, 0]


def test_a_future_hold_counts_the_first_hold_for_a_reason_with_a_comment(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold("1", "03-10 09:00", "03-10 10:00", qty=1, future_hold_comment="Stop before test"),
            hold("2", "03-11 09:00", "03-11 10:00", qty=20, future_hold_comment="Stop before test"),
            hold("3", "03-11 09:00", "03-11 10:00", lot_id="B", qty=300),
        ],
    )
    assert series(frame, "future_hold_qty") == [0, 1, 0]
    assert series(frame, "repeat_quality_hold_qty") == [0, 0, 20]


def test_all_is_the_sum_of_both_types_and_a_missing_reason_is_quality(dataset: Dataset) -> None:
    frame = hand_made(
        dataset,
        [
            hold("1", "03-10 09:00", lot_id="A", qty=1, hold_reason=None),
            hold("2", "03-10 09:00", lot_id="B", qty=20, hold_reason="Process trial"),
            hold("3", "03-10 09:00", lot_id="C", qty=300, hold_reason="process trial"),
        ],
    )
    assert series(frame, "new_hold_qty", "quality") == [0, 301, 0]
    assert series(frame, "new_hold_qty", "non-quality") == [0, 20, 0]
    assert series(frame, "new_hold_qty", "all") == [0, 321, 0]


def test_the_balance_goes_on_over_days_that_are_still_to_come(dataset: Dataset) -> None:
    frame = hand_made(dataset, [hold("1", "03-10 09:00", qty=9)], end="03-14", as_of="03-10 12:00")
    assert series(frame, "hold_qty") == [0, 9, 9, 9, 9]


def test_no_filter_touches_the_trend(dataset: Dataset) -> None:
    frame = hand_made(
        dataset, [hold("1", "03-10 09:00"), hold("2", "03-10 09:00", lot_id="B", hold_reason="Process trial")]
    )
    narrowed = {"hold_type": "non-quality", "record_type": ["released"], "reason": "x", "duration_range": ">3d"}
    assert frame.rows("trend", narrowed) == frame.rows("trend")
