"""Single flight across processes: of all engines that want a chunk one reads it, the others wait for its frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

import structlog
from sluice_rpc.errors import Cancelled, QueryTimeout, ServiceError
from sluice_rpc.ports import Clock, Ids

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.execution.chunk import ChunkJob, StoredChunk
from sluice_query_engine.execution.lease_keeper import Hold, LeaseKeeper, LeaseLost
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.small_frames import instant_of
from sluice_query_engine.leases import LANDED_S, LEASE_S, Lease, Leases, LeasesAway

log = structlog.get_logger()

LOOK_S: Final = 0.1
"""How often whoever waits for another process's chunk looks at first; the pause grows."""
_LONGEST_LOOK_S: Final = 0.5
_MARGIN_S: Final = 30.0
"""Beyond its deadline a read may take so long to notice; then its lease is no longer prolonged."""


class ReadsChunks(Protocol):
    """What reads a chunk; the chunk reader, or a test's own."""

    def read(self, job: ChunkJob, scope: CancelScope, on_rows: Callable[[int], None]) -> StoredChunk:
        """Read a chunk; see `ChunkReader.read`."""
        ...


@dataclass(frozen=True)
class LeaseLimits:
    """Times of single flight.

    Args:
        chunk_deadline_s: longest that one chunk may be waited for and read, both together.
        life_s: life of a lease without a sign of its owner.
        look_s: first pause between two looks at a lease that another holds.
    """

    chunk_deadline_s: float
    life_s: float = LEASE_S
    look_s: float = LOOK_S


class LeasedReader:
    """Reads a chunk under a lease, or returns what another process has just read.

    A finished chunk is not read again: whoever gets a lease looks first whether a frame has landed since it was
    planned. Where nobody can be asked, the chunk is read as if this process were alone.

    Args:
        reader: reads the chunk.
        leases: who reads what.
        keeper: keeps the lease alive.
        cache: where frames land.
        clock: tells fresh from stale.
        ids: make tokens unique.
        limits: times.
    """

    def __init__(
        self,
        reader: ReadsChunks,
        leases: Leases,
        keeper: LeaseKeeper,
        *,
        cache: FrameCache,
        clock: Clock,
        ids: Ids,
        limits: LeaseLimits,
    ) -> None:
        self._reader = reader
        self._leases = leases
        self._keeper = keeper
        self._cache = cache
        self._clock = clock
        self._ids = ids
        self._limits = limits

    def read(self, job: ChunkJob, scope: CancelScope, on_rows: Callable[[int], None]) -> StoredChunk:
        """Return the chunk, read here or elsewhere; `on_rows` is told of statements of this process only.

        Raises:
            Cancelled: withdrawn while another process read it.
            QueryTimeout: another process read it for longer than a chunk may take.
            ServiceError: as the reader does. A failure is not shared: the next who waits tries for itself.
        """
        name = lease_name(job)
        until = self._clock.monotonic() + self._limits.chunk_deadline_s
        seen: int | None = None
        while True:
            try:
                lease = self._leases.take(name, self._ids.new(), self._limits.life_s)
                if lease is None:
                    landed, seen = self._await_landing(job, scope, until, seen)
                    if landed is not None:
                        return landed
                    continue
            except LeasesAway:
                return self._there(job) or self._reader.read(replace(job, until=until), scope, on_rows)
            with suppress(LeaseLost):
                return self._under(lease, replace(job, until=until), scope, on_rows)

    def _under(self, lease: Lease, job: ChunkJob, scope: CancelScope, on_rows: Callable[[int], None]) -> StoredChunk:
        attempt = CancelScope()
        longest_s = self._limits.chunk_deadline_s + _MARGIN_S
        with self._keeper.keeping(lease, longest_s, attempt.cancel) as hold, scope.attached(attempt.cancel):
            there = self._there(job)
            if there is not None:
                return there
            try:
                stored = self._reader.read(replace(job, fence=lambda: self._keeper.confirm(hold)), attempt, on_rows)
            except ServiceError as error:
                if hold.lost and not scope.cancelled:
                    raise LeaseLost from error
                raise
            self._land(hold, stored)
            return stored

    def _land(self, hold: Hold, stored: StoredChunk) -> None:
        with suppress(LeasesAway):
            if not self._leases.land(hold.lease, _record(stored), LANDED_S):
                # It is a good frame all the same, only not the one that others are told of.
                log.info("chunk landed late", lease=hold.lease.name)

    def _there(self, job: ChunkJob) -> StoredChunk | None:
        """Return the newest frame of exactly this chunk that may stand for it, or None."""
        now = self._clock.now()
        for frame in reversed(self._cache.list_frames(job.labels(truncated=False))):
            read_time = instant_of(frame.read_time)
            # Open rows of a frame are taken as they were for a while only, however long the rest is fresh.
            fresh_until = (
                read_time + job.freshness.ttl if "open" in frame.labels else instant_of(frame.fresh_until_time)
            )
            if "truncated" in frame.labels or fresh_until <= now:
                continue
            if ("end" in frame.labels) != (job.end is not None):
                continue
            if job.not_before is None or read_time >= job.not_before:
                return StoredChunk(frame.frame_id, frame.row_count, read_time, truncated=False)
        return None

    def _await_landing(
        self, job: ChunkJob, scope: CancelScope, until: float, seen: int | None
    ) -> tuple[StoredChunk | None, int | None]:
        """Wait while another process reads; return its chunk, or None once the lease is free, and the fence seen."""
        name = lease_name(job)
        pause_s = self._limits.look_s
        while True:
            sight = self._leases.look(name)
            fence = sight.landed.fence if sight.landed is not None else 0
            if seen is None and sight.held:
                # What landed before the one who reads now began is what this reader was planned without.
                seen = fence
            if sight.landed is not None and seen is not None and fence > seen:
                stored = _stored(sight.landed.record)
                if job.takes(stored):
                    return stored, fence
                seen = fence
            if not sight.held:
                return None, seen
            if self._clock.monotonic() >= until:
                raise QueryTimeout("another process reads the chunk and takes too long", lease=name)
            self._rest(name, scope, pause_s)
            pause_s = min(2 * pause_s, _LONGEST_LOOK_S)

    def _rest(self, name: str, scope: CancelScope, pause_s: float) -> None:
        if scope.withdrawn.wait(pause_s):
            raise Cancelled("the chunk is no longer wanted")


def lease_name(job: ChunkJob) -> str:
    """Return what the lease of a chunk is called: its series and its range, or its ids."""
    return job.name


def _record(stored: StoredChunk) -> str:
    return json.dumps(
        {
            "frame_id": stored.frame_id,
            "row_count": stored.row_count,
            "read_time": stored.read_time.isoformat(),
            "truncated": stored.truncated,
        }
    )


def _stored(record: str) -> StoredChunk:
    fields = json.loads(record)
    return StoredChunk(
        str(fields["frame_id"]),
        int(fields["row_count"]),
        datetime.fromisoformat(fields["read_time"]),
        bool(fields["truncated"]),
    )
