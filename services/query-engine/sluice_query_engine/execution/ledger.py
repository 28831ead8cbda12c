"""Writes what is known of a query where others can see it, and recalls it after a restart; decides nothing."""

from __future__ import annotations

from typing import Final

from google.protobuf import json_format
from sluice.query.v1 import query_service_pb2 as pb

from sluice_query_engine.errors import Interrupted
from sluice_query_engine.execution.progress import BatchProgress
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.state import StateStore

OWNER_LEASE_S: Final = 5.0
"""How long after its last sign of life the process that runs a query counts as alive."""


class Ledger:
    """Progress, chunk pointers, records and owner leases of this process's queries.

    Args:
        state: where they are written.
        owner: unique to this process's life.
    """

    def __init__(self, state: StateStore, owner: str) -> None:
        self._state = state
        self._owner = owner

    def open(self, run: QueryRun) -> None:
        """Say that this process runs the query."""
        self.beat(run)
        self.write(run)

    def beat(self, run: QueryRun) -> None:
        """Say that this process still runs the query."""
        self._state.hold(run.query_id, self._owner, OWNER_LEASE_S)

    def write(self, run: QueryRun) -> None:
        """Write the progress and the record of a query as it stands."""
        query = run.snapshot()
        dataset, ttl_s = run.dataset.name, run.dataset.limits.ttl_s
        self._state.write_progress(dataset, run.query_id, _fields(query), ttl_s)
        record = json_format.MessageToJson(query, indent=None, ensure_ascii=False)
        self._state.write_query(run.query_id, record, ttl_s)

    def write_chunk(self, run: QueryRun, index: int, frame_id: str) -> None:
        """Point at the frame of a chunk."""
        self._state.write_chunk(run.dataset.name, run.query_id, index, frame_id, run.dataset.limits.ttl_s)

    def close(self, run: QueryRun) -> None:
        """Write how the query ended, and say that this process no longer runs it."""
        self.write(run)
        self._state.let_go(run.query_id, self._owner)

    def recall(self, query_id: str) -> pb.Query | None:
        """Return the query as last written; one that nobody runs any more has failed as INTERRUPTED."""
        record = self._state.read_query(query_id)
        if record is None:
            return None
        query = json_format.Parse(record, pb.Query(), ignore_unknown_fields=True)
        if query.state == pb.QUERY_STATE_RUNNING and self._state.owner(query_id) is None:
            interrupted = Interrupted(query_id)
            query.state = pb.QUERY_STATE_FAILED
            query.error_code, query.error_message = interrupted.reason, interrupted.message
        return query


def _fields(query: pb.Query) -> dict[str, str]:
    progress = query.progress
    cancelled = query.state == pb.QUERY_STATE_CANCELLED
    failed = [chunk for chunk in progress.chunks if chunk.state == pb.CHUNK_STATE_FAILED]
    return BatchProgress(
        total=progress.total_count,
        completed=progress.completed_count,
        failed=progress.failed_count,
        ended=query.state != pb.QUERY_STATE_RUNNING,
        status="cancelled" if cancelled else "failed" if query.state == pb.QUERY_STATE_FAILED else "",
        failed_ranges=[{"start": chunk.start, "end": chunk.end} for chunk in failed],
    ).fields()
