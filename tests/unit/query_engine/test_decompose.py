"""Cutting dates, instants and ids."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_query_engine.planning import (
    TimeRange,
    cut_range,
    decompose_by_ids,
    decompose_by_row_count,
    decompose_by_time_range,
)

DATES = st.dates(min_value=date(1990, 1, 1), max_value=date(2060, 1, 1))


def test_ninety_days_make_three_chunks_of_a_31_day_grain() -> None:
    # B4.1: 2025-01-01 to 2025-03-31 are 90 days, both ends included.
    assert decompose_by_time_range("2025-01-01", "2025-03-31") == [
        {"chunk_start": "2025-01-01", "chunk_end": "2025-01-31"},
        {"chunk_start": "2025-02-01", "chunk_end": "2025-03-03"},
        {"chunk_start": "2025-03-04", "chunk_end": "2025-03-31"},
    ]


def test_thirty_one_days_make_one_chunk() -> None:
    # B2.1, B4.1
    assert decompose_by_time_range("2025-01-01", "2025-01-31") == [
        {"chunk_start": "2025-01-01", "chunk_end": "2025-01-31"}
    ]


def test_thirty_two_days_make_a_last_chunk_of_one_day() -> None:
    assert decompose_by_time_range("2025-01-01", "2025-02-01")[-1] == {
        "chunk_start": "2025-02-01",
        "chunk_end": "2025-02-01",
    }


def test_the_last_day_of_the_calendar_does_not_overflow() -> None:
    assert decompose_by_time_range("9999-12-31", "9999-12-31", 400)[0]["chunk_end"] == "9999-12-31"


@given(first=DATES, length=st.integers(0, 800), grain=st.integers(1, 400))
def test_chunks_hold_every_day_once_in_order(first: date, length: int, grain: int) -> None:
    # B4.12, B2.12
    chunks = decompose_by_time_range(first, first + timedelta(days=length), grain)
    days = [
        date.fromisoformat(chunk["chunk_start"]) + timedelta(days=offset)
        for chunk in chunks
        for offset in range(
            (date.fromisoformat(chunk["chunk_end"]) - date.fromisoformat(chunk["chunk_start"])).days + 1
        )
    ]
    assert days == [first + timedelta(days=offset) for offset in range(length + 1)]


@pytest.mark.parametrize(
    ("start", "end", "grain"),
    [("2025-02-01", "2025-01-31", 31), ("2025-01-01", "2025-01-31", 0), ("2025-13-01", "2025-01-31", 31)],
    ids=["reversed", "no grain", "no date"],
)
def test_a_range_that_makes_no_sense_is_refused(start: str, end: str, grain: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        decompose_by_time_range(start, end, grain)


@pytest.mark.parametrize(("count", "sizes"), [(2500, [1000, 1000, 500]), (500, [500]), (0, []), (1000, [1000])])
def test_ids_come_in_batches_of_a_thousand(count: int, sizes: list[int]) -> None:
    # B2.2, B4.2
    assert [len(batch) for batch in decompose_by_ids([str(number) for number in range(count)])] == sizes


def test_batches_keep_the_order_of_ids() -> None:
    assert decompose_by_ids(["c", "a", "b"], 2) == [["c", "a"], ["b"]]


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        decompose_by_ids(["a"], 0)


@given(
    start=st.datetimes(datetime(1990, 1, 1), datetime(2050, 1, 1)),
    length=st.timedeltas(timedelta(seconds=1), timedelta(days=900)),
    grain=st.timedeltas(timedelta(hours=7), timedelta(days=90)),
)
def test_cut_ranges_touch_and_together_are_the_whole(start: datetime, length: timedelta, grain: timedelta) -> None:
    pieces = list(cut_range(TimeRange(start, start + length), grain))
    assert (pieces[0].start, pieces[-1].end) == (start, start + length)
    assert all(before.end == after.start for before, after in pairwise(pieces))
    assert max(piece.length for piece in pieces) <= grain


def test_a_range_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="not after"):
        TimeRange(datetime(2025, 1, 1), datetime(2025, 1, 1))


def test_rows_come_in_pages_counted_from_one() -> None:
    assert decompose_by_row_count(5, 2) == [
        {"start_row": 1, "end_row": 2},
        {"start_row": 3, "end_row": 4},
        {"start_row": 5, "end_row": 5},
    ]


@pytest.mark.parametrize(("rows", "pages"), [(0, 0), (1, 1), (50_000, 1), (50_001, 2)])
def test_a_page_holds_fifty_thousand_rows(rows: int, pages: int) -> None:
    assert len(decompose_by_row_count(rows)) == pages


@pytest.mark.parametrize(("rows", "size"), [(-1, 10), (10, 0)])
def test_pages_of_nothing_are_refused(rows: int, size: int) -> None:
    with pytest.raises(ValueError, match="must"):
        decompose_by_row_count(rows, size)


@given(rows=st.integers(0, 5_000), size=st.integers(1, 900))
def test_pages_hold_every_row_once(rows: int, size: int) -> None:
    pages = decompose_by_row_count(rows, size)
    assert [row for page in pages for row in range(page["start_row"], page["end_row"] + 1)] == [*range(1, rows + 1)]
