"""Reads one chunk from the warehouse straight into the cache, batch by batch; what to read is decided elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa
import structlog
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice_rpc import arrow
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import Clock, Ids
from sluice_warehouse import Bind, Reading, Statement, Tag
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.statements import MAX_ID_COUNT, expand_ids, id_binds

from sluice_query_engine.cache import FrameCache, FrameWriter
from sluice_query_engine.dataset import Part
from sluice_query_engine.errors import ChunkTooLarge
from sluice_query_engine.execution.id_sets import IdBatch
from sluice_query_engine.execution.retry_budget import RetryBudget
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.small_frames import milliseconds, timestamp
from sluice_query_engine.planning.freshness import FreshnessRule
from sluice_query_engine.planning.time_range import bound_text, instant_text
from sluice_query_engine.plant_clock import PlantClock

log = structlog.get_logger()

TRANSIENT_REASONS: Final = frozenset({"WAREHOUSE_UNAVAILABLE", "SERVICE_UNAVAILABLE"})
"""Failures that may be gone a moment later: a dropped session, a cache process that is restarted."""
RETRY_PAUSE_S: Final = 0.5
"""Before the one retry; a restarted process needs about that long to listen again."""

SENT_ROW_COUNT: Final = 16_384
"""Rows written at a time. The IPC writer buffers what it is given whole: 65,536 rows of holds are 20 MB in each of
three copies per running chunk, and this engine's memory must not grow with the result."""

_MOST_OPEN: Final = 0.5
"""Of a chunk's rows; with more of them open, reading it again whole costs no more than reading these again by id."""


@dataclass(frozen=True)
class ChunkJob:
    """One chunk to read.

    Args:
        dataset: name, for labels and tags.
        series: what the chunk may be reused for.
        part: whose statement runs.
        start: first instant, plant-local; None for ids that are read whatever the time.
        end: first instant after it; None likewise, and for parts that depend on the start only.
        parameters: canonical parameters that the statement may bind.
        max_row_count: past it the chunk is cut and marked.
        freshness: for how long it may be reused.
        client_id: for whom it runs, as the DBA sees it.
        not_before: a frame read earlier, UTC, does not answer it; None takes any that is fresh.
        fence: returns the fencing number of whoever reads it, or raises when somebody else reads it by now; asked just
            before the frame is kept. None where nobody else could.
        ids: the batch of a part that is cut by ids; None for others.
        renewed_by: column of the ids by which open rows are read again; empty where the chunk is read again whole.
    """

    dataset: str
    series: str
    part: Part
    start: datetime | None
    end: datetime | None
    parameters: Mapping[str, object]
    max_row_count: int
    freshness: FreshnessRule
    client_id: str
    not_before: datetime | None = None
    fence: Callable[[], int] | None = None
    ids: IdBatch | None = None
    renewed_by: str = ""

    @property
    def name(self) -> str:
        """What tells it from all other chunks: two jobs of one name are one read."""
        return ":".join((self.series, bound_text(self.start), bound_text(self.end), *self._ids_hash))

    def statement(self) -> Statement:
        """Return the statement to run; it has room for ids in powers of two, so that the warehouse parses few texts."""
        if self.ids is None:
            return self.part.statement
        return expand_ids(self.part.statement, "ids", _room(len(self.ids.ids)))

    def binds(self) -> dict[str, Bind]:
        """Return a value for each bind of the statement; one row beyond the limit shows that it was hit."""
        values: dict[str, Bind] = {
            name: value for name, value in self.parameters.items() if isinstance(value, (str, int, float))
        }
        values |= {"start_time": self.start, "end_time": self.end, "row_limit": self.max_row_count + 1}
        if self.ids is not None:
            ids = self.ids.ids
            # What room is left is filled with the last id: an id that stands twice in a list counts once.
            values |= id_binds("ids", [*ids, *[ids[-1]] * (_room(len(ids)) - len(ids))])
        return {name: values[name] for name in self.statement().bind_names}

    def labels(self, *, truncated: bool) -> dict[str, str]:
        """Return what the chunk's frame is found by."""
        labels = {"series": self.series, "part": self.part.name, "dataset": self.dataset}
        if self.start is not None:
            labels["start"] = instant_text(self.start)
        if self.end is not None:
            labels["end"] = instant_text(self.end)
        if self.ids is not None:
            labels["ids"] = self.ids.hash
        if truncated:
            labels["truncated"] = "1"
        return labels

    @property
    def _ids_hash(self) -> tuple[str, ...]:
        return () if self.ids is None else (self.ids.hash,)

    @property
    def words(self) -> str:
        """Part and range, or number of ids, for the DBA."""
        where = f"{len(self.ids.ids)} ids" if self.ids is not None else bound_text(self.start)
        return f"{self.part.name} {where}"


def _room(count: int) -> int:
    return int(min(1 << (count - 1).bit_length(), MAX_ID_COUNT))


@dataclass(frozen=True)
class StoredChunk:
    """A chunk that is in the cache.

    Args:
        frame_id: where.
        row_count: its rows.
        read_time: when the read began, UTC.
        truncated: the row limit cut it.
    """

    frame_id: str
    row_count: int
    read_time: datetime
    truncated: bool


@dataclass(frozen=True)
class ChunkLimits:
    """What one chunk may cost.

    Args:
        max_bytes: of its IPC stream.
        deadline_s: seconds with its retry and its wait for a permit.
        retry_pause_s: seconds before the one retry.
        retry_count: second attempts that all chunks of this process share.
    """

    max_bytes: int
    deadline_s: float
    retry_pause_s: float = RETRY_PAUSE_S
    retry_count: int = 10


class ChunkReader:
    """Reads chunks; holds one batch at a time, whatever the size of the chunk.

    Args:
        lane: the slow lane.
        cache: where chunks go.
        clock: for read times and deadlines.
        ids: make frame ids unique per read, so that no frame is ever overwritten.
        plant_clock: tells settled from unsettled.
        limits: of each chunk.
    """

    def __init__(
        self, lane: SlowLane, cache: FrameCache, clock: Clock, ids: Ids, *, plant_clock: PlantClock, limits: ChunkLimits
    ) -> None:
        self._lane = lane
        self._cache = cache
        self._clock = clock
        self._ids = ids
        self._plant_clock = plant_clock
        self._limits = limits
        self._retries = RetryBudget(limits.retry_count)

    def read(self, job: ChunkJob, scope: CancelScope, on_rows: Callable[[int], None]) -> StoredChunk:
        """Read the chunk and return it as stored; a transient failure is tried once more within deadline and budget.

        Args:
            job: what to read.
            scope: withdraws it: the wait for a permit ends, the statement is cancelled in the warehouse.
            on_rows: told the rows so far, with 0 once per statement, when it has begun.

        Raises:
            ServiceError: of the warehouse or the cache; nothing of the chunk is kept.
            ChunkTooLarge: its bytes passed the limit; the statement was cancelled.
        """
        until = self._clock.monotonic() + self._limits.deadline_s
        try:
            return self._attempt(job, scope, on_rows, until)
        except ServiceError as error:
            left_s = until - self._clock.monotonic()
            if error.reason not in TRANSIENT_REASONS or scope.cancelled or left_s <= self._limits.retry_pause_s:
                raise
            if not self._retries.take():
                log.warning("chunk is not tried again, too many were", reason=error.reason, **_facts(job))
                raise
            log.warning("chunk is tried again", reason=error.reason, **_facts(job))
        scope.withdrawn.wait(self._limits.retry_pause_s)
        return self._attempt(job, scope, on_rows, until)

    def _attempt(self, job: ChunkJob, scope: CancelScope, on_rows: Callable[[int], None], until: float) -> StoredChunk:
        deadline_s = until - self._clock.monotonic()
        tag = Tag("sluice-query-engine", f"{job.dataset} {job.words}", job.client_id)
        with self._lane.read(
            job.statement(),
            job.binds(),
            schema=job.part.schema,
            deadline_s=deadline_s,
            tag=tag,
            withdrawn=scope.withdrawn,
        ) as reading:
            read_time = self._clock.now()
            writer = self._cache.open_frame(
                f"chunk-{job.series}-{self._ids.new()}",
                version=milliseconds(read_time),
                max_bytes=0,
                deadline_s=max(1.0, until - self._clock.monotonic()),
            )
            with writer, scope.attached(reading.cancel), scope.attached(writer.cancel):
                # The statement begins with the first pull; where the cache takes no frame, there is none.
                on_rows(0)
                rows = _Rows(reading, job, on_rows)
                self._send(rows, reading, writer)
                frame = writer.commit(self._trailer(job, rows, read_time))
        self._retries.succeeded()
        return StoredChunk(frame.frame_id, rows.row_count, read_time, rows.truncated)

    def _send(self, rows: _Rows, reading: Reading, writer: FrameWriter) -> None:
        byte_count = 0
        for piece in arrow.encode(rows.schema, rows):
            byte_count += len(piece)
            if byte_count > self._limits.max_bytes:
                reading.cancel()
                raise ChunkTooLarge(self._limits.max_bytes)
            writer.write(piece)

    def _trailer(self, job: ChunkJob, rows: _Rows, read_time: datetime) -> frames.FrameTrailer:
        renewable = rows.renewable
        fresh_for = job.freshness.fresh_for(
            job.end or job.start, self._plant_clock.now(), open_rows=rows.open_count > 0 and not renewable
        )
        fresh_until = self._clock.now() + fresh_for
        labels = job.labels(truncated=rows.truncated)
        if renewable:
            labels["open"] = str(rows.open_count)
        if job.ids is not None:
            labels |= {"ids_frame": job.ids.frame_id, "ids_number": str(job.ids.number)}
        if job.fence is not None:
            # Asked last: whoever lost the chunk to another process must not leave a second frame of it.
            labels["fence"] = str(job.fence())
        return frames.FrameTrailer(
            row_count=rows.row_count,
            labels=labels,
            read_time=timestamp(read_time),
            fresh_until_time=timestamp(fresh_until),
            keep_until_time=timestamp(fresh_until + job.freshness.ttl),
        )


class _Rows:
    """The batches of a reading as they are stored: up to the row limit, categorical columns dictionary-encoded."""

    def __init__(self, reading: Reading, job: ChunkJob, on_rows: Callable[[int], None]) -> None:
        self._reading = reading
        self._limit = job.max_row_count
        self._open_column = job.part.open_column
        self._renewed_by = job.renewed_by
        self._on_rows = on_rows
        self.schema = stored_schema(job.part)
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
        for batch in self._reading:
            kept = batch.slice(0, self._limit - self.row_count)
            self.row_count += kept.num_rows
            self._count_open(kept)
            encoded = self._encoded(kept)
            for offset in range(0, encoded.num_rows, SENT_ROW_COUNT):
                yield encoded.slice(offset, SENT_ROW_COUNT)
            if kept.num_rows:
                self._on_rows(self.row_count)
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


def stored_schema(part: Part) -> pa.Schema:
    """Return the schema of the part's frames: as declared, with its categorical columns dictionary-encoded."""
    fields = [
        field.with_type(pa.dictionary(pa.int32(), field.type))
        if field.name in part.dictionary_columns and not pa.types.is_dictionary(field.type)
        else field
        for field in part.schema
    ]
    return pa.schema(fields)


def _facts(job: ChunkJob) -> dict[str, str]:
    return {"dataset": job.dataset, "chunk": job.words}
