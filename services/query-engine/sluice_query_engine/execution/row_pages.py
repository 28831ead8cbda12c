"""Reads a chunk page by page in a total order, each page a statement of its own; what rows are worth is not known here.

The chunk stays the unit of the cache: pages of one count do not fit the pages of another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final

import pyarrow as pa
from sluice_warehouse import Reading
from sluice_warehouse.errors import StatementCancelled

from sluice_query_engine.errors import RowsMoved
from sluice_query_engine.planning.decompose import decompose_by_row_count

COUNT_SCHEMA: Final = pa.schema([pa.field("row_count", pa.int64(), nullable=False)])
"""What a counting statement yields: one row."""

OpenPage = Callable[[int, int], AbstractContextManager[Reading]]
"""Runs the statement of the page between two places, both included and counted from 1."""


def counted(reading: Reading) -> int:
    """Return the number that a counting statement yields."""
    return sum(int(value) for batch in reading for value in batch.column("row_count").to_pylist())


class PagedReading:
    """The rows of a chunk in their order, from the first page to the last; at most one statement runs at a time.

    Args:
        part: whose rows, for errors.
        open_page: runs a page.
        order_key: columns of the order, which is total.
        total_count: rows that were counted.
        page_row_count: rows of a page.
        most: rows after which nobody reads on, should there be so many.
    """

    def __init__(
        self,
        part: str,
        open_page: OpenPage,
        order_key: Sequence[str],
        *,
        total_count: int,
        page_row_count: int,
        most: int,
    ) -> None:
        self._part = part
        self._open_page = open_page
        self._order_key = order_key
        self._total_count = total_count
        self._pages = decompose_by_row_count(min(total_count, most), page_row_count)
        self._running: Reading | None = None
        self._cancelled = False
        # Guards both, so that a page that begins while the chunk is withdrawn is withdrawn too.
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """End the running statement and begin no other; from any thread."""
        with self._lock:
            self._cancelled = True
            running = self._running
        if running is not None:
            running.cancel()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches of all pages.

        Raises:
            RowsMoved: rows came or went since they were counted.
            ServiceError: as the pages do.
        """
        before: tuple[object, ...] | None = None
        for page in self._pages:
            first, last = page["start_row"], page["end_row"]
            row_count = 0
            # One place beyond the last shows a row that came since.
            with self._open_page(first, last + (last == self._total_count)) as reading:
                self._runs(reading)
                for batch in reading:
                    if batch.num_rows:
                        before = self._in_order(batch, before)
                    row_count += batch.num_rows
                    yield batch
                self._runs(None)
            if row_count != last - first + 1:
                raise RowsMoved(self._part, self._total_count)

    def _runs(self, reading: Reading | None) -> None:
        with self._lock:
            self._running = reading
            cancelled = self._cancelled
        if cancelled:
            raise StatementCancelled(self._part)

    def _in_order(self, batch: pa.RecordBatch, before: tuple[object, ...] | None) -> tuple[object, ...]:
        """Return the key of the batch's last row, after checking that its first follows what came before."""
        first, last = (tuple(batch.column(name)[place].as_py() for name in self._order_key) for place in (0, -1))
        if before is not None and None not in first and None not in before and first <= before:
            raise RowsMoved(self._part, self._total_count)
        return last
