"""Two readers that share leases: one reads, the other takes its frame, and whoever falls behind keeps nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_query_engine.execution.chunk import ChunkJob, StoredChunk
from sluice_query_engine.execution.lease_keeper import LeaseKeeper
from sluice_query_engine.execution.leased_reader import LeasedReader, LeaseLimits
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.small_frames import put_table
from sluice_query_engine.leases import Lease, MemoryLeases
from sluice_query_engine.parts import Part
from sluice_query_engine.planning.freshness import FreshnessRule
from sluice_rpc.errors import Cancelled, QueryTimeout
from sluice_rpc.ports import FakeClock, SequentialIds
from sluice_warehouse import Statement
from sluice_warehouse.errors import StatementCancelled, WarehouseError

from tests.polling import poll_until

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
STATEMENT = Statement("slice", "select :start_time, :end_time, :row_limit", ("start_time", "end_time", "row_limit"))
SCHEMA = pa.schema([("hold_time", pa.timestamp("s"))])
PART = Part("slice", STATEMENT, SCHEMA, "time", "hold_time", None, ())
JOB = ChunkJob(
    dataset="hold-history",
    series="s",
    part=PART,
    start=datetime(2025, 1, 1, 7, 30),
    end=datetime(2025, 2, 1, 7, 30),
    parameters={},
    max_row_count=100,
    freshness=FreshnessRule(timedelta(minutes=15), timedelta(days=1), timedelta(days=7)),
    client_id="test",
)
WAIT_S = 10.0
CHUNK_DEADLINE_S = 300.0
LIFE_S = 6.0


class GatedReader:
    """Reads the chunk into the cache once it is let; several attempts are told apart by their frames."""

    def __init__(self, cache: MemoryFrameCache, clock: FakeClock, name: str) -> None:
        self._cache = cache
        self._clock = clock
        self._name = name
        self.gate = threading.Event()
        self.attempt_count = 0
        self.until: float | None = None
        self.error: WarehouseError | None = None

    def read(self, job: ChunkJob, scope: CancelScope, on_rows: Callable[[int], None]) -> StoredChunk:
        self.until = job.until
        self.attempt_count += 1
        read_time = self._clock.now()
        with scope.attached(self.gate.set):
            assert self.gate.wait(WAIT_S)
        if scope.cancelled:
            raise StatementCancelled("slice")
        if self.error is not None:
            raise self.error
        fence = job.fence() if job.fence is not None else 0
        labels = {**job.labels(truncated=False), "fence": str(fence)}
        frame_id = f"chunk-{self._name}-{self.attempt_count}"
        life = timedelta(hours=1)
        put_table(self._cache, frame_id, SCHEMA.empty_table(), labels, now=read_time, fresh_for=life)
        return StoredChunk(frame_id, 0, read_time, truncated=False)


class CountingLeases(MemoryLeases):
    """Leases that count whom they refused."""

    refused_count = 0

    def take(self, name: str, token: str, life_s: float) -> Lease | None:
        lease = super().take(name, token, life_s)
        self.refused_count += lease is None
        return lease


class SilentKeeper(LeaseKeeper):
    """A keeper that beats only when a test says so."""

    def _run(self) -> None:
        return


class World:
    """Two engines' readers over one cache, one clock and one set of leases."""

    def __init__(self, stack: ExitStack) -> None:
        self.clock = FakeClock(NOW)
        self.cache = MemoryFrameCache(self.clock)
        self.leases = CountingLeases(self.clock)
        self.one, self.other = (GatedReader(self.cache, self.clock, name) for name in ("one", "other"))
        ids = SequentialIds()
        self.keepers = [SilentKeeper(self.leases, self.clock, LIFE_S) for _ in range(2)]
        self._readers = [
            LeasedReader(
                reader,
                self.leases,
                keeper,
                cache=self.cache,
                clock=self.clock,
                ids=ids,
                limits=LeaseLimits(CHUNK_DEADLINE_S, life_s=LIFE_S, look_s=0.002),
            )
            for reader, keeper in zip((self.one, self.other), self.keepers, strict=True)
        ]
        self._pool = stack.enter_context(ThreadPoolExecutor(4))
        stack.callback(self.other.gate.set)
        stack.callback(self.one.gate.set)
        for keeper in self.keepers:
            stack.callback(keeper.close)

    def begin(self, which: int, scope: CancelScope | None = None, job: ChunkJob = JOB) -> Future[StoredChunk]:
        """Have an engine read the chunk."""
        return self._pool.submit(self._readers[which].read, job, scope or CancelScope(), lambda rows: None)

    def owned_by_one(self) -> Future[StoredChunk]:
        """Have the first engine read the chunk, and wait until it does."""
        reading = self.begin(0)
        poll_until(lambda: self.one.attempt_count == 1, WAIT_S, "the first reader")
        return reading


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack)


def test_who_comes_second_gets_the_frame_of_the_first(world: World) -> None:
    first, second = world.owned_by_one(), world.begin(1)
    world.one.gate.set()
    assert first.result(WAIT_S) == second.result(WAIT_S)
    assert world.other.attempt_count == 0


def test_who_comes_after_it_landed_finds_the_frame_though_it_was_planned_without_it(world: World) -> None:
    world.one.gate.set()
    first = world.begin(0).result(WAIT_S)
    assert world.begin(1).result(WAIT_S) == first
    assert world.other.attempt_count == 0


def test_a_forced_read_does_not_take_a_frame_from_before_it(world: World) -> None:
    world.one.gate.set()
    world.other.gate.set()
    world.begin(0).result(WAIT_S)
    world.clock.advance(5)
    anew = replace(JOB, not_before=world.clock.now())
    assert world.begin(1, job=anew).result(WAIT_S).frame_id == "chunk-other-1"


def test_a_forced_read_does_not_take_what_lands_from_a_read_that_began_before_it(world: World) -> None:
    first = world.owned_by_one()
    world.clock.advance(1)
    second = world.begin(1, job=replace(JOB, not_before=world.clock.now()))
    assert not wait([second], 0.2).done, "it waits for the lease"
    world.other.gate.set()
    world.one.gate.set()
    assert first.result(WAIT_S).frame_id == "chunk-one-1"
    assert second.result(WAIT_S).frame_id == "chunk-other-1"


def test_a_failure_is_not_shared(world: World) -> None:
    world.one.error = WarehouseError(600)
    first, second = world.owned_by_one(), world.begin(1)
    world.other.gate.set()
    world.one.gate.set()
    assert isinstance(first.exception(WAIT_S), WarehouseError)
    assert second.result(WAIT_S).frame_id == "chunk-other-1"


def test_who_waits_ends_when_nobody_wants_its_chunk_any_more(world: World) -> None:
    world.owned_by_one()
    scope = CancelScope()
    second = world.begin(1, scope)
    scope.cancel()
    assert isinstance(second.exception(WAIT_S), Cancelled)


def test_who_waits_longer_than_a_chunk_may_take_says_so(world: World) -> None:
    assert world.leases.take(JOB.name, "an engine elsewhere", 1e6) is not None
    waiting = world.begin(1)
    poll_until(waiting.running, WAIT_S, "the wait to begin")
    # It may note when it began after the first of these, so time goes on until it has had enough.
    poll_until(lambda: world.clock.advance(301) or waiting.done(), WAIT_S, "the end of the wait")  # type: ignore[func-returns-value]
    assert isinstance(waiting.exception(WAIT_S), QueryTimeout)


def test_an_owner_that_went_silent_is_followed_and_its_late_frame_is_not_kept(world: World) -> None:
    first = world.owned_by_one()
    world.clock.advance(LIFE_S + 1)
    second = world.begin(1)
    poll_until(lambda: world.other.attempt_count == 1, WAIT_S, "the successor")
    world.one.gate.set()
    poll_until(lambda: world.leases.look(JOB.name).held, WAIT_S, "the successor's lease")
    world.other.gate.set()
    assert second.result(WAIT_S).frame_id == "chunk-other-1"
    assert first.result(WAIT_S).frame_id == "chunk-other-1"
    assert len(world.cache.list_frames({"series": "s"})) == 1


def test_who_waits_for_an_owner_that_went_silent_has_waited_out_of_its_own_deadline(world: World) -> None:
    begun = world.clock.monotonic()
    world.owned_by_one()
    world.begin(1)
    poll_until(lambda: world.leases.refused_count == 1, WAIT_S, "the second reader to wait")
    world.clock.advance(LIFE_S + 1)
    poll_until(lambda: world.other.attempt_count == 1, WAIT_S, "the successor")
    assert world.other.until == begun + CHUNK_DEADLINE_S


def test_a_lost_lease_cancels_the_statement_at_the_next_beat(world: World) -> None:
    first = world.owned_by_one()
    world.clock.advance(LIFE_S + 1)
    second = world.begin(1)
    poll_until(lambda: world.other.attempt_count == 1, WAIT_S, "the successor")
    world.keepers[0].beat()
    assert world.one.gate.wait(WAIT_S)
    world.other.gate.set()
    assert first.result(WAIT_S) == second.result(WAIT_S)


def test_a_lease_that_ended_unseen_is_taken_again_by_its_owner_while_nobody_followed(world: World) -> None:
    first = world.owned_by_one()
    world.clock.advance(LIFE_S + 1)
    world.keepers[0].beat()
    assert world.leases.look(JOB.name).held
    world.one.gate.set()
    assert first.result(WAIT_S).frame_id == "chunk-one-1"


def test_without_leases_each_engine_reads_for_itself(world: World) -> None:
    world.leases.away = True
    first, second = world.owned_by_one(), world.begin(1)
    poll_until(lambda: world.other.attempt_count == 1, WAIT_S, "the second reader")
    world.one.gate.set()
    world.other.gate.set()
    assert {first.result(WAIT_S).frame_id, second.result(WAIT_S).frame_id} == {"chunk-one-1", "chunk-other-1"}


def test_leases_that_go_away_while_one_waits_let_it_read(world: World) -> None:
    first, second = world.owned_by_one(), world.begin(1)
    world.leases.away = True
    poll_until(lambda: world.other.attempt_count == 1, WAIT_S, "the second reader")
    world.one.gate.set()
    world.other.gate.set()
    assert first.result(WAIT_S).frame_id == "chunk-one-1"
    assert second.result(WAIT_S).frame_id == "chunk-other-1"


def test_every_lease_is_given_back_however_the_read_ends(world: World) -> None:
    world.one.error = WarehouseError(600)
    world.one.gate.set()
    world.begin(0).exception(WAIT_S)
    assert not world.leases.look(JOB.name).held
