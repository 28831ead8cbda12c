"""Stages of a query: tables that the lineage service computes, put into the cache as they come, and found again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

import pyarrow as pa
from google.protobuf import json_format
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import Cancelled, NotFound
from sluice_rpc.ports import Clock, Ids
from sluice_warehouse.errors import ContractBroken

from sluice_query_engine.cache import FrameCache, FrameWriter
from sluice_query_engine.execution.chunk import StoredChunk
from sluice_query_engine.execution.chunk_rows import SENT_ROW_COUNT, stored_schema
from sluice_query_engine.execution.id_sets import IdSets
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.small_frames import instant_of, milliseconds, put_table, timestamp
from sluice_query_engine.lineage import Lineage, StageAnswer, StageOrder
from sluice_query_engine.parts import Stage
from sluice_query_engine.planning.packed_ids import PackedIds
from sluice_query_engine.planning.query_hash import compute_query_hash

_IDS_SCHEMA: Final = pa.schema([pa.field("container_id", pa.string(), nullable=False)])
"""What lineage reads of a frame of ids."""
_RESOLUTION_SCHEMA: Final = pa.schema([pa.field("resolution", pa.string(), nullable=False)])


@dataclass(frozen=True)
class StageJob:
    """One stage to have.

    Args:
        stage: which one.
        ids: never empty: ids, or what was typed.
        kind: what was typed; empty for ids.
        life: for how long its table may be used again.
    """

    stage: Stage
    ids: PackedIds
    kind: str
    life: timedelta

    @cached_property
    def ids_name(self) -> str:
        """The same for the same ids."""
        return IdSets({0: self.ids}).frame_id

    @cached_property
    def key(self) -> str:
        """What makes two jobs one table, whatever dataset asks."""
        return compute_query_hash(
            {
                "source": self.stage.source,
                "table": self.stage.table,
                "kind": self.kind,
                "columns": {column.name: str(column.type) for column in self.stage.schema},
                "ids": self.ids_name,
            }
        )


@dataclass(frozen=True)
class StageTable:
    """A stage that is in the cache.

    Attributes:
        stored: where; `code` says why rows are missing.
        resolution: what typed values meant; None where nothing was typed.
        statement_count: statements that lineage ran for it.
        row_count: rows that it read from the warehouse.
    """

    stored: StoredChunk
    resolution: table_pb2.Resolution | None
    statement_count: int = 0
    row_count: int = 0


class Stages:
    """Has stages computed; holds one batch of a table at a time.

    Queries of several datasets that need one table at the same time have it computed once.

    Args:
        lineage: computes them.
        cache: keeps them.
        clock: for lives and deadlines.
        ids: make frame ids unique.
        max_bytes: of one table.
        deadline_s: seconds of one stage.
    """

    def __init__(
        self, lineage: Lineage, cache: FrameCache, clock: Clock, ids: Ids, *, max_bytes: int, deadline_s: float
    ) -> None:
        self._lineage = lineage
        self._cache = cache
        self._clock = clock
        self._ids = ids
        self._max_bytes = max_bytes
        self._deadline_s = deadline_s
        self._computing: set[str] = set()
        # Guards the set; nothing is asked under it.
        self._changed = threading.Condition()

    def find(self, job: StageJob) -> StageTable | None:
        """Return the table as it was computed before, or None where nothing fresh and whole is there.

        Raises:
            ServiceUnavailable: the cache is away.
        """
        now = self._clock.now()
        fresh = [
            frame for frame in self._cache.list_frames({"stage": job.key}) if instant_of(frame.fresh_until_time) > now
        ]
        if not fresh:
            return None
        found = fresh[-1]
        resolution = None
        if job.kind:
            resolution = self._kept_resolution(found.labels.get("resolution", ""))
            if resolution is None:
                return None
            resolution.part = job.stage.name
        stored = StoredChunk(found.frame_id, found.row_count, instant_of(found.read_time), truncated=False)
        return StageTable(stored, resolution)

    def read(self, job: StageJob, scope: CancelScope, on_rows: Callable[[int], None], *, anew: bool) -> StageTable:
        """Have the table computed and return it as it is kept, or as another query has just had it computed.

        Args:
            job: which one.
            scope: withdraws it.
            on_rows: told the rows so far.
            anew: whatever lineage keeps of events; the edges of a genealogy keep their own life.

        Raises:
            Cancelled: withdrawn.
            ServiceError: of lineage or the cache; nothing is kept.
            ContractBroken: lineage answers with other columns.
        """
        with self._turn(job.key, scope):
            there = None if anew else self.find(job)
            return there or self._computed(job, scope, on_rows, anew=anew)

    @contextmanager
    def _turn(self, key: str, scope: CancelScope) -> Iterator[None]:
        """Be the only one inside for a table; who waits goes on when whoever is inside has left, however that ended."""
        with scope.attached(self._wake), self._changed:
            self._changed.wait_for(lambda: scope.cancelled or key not in self._computing)
            if scope.cancelled:
                raise Cancelled("the stage is no longer wanted")
            self._computing.add(key)
        try:
            yield
        finally:
            with self._changed:
                self._computing.discard(key)
                self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _computed(self, job: StageJob, scope: CancelScope, on_rows: Callable[[int], None], *, anew: bool) -> StageTable:
        read_time = self._clock.now()
        order = StageOrder(
            stage=job.stage,
            ids_frame_id="" if job.kind else self._keep_ids(job),
            kind=job.kind,
            values=job.ids if job.kind else (),
            refresh=anew,
        )
        with self._lineage.read(order, scope, self._deadline_s) as answer, self._writer(scope, read_time) as writer:
            rows = _Fitted(job.stage, answer.batches, on_rows)
            for piece in arrow.encode(rows.schema, rows):
                writer.write(piece)
            answer.settle()
            if answer.receipt.HasField("read_time"):
                read_time = instant_of(answer.receipt.read_time)
            frame = writer.commit(self._trailer(job, rows.row_count, answer, read_time))
        receipt = answer.receipt
        stored = StoredChunk(
            frame.frame_id,
            frame.row_count,
            read_time,
            truncated=receipt.status == table_pb2.COMPLETENESS_TRUNCATED,
            code=next((gap.code for gap in receipt.failed_ranges), ""),
        )
        return StageTable(stored, answer.resolution, receipt.warehouse_statement_count, receipt.warehouse_row_count)

    @contextmanager
    def _writer(self, scope: CancelScope, read_time: datetime) -> Iterator[FrameWriter]:
        writer = self._cache.open_frame(
            f"stage-{self._ids.new()}",
            version=milliseconds(read_time),
            max_bytes=self._max_bytes,
            deadline_s=self._deadline_s,
        )
        with writer, scope.attached(writer.cancel):
            yield writer

    def _trailer(self, job: StageJob, row_count: int, answer: StageAnswer, read_time: datetime) -> frames.FrameTrailer:
        now = self._clock.now()
        labels = {"stage": job.key, "source": job.stage.source}
        if answer.resolution is not None:
            labels["resolution"] = self._keep_resolution(job, answer.resolution)
        # What a limit cut, or a fault left out, must not be taken for the whole by another query.
        whole = answer.receipt.status in (
            table_pb2.COMPLETENESS_UNSPECIFIED,
            table_pb2.COMPLETENESS_COMPLETE,
        )
        return frames.FrameTrailer(
            row_count=row_count,
            labels=labels,
            read_time=timestamp(read_time),
            fresh_until_time=timestamp(now + job.life if whole else now),
            keep_until_time=timestamp(now + 2 * job.life),
        )

    def _keep_ids(self, job: StageJob) -> str:
        frame_id = f"containers-{job.ids_name}"
        table = pa.table([job.ids.array], schema=_IDS_SCHEMA)
        put_table(self._cache, frame_id, table, {"ids": frame_id}, now=self._clock.now(), fresh_for=job.life)
        return frame_id

    def _keep_resolution(self, job: StageJob, resolution: table_pb2.Resolution) -> str:
        frame_id = f"resolution-{self._ids.new()}"
        text = json_format.MessageToJson(resolution, indent=None, ensure_ascii=False)
        table = pa.table([pa.array([text], pa.string())], schema=_RESOLUTION_SCHEMA)
        put_table(self._cache, frame_id, table, {"resolution": frame_id}, now=self._clock.now(), fresh_for=2 * job.life)
        return frame_id

    def _kept_resolution(self, frame_id: str) -> table_pb2.Resolution | None:
        try:
            with arrow.decode(self._cache.read_frame(frame_id)) as reader:
                text = str(reader.read_all().column(0)[0].as_py())
        except NotFound:
            return None
        return json_format.Parse(text, table_pb2.Resolution())


class _Fitted:
    """The rows of a table as the stage declares them, counted."""

    def __init__(self, stage: Stage, batches: pa.RecordBatchReader, on_rows: Callable[[int], None]) -> None:
        self._stage = stage
        self._batches = batches
        self._on_rows = on_rows
        self.schema = stored_schema(stage)
        self.row_count = 0
        by_name = {name.lower(): position for position, name in enumerate(batches.schema.names)}
        for column in stage.schema.names:
            if column not in by_name:
                raise ContractBroken(column, stage.name, f"is not among those of {stage.source}")
        self._positions = [by_name[column] for column in stage.schema.names]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            arrays = [
                self._fitted(batch.column(position), stored)
                for position, stored in zip(self._positions, self.schema, strict=True)
            ]
            fitted = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
            self.row_count += fitted.num_rows
            for offset in range(0, fitted.num_rows, SENT_ROW_COUNT):
                yield fitted.slice(offset, SENT_ROW_COUNT)
            self._on_rows(self.row_count)

    def _fitted(self, column: pa.Array, wanted: pa.Field) -> pa.Array:
        plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        value_type = wanted.type.value_type if pa.types.is_dictionary(wanted.type) else wanted.type
        try:
            cast = plain.cast(value_type)
        except pa.ArrowException as error:
            raise ContractBroken(wanted.name, self._stage.name) from error
        return cast.dictionary_encode() if pa.types.is_dictionary(wanted.type) else cast
