"""Reads one chunk from the warehouse straight into the cache, batch by batch; what to read is decided elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
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
from sluice_warehouse.statements import expand_ids

from sluice_query_engine.cache import FrameCache, FrameWriter
from sluice_query_engine.errors import ChunkTooLarge, RowsMoved
from sluice_query_engine.execution.bound_lists import bound_lists, filled, list_binds, room_for, widened
from sluice_query_engine.execution.chunk_rows import ChunkRows, Told
from sluice_query_engine.execution.id_sets import IdBatch
from sluice_query_engine.execution.retry_budget import RetryBudget
from sluice_query_engine.execution.row_pages import COUNT_SCHEMA, PagedReading, counted
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.small_frames import milliseconds, timestamp
from sluice_query_engine.parts import Part
from sluice_query_engine.planning.freshness import FreshnessRule
from sluice_query_engine.planning.time_range import bound_text, instant_text
from sluice_query_engine.plant_clock import PlantClock

log = structlog.get_logger()

TRANSIENT_REASONS: Final = frozenset({"WAREHOUSE_UNAVAILABLE", "SERVICE_UNAVAILABLE"})
"""Failures that may be gone a moment later: a dropped session, a cache process that is restarted."""
RETRY_PAUSE_S: Final = 0.5
"""Before the one retry; a restarted process needs about that long to listen again."""


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
        page_row_count: rows of a page, where the part is read in pages.
        until: monotonic second by which it must be read; None gives it the deadline of a chunk from its beginning.
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
    page_row_count: int = 50_000
    until: float | None = None

    @property
    def name(self) -> str:
        """What tells it from all other chunks: two jobs of one name are one read."""
        return ":".join((self.series, bound_text(self.start), bound_text(self.end), *self._ids_hash))

    def suits(self, not_before: datetime | None) -> bool:
        """Return whether what this job brings is surely read at an instant or later; None suits whatever comes."""
        return not_before is None or (self.not_before is not None and self.not_before >= not_before)

    def takes(self, stored: StoredChunk) -> bool:
        """Return whether a chunk was read late enough for this job."""
        return self.not_before is None or stored.read_time >= self.not_before

    def statement(self) -> Statement:
        """Return the statement to run, with room for its ids and for the lists that it binds."""
        statement = self.with_lists(self.part.statement)
        return statement if self.ids is None else expand_ids(statement, "ids", room_for(len(self.ids.ids)))

    def with_lists(self, statement: Statement) -> Statement:
        """Return a statement of the part with room for the lists among the parameters that it binds."""
        return widened(statement, bound_lists(statement, self.parameters))

    def binds(self) -> dict[str, Bind]:
        """Return a value for each bind of the statement; one row beyond the limit shows that it was hit."""
        statement, places = self.statement(), {"row_limit": self.max_row_count + 1}
        if self.ids is None:
            return self.binds_of(statement, places)
        return self.binds_of(statement, {**places, **filled("ids", self.part.padded(self.ids.ids))})

    def binds_of(self, statement: Statement, values: Mapping[str, Bind]) -> dict[str, Bind]:
        """Return a value for each bind of a statement: of these, of the range, and of the parameters."""
        # The warehouse knows no booleans.
        single = {
            name: int(value) if isinstance(value, bool) else value
            for name, value in self.parameters.items()
            if value is None or isinstance(value, (str, int, float))
        }
        lists = list_binds(bound_lists(self.part.statement, self.parameters))
        known: dict[str, Bind] = {**single, **lists, "start_time": self.start, "end_time": self.end, **values}
        return {name: known[name] for name in statement.bind_names}

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


@dataclass(frozen=True)
class StoredChunk:
    """A chunk that is in the cache.

    Args:
        frame_id: where.
        row_count: its rows.
        read_time: when the read began, UTC.
        truncated: the row limit cut it.
        code: why some of its rows are missing all the same; empty where none are.
    """

    frame_id: str
    row_count: int
    read_time: datetime
    truncated: bool
    code: str = ""


@dataclass(frozen=True)
class ChunkLimits:
    """What one chunk may cost.

    Args:
        max_bytes: of its IPC stream.
        deadline_s: seconds with its retry and its waits, for another engine that reads it and for a permit.
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
        until = self._clock.monotonic() + self._limits.deadline_s if job.until is None else job.until
        try:
            return self._attempt(job, scope, on_rows, until)
        except ServiceError as error:
            left_s = until - self._clock.monotonic()
            if not _transient(error) or scope.cancelled or left_s <= self._limits.retry_pause_s:
                raise
            if not self._retries.take():
                log.warning("chunk is not tried again, too many were", reason=error.reason, **_facts(job))
                raise
            log.warning("chunk is tried again", reason=error.reason, **_facts(job))
        scope.withdrawn.wait(self._limits.retry_pause_s)
        return self._attempt(job, scope, on_rows, until)

    def _attempt(self, job: ChunkJob, scope: CancelScope, on_rows: Callable[[int], None], until: float) -> StoredChunk:
        told = Told(on_rows)
        with self._reading(job, scope, told, until) as reading:
            read_time = self._clock.now()
            writer = self._cache.open_frame(
                f"chunk-{job.series}-{self._ids.new()}",
                version=milliseconds(read_time),
                max_bytes=0,
                deadline_s=max(1.0, until - self._clock.monotonic()),
            )
            with writer, scope.attached(reading.cancel), scope.attached(writer.cancel):
                if not isinstance(reading, PagedReading):
                    # The statement begins with the first pull; where the cache takes no frame, there is none.
                    told.begin()
                rows = ChunkRows(reading, job.part, told, limit=job.max_row_count, renewed_by=job.renewed_by)
                self._send(rows, reading, writer)
                frame = writer.commit(self._trailer(job, rows, read_time))
        self._retries.succeeded()
        return StoredChunk(frame.frame_id, rows.row_count, read_time, rows.truncated)

    @contextmanager
    def _reading(self, job: ChunkJob, scope: CancelScope, told: Told, until: float) -> Iterator[Reading | PagedReading]:
        """Read by one statement inside, or page by page where a part that allows it has more rows than a page."""
        pages = job.part.pages
        total_count = 0 if pages is None else self._counted(job, pages.count, scope, told, until)
        if pages is None or total_count <= job.page_row_count:
            with self._open(job, job.statement(), job.binds(), scope=scope, until=until) as reading:
                yield reading
            return
        numbered = job.with_lists(pages.page)

        @contextmanager
        def page(first: int, last: int) -> Iterator[Reading]:
            binds = job.binds_of(numbered, {"first_row": first, "last_row": last})
            with self._open(job, numbered, binds, scope=scope, until=until) as reading:
                told.begin()
                yield reading

        yield PagedReading(
            job.part.name,
            page,
            pages.order_key,
            total_count=total_count,
            page_row_count=job.page_row_count,
            most=job.max_row_count + 1,
        )

    def _counted(self, job: ChunkJob, count: Statement, scope: CancelScope, told: Told, until: float) -> int:
        statement = job.with_lists(count)
        binds = job.binds_of(statement, {})
        opened = self._open(job, statement, binds, scope=scope, until=until, schema=COUNT_SCHEMA)
        with opened as reading, scope.attached(reading.cancel):
            told.begin()
            return counted(reading)

    def _open(
        self,
        job: ChunkJob,
        statement: Statement,
        binds: Mapping[str, Bind],
        *,
        scope: CancelScope,
        until: float,
        schema: pa.Schema | None = None,
    ) -> AbstractContextManager[Reading]:
        return self._lane.read(
            statement,
            binds,
            schema=job.part.schema if schema is None else schema,
            deadline_s=until - self._clock.monotonic(),
            tag=Tag("sluice-query-engine", f"{job.dataset} {job.words}", job.client_id),
            withdrawn=scope.withdrawn,
        )

    def _send(self, rows: ChunkRows, reading: Reading | PagedReading, writer: FrameWriter) -> None:
        byte_count = 0
        for piece in arrow.encode(rows.schema, rows):
            byte_count += len(piece)
            if byte_count > self._limits.max_bytes:
                reading.cancel()
                raise ChunkTooLarge(self._limits.max_bytes)
            writer.write(piece)

    def _trailer(self, job: ChunkJob, rows: ChunkRows, read_time: datetime) -> frames.FrameTrailer:
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
            job.fence()
        return frames.FrameTrailer(
            row_count=rows.row_count,
            labels=labels,
            read_time=timestamp(read_time),
            fresh_until_time=timestamp(fresh_until),
            keep_until_time=timestamp(fresh_until + job.freshness.ttl),
        )


def _transient(error: ServiceError) -> bool:
    # Rows that came while pages were read are there at the next try.
    return error.reason in TRANSIENT_REASONS or isinstance(error, RowsMoved)


def _facts(job: ChunkJob) -> dict[str, str]:
    return {"dataset": job.dataset, "chunk": job.words}
