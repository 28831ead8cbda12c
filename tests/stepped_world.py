"""What a stepped engine talks to: a plant that is a list of holds, statements that stop, a cache that loses frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice_query_engine.cache import FrameWriter
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_query_engine.execution.flights import Flight
from sluice_query_engine.execution.run import QueryRun
from sluice_rpc.errors import ServiceError, ServiceUnavailable
from sluice_rpc.ports import FakeClock
from sluice_warehouse import Bind, Statement, Tag
from sluice_warehouse.errors import StatementCancelled

from tests.engine_rig import DATASET

QUIET_TIMEOUT_S = 60.0
RELEASE_TIMEOUT_S = 240.0
BATCH_ROW_COUNT = 2
GROUP = {"workcenter": "WC", "workcenter_group": "Group", "group_sequence": 1}


@dataclass(frozen=True)
class Hold:
    """One hold of the plant."""

    history_id: str
    held: datetime
    released: datetime | None


@dataclass(frozen=True)
class Started:
    """A statement that really ran, and for which run of a query."""

    client_id: str
    part: str
    start: datetime | None
    end: datetime | None
    ids: frozenset[str] = frozenset()

    @property
    def of_reference(self) -> bool:
        """It reads no chunk."""
        return self.start is None and not self.ids


class Stage:
    """What every thread of the engine does at the moment; told of each change."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.working: dict[str, QueryRun] = {}
        self.pinning: set[str] = set()
        self.landing: dict[str, Flight] = {}
        self.waiting: list[GatedReading] = []
        self.started: list[Started] = []
        self.failed: list[tuple[Started, str]] = []
        self.leading = threading.local()
        self.closing = False

    def wait_until_quiet(self) -> None:
        """Return once no thread of the engine would go on by itself."""
        with self.changed:
            # A flight's state changes without notice, so the look is repeated.
            for _ in range(int(QUIET_TIMEOUT_S / 0.002)):
                if all(self._stands(client_id) for client_id in self.working):
                    return
                self.changed.wait(0.002)
        raise AssertionError(f"the engine did not come to rest: {self.working.keys()}, {self.waiting}")

    def _stands(self, client_id: str) -> bool:
        at_gate = {reading.begun.client_id: reading for reading in self.waiting}
        if client_id in at_gate:
            return True
        if client_id in self.pinning:
            return any(reading.begun.of_reference for reading in self.waiting)
        flight = self.landing.get(client_id)
        if flight is None or flight.state != "running":
            return False
        # Who no longer wants it is about to go, and takes its claims along.
        wanted_by = {seeker.client_id for seeker in list(flight.wanted_by) if isinstance(seeker, QueryRun)}
        return client_id in wanted_by and flight in [reading.flight for reading in self.waiting]


class GatedReading:
    """The rows of one statement, once a test releases them."""

    def __init__(self, stage: Stage, rows: pa.Table, begun: Started, flight: Flight | None) -> None:
        self.schema = rows.schema
        self.row_count = 0
        self.end_confirmed = True
        self.begun = begun
        self.flight = flight
        self._rows = rows
        self._stage = stage
        self._released = threading.Event()
        self._cancelled = False
        self._error: ServiceError | None = None
        self._batch_count = 0

    def release(self, error: ServiceError | None = None, batch_count: int = 0) -> None:
        """Let the statement go on; with an error it fails after so many batches."""
        with self._stage.changed:
            self._stage.waiting.remove(self)
            if error is not None:
                self._stage.failed.append((self.begun, error.reason))
        self._error, self._batch_count = error, batch_count
        self._released.set()

    def cancel(self) -> None:
        self._cancelled = True
        with self._stage.changed:
            if self in self._stage.waiting:
                self._stage.waiting.remove(self)
        self._released.set()

    def close(self) -> None:
        self.cancel()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        with self._stage.changed:
            self._stage.started.append(self.begun)
            if self._stage.closing:
                self._cancelled = True
                self._released.set()
            if not self._cancelled:
                self._stage.waiting.append(self)
            self._stage.changed.notify_all()
        if not self._released.wait(RELEASE_TIMEOUT_S):
            raise AssertionError(f"{self.begun} was never released")
        for index, batch in enumerate(self._rows.to_batches(max_chunksize=BATCH_ROW_COUNT)):
            if self._cancelled:
                raise StatementCancelled(self.begun.part)
            if self._error is not None and index >= self._batch_count:
                raise self._error
            self.row_count += batch.num_rows
            yield batch
        if self._cancelled:
            raise StatementCancelled(self.begun.part)
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ListWarehouse:
    """A warehouse whose plant is a list of holds.

    Args:
        holds: the plant.
        clock: the plant's clock, shown without its zone.
        stage: where statements stop.
    """

    def __init__(self, holds: Sequence[Hold], clock: FakeClock, stage: Stage) -> None:
        self._holds = holds
        self._clock = clock
        self._stage = stage

    def open(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> GatedReading:
        start, end = binds.get("start_time"), binds.get("end_time")
        # As CHAR columns compare: blanks at the right end say nothing.
        ids = frozenset(str(value).rstrip() for name, value in binds.items() if name.startswith("ids_"))
        if ids:
            return self._renewed(statement.name, ids, schema)
        if not isinstance(start, datetime):
            begun = Started(tag.client_id, statement.name, None, None)
            return GatedReading(self._stage, pa.Table.from_pylist([GROUP], schema=schema), begun, None)
        until = end if isinstance(end, datetime) else None
        limit = binds["row_limit"]
        assert isinstance(limit, int)
        rows = [self._row(hold, schema) for hold in reversed(read(self._holds, start, until))][:limit]
        begun = Started(self._stage.leading.client_id, statement.name, start, until)
        table = pa.Table.from_pylist(rows, schema=schema)
        return GatedReading(self._stage, table, begun, self._stage.leading.flight)

    def open_pooled(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> GatedReading:
        return self.open(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)

    def _renewed(self, part: str, ids: frozenset[str], schema: pa.Schema) -> GatedReading:
        rows = [self._row(hold, schema) for hold in self._holds if hold.history_id in ids]
        begun = Started(self._stage.leading.client_id, part, None, None, ids)
        return GatedReading(self._stage, pa.Table.from_pylist(rows, schema=schema), begun, self._stage.leading.flight)

    def plant_time(self) -> datetime:
        return self._clock.now().replace(tzinfo=None)

    def ping(self) -> None:
        return

    def close(self) -> None:
        return

    def _row(self, hold: Hold, schema: pa.Schema) -> dict[str, object]:
        known = {"qty": 1, "hold_time": hold.held, "release_time": hold.released}
        return {name: known.get(name, hold.history_id) for name in schema.names}


def read(holds: Sequence[Hold], start: datetime, end: datetime | None) -> list[Hold]:
    """Return what a chunk from `start` holds: to `end`, or all that reach into `start` from before it."""
    if end is None:
        return [hold for hold in holds if hold.held < start and (hold.released is None or hold.released >= start)]
    return [hold for hold in holds if start <= hold.held < end]


class FickleCache(MemoryFrameCache):
    """A cache that can lose frames behind the engine's back, and refuse the next chunks."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.refusing_count = 0
        self.refused_count = 0

    def open_frame(self, frame_id: str, *, version: int, max_bytes: int, deadline_s: float) -> FrameWriter:
        if frame_id.startswith("chunk-") and self.refusing_count:
            self.refusing_count -= 1
            self.refused_count += 1
            raise ServiceUnavailable("cache")
        return super().open_frame(frame_id, version=version, max_bytes=max_bytes, deadline_s=deadline_s)

    def chunk_frames(self) -> list[frames.Frame]:
        """Return the frames of chunks that are alive, in the order they were stored."""
        return [frame for frame in self.list_frames({"dataset": DATASET}) if frame.frame_id.startswith("chunk-")]

    def lose(self, frame_id: str) -> None:
        """Drop a frame, as an eviction or a restarted cache would."""
        with self._lock:
            del self._frames[frame_id]
