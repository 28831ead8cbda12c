"""The rows of a chunk between the warehouse and the cache: cut, counted, encoded; nothing is read or stored here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import pyarrow as pa

from sluice_query_engine.parts import Part, Stage

SENT_ROW_COUNT: Final = 8_192
"""Rows written at a time. The IPC writer buffers what it is given whole: 65,536 rows of holds are 20 MB in each of
three copies per running chunk, and this engine's memory must not grow with the result. Reading 2 M holds by three
chunks at once took 79 MiB with twice as many rows at a time and 62 MiB with these."""

_MOST_OPEN: Final = 0.5
"""Of a chunk's rows; with more of them open, reading it again whole costs no more than reading these again by id."""


class Told:
    """Tells of each statement, with 0 when it begins, and then of its rows so far.

    Args:
        on_rows: who is told.
    """

    def __init__(self, on_rows: Callable[[int], None]) -> None:
        self._on_rows = on_rows
        self._row_count = 0

    def begin(self) -> None:
        """A statement has begun."""
        self._row_count = 0
        self._on_rows(0)

    def add(self, row_count: int) -> None:
        """It brought so many rows more."""
        self._row_count += row_count
        self._on_rows(self._row_count)


class ChunkRows:
    """The batches of a chunk as they are stored: up to the row limit, categorical columns dictionary-encoded.

    Args:
        batches: as the warehouse yields them.
        part: whose rows.
        told: who is told how many.
        limit: rows after which it is cut.
        renewed_by: column of the ids by which open rows are read again; empty where the chunk is read again whole.
    """

    def __init__(
        self, batches: Iterable[pa.RecordBatch], part: Part, told: Told, *, limit: int, renewed_by: str
    ) -> None:
        self._batches = batches
        self._limit = limit
        self._open_column = part.open_column
        self._renewed_by = renewed_by
        self._told = told
        self.schema = stored_schema(part)
        self.row_count = 0
        self.truncated = False
        self.open_count = 0
        self._nameless_count = 0

    @property
    def renewable(self) -> bool:
        """Some rows are open, few enough to be read again by their ids, and all of these have one."""
        if not self._renewed_by or self._nameless_count:
            return False
        return 0 < self.open_count <= self.row_count * _MOST_OPEN

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            kept = batch.slice(0, self._limit - self.row_count)
            self.row_count += kept.num_rows
            self._count_open(kept)
            encoded = self._encoded(kept)
            for offset in range(0, encoded.num_rows, SENT_ROW_COUNT):
                yield encoded.slice(offset, SENT_ROW_COUNT)
            if kept.num_rows:
                self._told.add(kept.num_rows)
            if kept.num_rows < batch.num_rows:
                self.truncated = True
                return

    def _count_open(self, batch: pa.RecordBatch) -> None:
        if self._open_column is None or not batch.column(self._open_column).null_count:
            return
        self.open_count += batch.column(self._open_column).null_count
        if self._renewed_by:
            opened = batch.filter(batch.column(self._open_column).is_null())
            self._nameless_count += opened.column(self._renewed_by).null_count

    def _encoded(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [
            column.dictionary_encode()
            if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(column.type)
            else column
            for field, column in zip(self.schema, batch.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def stored_schema(part: Part | Stage) -> pa.Schema:
    """Return the schema of the part's frames: as declared, with its categorical columns dictionary-encoded."""
    fields = [
        field.with_type(pa.dictionary(pa.int32(), field.type))
        if field.name in part.dictionary_columns and not pa.types.is_dictionary(field.type)
        else field
        for field in part.schema
    ]
    return pa.schema(fields)
