"""Pages of a total order while rows come and go: what changed since the count is seen, and never lost in silence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_query_engine.errors import RowsMoved
from sluice_query_engine.execution.row_pages import PagedReading
from sluice_warehouse.errors import StatementCancelled

SCHEMA = pa.schema([("key", pa.int64())])


class ListReading:
    """The rows of one page."""

    schema = SCHEMA
    end_confirmed = True

    def __init__(self, keys: list[int]) -> None:
        self._keys = keys
        self.row_count = len(keys)
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def close(self) -> None:
        return

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from pa.table({"key": pa.array(self._keys, pa.int64())}).to_batches(max_chunksize=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


class Plant:
    """Rows by key, numbered anew for every page; `then` changes them once so many pages were read."""

    def __init__(self, keys: list[int]) -> None:
        self.keys = keys
        self.then: dict[int, list[int]] = {}
        self.opened: list[tuple[int, int]] = []

    @contextmanager
    def page(self, first: int, last: int) -> Iterator[ListReading]:
        self.keys = self.then.get(len(self.opened), self.keys)
        self.opened.append((first, last))
        yield ListReading(sorted(self.keys)[first - 1 : last])

    def reading(self, page_row_count: int, most: int = 1000) -> PagedReading:
        return PagedReading(
            "slice", self.page, ["key"], total_count=len(self.keys), page_row_count=page_row_count, most=most
        )


def keys(reading: PagedReading) -> list[int]:
    return [int(key) for batch in reading for key in batch.column("key").to_pylist()]


@given(total=st.integers(0, 40), page_row_count=st.integers(1, 41))
def test_pages_laid_end_to_end_hold_every_row_once(total: int, page_row_count: int) -> None:
    assert keys(Plant(list(range(total))).reading(page_row_count)) == list(range(total))


@given(
    total=st.integers(2, 30),
    page_row_count=st.integers(1, 10),
    after=st.integers(1, 4),
    come=st.sets(st.integers(-50, 50), max_size=4),
    gone=st.sets(st.integers(0, 29), max_size=4),
)
def test_another_row_count_between_the_count_and_the_last_page_is_seen(
    total: int, page_row_count: int, after: int, come: set[int], gone: set[int]
) -> None:
    plant = Plant(list(range(total)))
    plant.then = {after: sorted({*range(total), *come} - gone)}
    reading = plant.reading(page_row_count)
    changed = len(plant.then[after]) != total and -(-total // page_row_count) > after
    try:
        found = keys(reading)
    except RowsMoved:
        found = None
    assert found is None if changed else found is None or len(set(found)) == len(found) == total


def test_a_row_that_came_after_the_count_is_seen_by_the_last_page() -> None:
    plant = Plant([1, 2, 3, 4])
    plant.then = {1: [1, 2, 3, 4, 5]}
    with pytest.raises(RowsMoved, match="4 had been counted"):
        keys(plant.reading(2))


def test_a_row_that_went_is_seen_by_the_page_that_is_short() -> None:
    plant = Plant([1, 2, 3, 4])
    plant.then = {1: [1, 3, 4]}
    with pytest.raises(RowsMoved):
        keys(plant.reading(2))


def test_a_row_that_stands_on_two_pages_is_seen_though_the_count_is_right() -> None:
    plant = Plant([1, 2, 3, 4])
    plant.then = {1: [0, 1, 2, 3]}
    with pytest.raises(RowsMoved):
        keys(plant.reading(2))


def test_pages_beyond_the_row_limit_are_not_read() -> None:
    plant = Plant(list(range(100)))
    assert keys(plant.reading(10, most=26)) == list(range(26))
    assert plant.opened == [(1, 10), (11, 20), (21, 26)]


def test_what_is_withdrawn_between_two_pages_begins_no_other() -> None:
    plant = Plant(list(range(10)))
    reading = plant.reading(5)
    batches = iter(reading)
    next(batches)
    reading.cancel()
    with pytest.raises(StatementCancelled):
        list(batches)
    assert len(plant.opened) <= 2
