"""Cuts dates, instants, id lists and numbered rows into pieces; whether to cut at all is the planner's decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from sluice_query_engine.planning.time_range import TimeRange


def decompose_by_time_range(start_date: str | date, end_date: str | date, grain_days: int = 31) -> list[dict[str, str]]:
    """Return consecutive `{"chunk_start", "chunk_end"}` that cover every day once, both ends included, as ISO dates.

    Each chunk holds `grain_days` days and the next starts the day after; the last may be shorter.

    Raises:
        ValueError: the start is after the end, a date does not parse, or the grain is below one day.
    """
    first, last = _date(start_date), _date(end_date)
    if first > last:
        raise ValueError(f"start_date {first} is after end_date {last}")
    if grain_days < 1:
        raise ValueError(f"grain_days must be at least 1, not {grain_days}")
    chunks = []
    while first <= last:
        # Counted in days left, so that a range up to the last day of the calendar does not overflow.
        end = first + timedelta(days=min(grain_days - 1, (last - first).days))
        chunks.append({"chunk_start": first.isoformat(), "chunk_end": end.isoformat()})
        if end == last:
            break
        first = end + timedelta(days=1)
    return chunks


def decompose_by_ids(ids: Sequence[str], batch_size: int = 1000) -> list[list[str]]:
    """Return the ids in order, in lists of `batch_size`; the last may be shorter, and no ids give no list.

    Raises:
        ValueError: the batch size is below one.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    return [list(ids[start : start + batch_size]) for start in range(0, len(ids), batch_size)]


def decompose_by_row_count(total_rows: int, rows_per_chunk: int = 50_000) -> list[dict[str, int]]:
    """Return consecutive `{"start_row", "end_row"}`, both included and counted from 1; no rows give no chunk.

    The rows are those of one order, which must be total: with ties a row may stand on two pages or on none. They are
    counted by a statement of the same unit as the pages, or some are never read.

    Raises:
        ValueError: the total is negative, or the chunks hold less than one row.
    """
    if total_rows < 0:
        raise ValueError(f"total_rows must not be negative, not {total_rows}")
    if rows_per_chunk < 1:
        raise ValueError(f"rows_per_chunk must be at least 1, not {rows_per_chunk}")
    return [
        {"start_row": first, "end_row": min(first + rows_per_chunk - 1, total_rows)}
        for first in range(1, total_rows + 1, rows_per_chunk)
    ]


def cut_range(whole: TimeRange, grain: timedelta) -> Iterator[TimeRange]:
    """Yield consecutive ranges that cover `whole` exactly, none longer than `grain`.

    Each starts where the one before ends; the last may be shorter.

    Raises:
        ValueError: the grain is not positive.
    """
    if grain <= timedelta(0):
        raise ValueError("the grain must be positive")
    start = whole.start
    while start < whole.end:
        end = start + grain if grain < whole.end - start else whole.end
        yield TimeRange(start, end)
        start = end


def _date(value: str | date) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value
