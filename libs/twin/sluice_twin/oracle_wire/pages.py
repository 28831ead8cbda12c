"""Encoded rows in pages, and the cursor that hands them out as a client asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from sluice_twin.oracle_wire.columns import ResultColumn
from sluice_twin.oracle_wire.encoding import join_rows
from sluice_twin.oracle_wire.protocol import Message

PAGE_ROW_COUNT: Final = 16_384
"""Rows read and encoded at a time."""


class Page:
    """Consecutive encoded rows in one buffer.

    Args:
        rows: one `large_binary` per row.
    """

    def __init__(self, rows: Any) -> None:
        self.row_count = len(rows)
        _, offsets, data = rows.buffers()
        self._offsets = np.frombuffer(offsets, np.int64)[rows.offset : rows.offset + len(rows) + 1]
        self._data = memoryview(data) if data is not None else memoryview(b"")

    def rows(self, start: int, stop: int) -> memoryview:
        """Return the bytes of the rows from `start` up to `stop`."""
        return self._data[int(self._offsets[start]) : int(self._offsets[stop])]


def encode_page(batch: pa.RecordBatch, columns: Sequence[ResultColumn], *, compressed: bool) -> Page:
    """Return the rows of an Arrow batch as a client reads them."""
    cells = [column.type.encode(batch.column(position)) for position, column in enumerate(columns)]
    return Page(join_rows(cells, compressed=compressed))


@dataclass(frozen=True)
class Taken:
    """Rows for one reply."""

    parts: tuple[memoryview, ...]
    row_count: int
    vector: bytes
    """Bit vector of the first row, which stands in the reply's header; empty where that row is whole."""
    last: bool
    """Whether no row comes after these."""


class PageCursor:
    """Hands rows out in the order of their pages.

    Args:
        pages: read one ahead at most.
        column_count: columns of a row.
    """

    def __init__(self, pages: Iterable[Page], column_count: int) -> None:
        self._pages: Iterator[Page] = iter(pages)
        self._vector_bytes = (column_count + 7) // 8
        self._page: Page | None = None
        self._position = 0

    def take(self, count: int) -> Taken:
        """Return the next rows, as many as asked for or left."""
        parts: list[memoryview] = []
        taken = 0
        while taken < count and self._more():
            assert self._page is not None
            stop = min(self._page.row_count, self._position + count - taken)
            parts.append(self._page.rows(self._position, stop))
            taken += stop - self._position
            self._position = stop
        vector = b""
        if parts and parts[0][0] == Message.BIT_VECTOR:
            # Kind, then how many columns are sent: a length byte and what it announces.
            start = 2 + parts[0][1]
            vector = bytes(parts[0][start : start + self._vector_bytes])
            parts[0] = parts[0][start + self._vector_bytes :]
        return Taken(tuple(parts), taken, vector, last=not self._more())

    def _more(self) -> bool:
        """Move to the page of the next row; False if there is none."""
        while self._page is None or self._position == self._page.row_count:
            page = next(self._pages, None)
            if page is None:
                return False
            self._page, self._position = page, 0
        return True
