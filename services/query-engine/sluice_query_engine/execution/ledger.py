"""Writes what is known of a query where others can see it, and recalls it after a restart; decides nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

from google.protobuf import json_format
from sluice.query.v1 import query_service_pb2 as pb

from sluice_query_engine.errors import Interrupted
from sluice_query_engine.execution.progress import BatchProgress
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.leases import Leases, LeasesAway
from sluice_query_engine.state import Signal, StateStore

OWNER_LEASE_S: Final = 5.0
"""How long after its last sign of life the process that runs a query counts as alive."""

SIGNAL_S: Final = 30.0
"""How long a signal waits for the process that it is meant for."""


class Ledger:
    """Progress, chunk pointers, records and owner leases of this process's queries.

    Of two runs of one query only the newer writes, and of two processes that run one query only the one that holds it:
    the other's end must not be told of a query that still runs.

    Args:
        state: where they are written.
        leases: who runs what.
        owner: unique to this process's life.
    """

    def __init__(self, state: StateStore, leases: Leases, owner: str) -> None:
        self._state = state
        self._leases = leases
        self._owner = owner
        self._turns: dict[str, _Turn] = {}
        # Guards the dictionary and whose turn each is; nothing is written under it.
        self._lock = threading.Lock()

    def open(self, run: QueryRun) -> None:
        """Say that this process runs the query, and point at the chunks that are there."""
        with self._lock:
            self._turns.setdefault(run.query_id, _Turn(run)).run = run
        there = [chunk for chunk in run.plan.chunks if chunk.extent is not None] if run.plan else []
        self.write(
            run, {chunk.index: chunk.extent.frame_id for chunk in there if chunk.extent and chunk.extent.frame_id}
        )

    def write(self, run: QueryRun, chunks: Mapping[int, str] | None = None) -> None:
        """Write the progress and the record of a query as it stands, with pointers at the frames of chunks."""
        with self._turn_of(run) as ours:
            if ours:
                self._write(run, chunks or {})

    def close(self, run: QueryRun) -> None:
        """Write how the query ended, and say that this process no longer runs it."""
        with self._turn_of(run) as ours:
            if ours:
                self._write(run, {})
                self._let_go(run.query_id)
        with self._lock:
            turn = self._turns.get(run.query_id)
            if turn is not None and turn.run is run:
                del self._turns[run.query_id]

    @contextmanager
    def _turn_of(self, run: QueryRun) -> Iterator[bool]:
        with self._lock:
            turn = self._turns.get(run.query_id)
        if turn is None:
            yield False
            return
        with turn.lock:
            yield turn.run is run

    def _write(self, run: QueryRun, chunks: Mapping[int, str]) -> None:
        if not self._holds(run.query_id):
            return
        query = run.snapshot()
        dataset, ttl_s = run.dataset.name, run.dataset.limits.ttl_s
        for index, frame_id in chunks.items():
            self._state.write_chunk(dataset, run.query_id, index, frame_id, ttl_s)
        self._state.write_progress(dataset, run.query_id, _fields(query), ttl_s)
        record = json_format.MessageToJson(query, indent=None, ensure_ascii=False)
        self._state.write_query(run.query_id, record, ttl_s)

    def _holds(self, query_id: str) -> bool:
        """Say that this process runs the query for a while longer; False where another has said so."""
        try:
            return self._leases.take(_owner_name(query_id), self._owner, OWNER_LEASE_S) is not None
        except LeasesAway:
            return True

    def _let_go(self, query_id: str) -> None:
        with suppress(LeasesAway):
            lease = self._leases.take(_owner_name(query_id), self._owner, OWNER_LEASE_S)
            if lease is not None:
                self._leases.release(lease)

    def _held(self, query_id: str) -> bool:
        try:
            return self._leases.look(_owner_name(query_id)).held
        except LeasesAway:
            # What this process runs itself is never recalled.
            return False

    def send(self, query_id: str, signal: Signal) -> None:
        """Tell the process that runs the query what a caller of this one wants of it."""
        self._state.send(query_id, signal, SIGNAL_S)

    def heard(self, run: QueryRun) -> Mapping[Signal, int]:
        """Return how often callers of other processes sent each signal since last asked."""
        return self._state.heard(run.query_id)

    def recall(self, query_id: str) -> pb.Query | None:
        """Return the query as last written; one that nobody runs any more has failed as INTERRUPTED."""
        record = self._state.read_query(query_id)
        if record is None:
            return None
        query = json_format.Parse(record, pb.Query(), ignore_unknown_fields=True)
        if query.state == pb.QUERY_STATE_RUNNING and not self._held(query_id):
            interrupted = Interrupted(query_id)
            query.state = pb.QUERY_STATE_FAILED
            query.error_code, query.error_message = interrupted.reason, interrupted.message
        return query


class _Turn:
    """Which run of a query may write, one at a time."""

    def __init__(self, run: QueryRun) -> None:
        self.run = run
        self.lock = threading.Lock()


def _owner_name(query_id: str) -> str:
    """Return what the lease on running a query is called."""
    return f"owner:{query_id}"


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
        failed_ranges=[{"start": chunk.start, "end": chunk.end} for chunk in failed if chunk.start],
    ).fields()
