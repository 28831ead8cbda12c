"""Frames in this process: what tests use in place of the cache service, and a process that is given none."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import ServiceUnavailable
from sluice_rpc.ports import Clock

from sluice_lineage.frames import FrameFacts, FrameUpload, KeptFrame


class NoFrames:
    """No cache: nothing is there, and nothing is kept."""

    def open(self, frame_id: str) -> KeptFrame | None:
        del frame_id
        return None

    def begin(self, frame_id: str, schema: pa.Schema, *, version: int, max_bytes: int) -> FrameUpload:
        del frame_id, schema, version, max_bytes
        return _NoUpload()

    def close(self) -> None:
        """Nothing is open."""


class MemoryFrames:
    """Frames in a dictionary; `away` makes every call fail as if the cache process were down.

    Args:
        clock: tells live frames from expired ones.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.frames: dict[str, tuple[pb.Frame, pa.Table]] = {}
        self.away = False

    def open(self, frame_id: str) -> KeptFrame | None:
        if self.away:
            raise ServiceUnavailable("cache")
        found = self.frames.get(frame_id)
        if found is None or found[0].keep_until_time.seconds <= self._clock.now().timestamp():
            return None
        return _MemoryFrame(*found)

    def begin(self, frame_id: str, schema: pa.Schema, *, version: int, max_bytes: int) -> FrameUpload:
        return _MemoryUpload(self, pb.Frame(frame_id=frame_id, version=version), schema, max_bytes)

    def close(self) -> None:
        self.frames.clear()


class _MemoryFrame:
    def __init__(self, frame: pb.Frame, table: pa.Table) -> None:
        self.frame = frame
        self._table = table

    def pieces(self) -> Iterator[bytes]:
        yield from arrow.encode(self._table.schema, self._table.to_batches())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _MemoryUpload:
    def __init__(self, store: MemoryFrames, frame: pb.Frame, schema: pa.Schema, max_bytes: int) -> None:
        self._store = store
        self._frame = frame
        self._schema = schema
        self._max_bytes = max_bytes
        self._batches: list[pa.RecordBatch] = []

    def put(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)

    def commit(self, row_count: int, facts: FrameFacts) -> bool:
        table = pa.Table.from_batches(self._batches, self._schema)
        if self._store.away or table.num_rows != row_count or table.nbytes > self._max_bytes:
            return False
        self._frame.row_count = row_count
        self._frame.labels.update(facts.labels)
        self._frame.read_time.FromDatetime(facts.read_time)
        self._frame.fresh_until_time.FromDatetime(facts.fresh_until_time)
        self._frame.keep_until_time.FromDatetime(facts.keep_until_time)
        self._frame.tier = table_pb2.TIER_MEMORY
        self._store.frames[self._frame.frame_id] = (self._frame, table)
        return True

    def abandon(self) -> None:
        self._batches.clear()


class _NoUpload:
    def put(self, batch: pa.RecordBatch) -> None:
        del batch

    def commit(self, row_count: int, facts: FrameFacts) -> bool:
        del row_count, facts
        return False

    def abandon(self) -> None:
        """Nothing was begun."""
