"""Reference tables of a dataset as pinned frames: read when nothing fresh is there, older ones while that fails."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pyarrow as pa
import structlog
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice_rpc.errors import ServiceError, ServiceUnavailable
from sluice_rpc.ports import Clock, Ids
from sluice_warehouse import Tag
from sluice_warehouse.lanes import PoolLane

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.dataset import Reference
from sluice_query_engine.errors import ReferenceEmpty
from sluice_query_engine.execution.chunk import RETRY_PAUSE_S
from sluice_query_engine.execution.small_frames import instant_of, put_table
from sluice_query_engine.planning.query_hash import compute_query_hash

log = structlog.get_logger()

_STALE_GRACE: Final = timedelta(days=1)
"""How long after it went stale a reference may still stand in for one that cannot be read."""


@dataclass(frozen=True)
class PinnedReference:
    """The frame of a reference, and what it took to have it."""

    name: str
    frame_id: str
    statement_count: int
    row_count: int


class References:
    """Finds, reads and stores references; each is read by one thread at a time.

    Args:
        lane: short look-ups.
        cache: where they are kept.
        clock: tells fresh from stale.
        ids: make frame ids unique per read.
    """

    def __init__(self, lane: PoolLane, cache: FrameCache, clock: Clock, ids: Ids) -> None:
        self._lane = lane
        self._cache = cache
        self._clock = clock
        self._ids = ids
        self._reading = threading.Lock()
        # Statements that really ran for the reference being pinned, one that then failed included; guarded by the lock.
        self._statement_count = 0

    def pin(self, reference: Reference, client_id: str) -> PinnedReference:
        """Return a frame of the reference that a manifest may name.

        Raises:
            ReferenceEmpty: it has no rows and must have some.
            ServiceError: it cannot be read and no earlier reading is kept.
        """
        with self._reading:
            self._statement_count = 0
            try:
                return self._found(reference, client_id)
            except ServiceError as error:
                if error.reason != ServiceUnavailable.reason:
                    raise
                log.warning("reference is tried again", reference=reference.name, reason=error.reason)
            # A cache process that is being restarted; a chunk is tried once more as well.
            threading.Event().wait(RETRY_PAUSE_S)
            return self._found(reference, client_id)

    def _found(self, reference: Reference, client_id: str) -> PinnedReference:
        kept = self._cache.list_frames(_labels(reference))
        now = self._clock.now()
        fresh = [frame for frame in kept if instant_of(frame.fresh_until_time) > now]
        if fresh:
            return PinnedReference(reference.name, fresh[-1].frame_id, self._statement_count, 0)
        return self._refreshed(reference, kept, client_id)

    def _refreshed(self, reference: Reference, kept: list[frames.Frame], client_id: str) -> PinnedReference:
        try:
            table = self._read(reference, client_id)
        except ServiceError as error:
            if not kept:
                raise
            log.warning("reference is stale and cannot be read", reference=reference.name, reason=error.reason)
            return PinnedReference(reference.name, kept[-1].frame_id, self._statement_count, 0)
        if table.num_rows == 0 and not reference.allow_empty:
            raise ReferenceEmpty(reference.name)
        frame_id = f"ref-{reference.name.replace('_', '-')}-{self._ids.new()}"
        put_table(
            self._cache,
            frame_id,
            table,
            _labels(reference),
            now=self._clock.now(),
            fresh_for=timedelta(seconds=reference.ttl_s),
            grace=_STALE_GRACE,
        )
        row_count = table.num_rows if self._statement_count else 0
        return PinnedReference(reference.name, frame_id, self._statement_count, row_count)

    def _read(self, reference: Reference, client_id: str) -> pa.Table:
        if reference.statement is None:
            return reference.inline_table()
        tag = Tag("sluice-query-engine", f"reference {reference.name}", client_id)
        with self._lane.read(reference.statement, {}, schema=reference.schema, tag=tag) as reading:
            self._statement_count += 1
            return pa.Table.from_batches(list(reading), schema=reference.schema)


def _labels(reference: Reference) -> dict[str, str]:
    """Return what a frame of the reference is found by; another text or other rows are another reference."""
    content = compute_query_hash(
        {
            "columns": {field.name: str(field.type) for field in reference.schema},
            "statement": reference.statement.text if reference.statement else None,
            "rows": [[str(row.get(name)) for name in reference.schema.names] for row in reference.rows or ()],
        }
    )
    return {"reference": reference.name, "content": content}
