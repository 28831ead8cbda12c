"""The table of one statement on its way to the caller, within the limits of its call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from sluice_cache import codec
from sluice_cache.errors import ResultTooLarge, UnreadRows
from sluice_cache.frames import TierKind
from sluice_cache.sql.call import Call
from sluice_cache.sql.place import Place, translated
from sluice_cache.sql.results import Result


@dataclass(frozen=True)
class Limits:
    """What one statement's table may be; 0 is no limit."""

    row_count: int = 0
    bytes: int = 0


NO_LIMITS = Limits()


class Running:
    """A statement that runs: its schema is known, its batches come as they are asked for.

    Args:
        reader: of its table.
        place: where it runs.
        call: its time and caller.
        unread: called when its rows could not be read; raises where that is no fault of the statement.
    """

    def __init__(self, reader: pa.RecordBatchReader, place: Place, call: Call, unread: Callable[[], None]) -> None:
        self.schema = codec.wire_schema(reader.schema)
        self._reader = reader
        self._place = place
        self._call = call
        self._unread = unread

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches in wire types.

        Raises:
            CacheExpired: a file that it reads is broken.
            InvalidSql, QueryTimeout, Cancelled, MemoryPressure.
        """
        while (batch := self._next()) is not None:
            yield codec.to_wire(batch, self.schema)

    def close(self) -> None:
        """Let the place go, read to the end or not."""
        self._reader.close()

    def _next(self) -> pa.RecordBatch | None:
        try:
            with self._call.bounding(self._place.stop), translated(self._place):
                batch = next(self._reader, None)
                if batch is None:
                    self._place.finish()
                return batch
        except UnreadRows:
            self._reader.close()
            self._unread()
            raise


class Answer:
    """The table of one statement; its batches can be read once, and are counted while they are.

    Attributes:
        tier: slowest tier a source was read from.
        cached: whether it was kept from an earlier run.
        plan: DuckDB's plan, where that was asked for instead of rows.
    """

    def __init__(
        self,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        *,
        index: int,
        tier: TierKind,
        limits: Limits = NO_LIMITS,
        cached: bool = False,
        plan: str = "",
    ) -> None:
        self.schema = schema
        self.index = index
        self.tier = tier
        self.cached = cached
        self.plan = plan
        self.row_count = 0
        self.bytes = 0
        self._batches = batches
        self._limits = limits

    @classmethod
    def of_result(cls, result: Result, *, index: int, limits: Limits, cached: bool) -> Answer:
        """Return a whole table as an answer."""
        return cls(result.schema, result.batches, index=index, tier=result.tier, limits=limits, cached=cached)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches in wire types.

        Raises:
            ResultTooLarge, InvalidSql, QueryTimeout, Cancelled, MemoryPressure.
        """
        for batch in self._batches:
            self.row_count += batch.num_rows
            self.bytes += batch.nbytes
            if 0 < self._limits.row_count < self.row_count:
                raise ResultTooLarge("rows", self._limits.row_count, self.row_count)
            if 0 < self._limits.bytes < self.bytes:
                raise ResultTooLarge("bytes", self._limits.bytes, self.bytes)
            yield batch
