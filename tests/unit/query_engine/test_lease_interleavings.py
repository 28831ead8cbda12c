"""Engines that share leases, moved one step at a time: whoever dies or stands still, a finished chunk is read once.

A thread of an engine stops where it would wait, before it looks again and before the rows of its statement are there.
Only one moves at a time, so the same steps always have the same outcome.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Literal

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_query_engine.execution.chunk import ChunkJob, StoredChunk
from sluice_query_engine.execution.lease_keeper import LeaseKeeper
from sluice_query_engine.execution.leased_reader import LeasedReader, LeaseLimits
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.small_frames import put_table
from sluice_query_engine.leases import Lease, MemoryLeases, Sight
from sluice_rpc.errors import Cancelled, ServiceError
from sluice_rpc.ports import FakeClock, SequentialIds
from sluice_warehouse.errors import StatementCancelled, WarehouseError

from tests.unit.query_engine.test_leased_reader import JOB, LIFE_S, SCHEMA, SilentKeeper

ENGINE_COUNT = 3
WAIT_S = 10.0
# A step is one move of one engine, or of the clock: at least 500 in all, in a soak 10,000.
EXAMPLE_COUNT = {"soak": 1000}.get(settings.get_current_profile_name(), 60)

Place = Literal["idle", "moving", "waits", "reads"]
Move = Literal["start", "go on", "fail", "withdraw", "beat", "crash"]


class Crashed(BaseException):
    """The engine is dead: nothing it would do afterwards has an effect."""


class MortalLeases(MemoryLeases):
    """One engine's view of the leases that all share; once it is dead, it changes nothing."""

    def __init__(self, shared: MemoryLeases, clock: FakeClock) -> None:
        super().__init__(clock)
        self._shared = shared
        self.dead = False

    def take(self, name: str, token: str, life_s: float) -> Lease | None:
        return self._alive_shared().take(name, token, life_s)

    def renew(self, lease: Lease, life_s: float) -> bool:
        return self._alive_shared().renew(lease, life_s)

    def release(self, lease: Lease) -> None:
        self._alive_shared().release(lease)

    def land(self, lease: Lease, record: str, keep_s: float) -> bool:
        return self._alive_shared().land(lease, record, keep_s)

    def look(self, name: str) -> Sight:
        return self._alive_shared().look(name)

    def announce(self, subject: str, entries: Sequence[str], life_s: float) -> None:
        self._alive_shared().announce(subject, entries, life_s)

    def _alive_shared(self) -> MemoryLeases:
        if self.dead:
            raise Crashed
        return self._shared


class Engine(LeasedReader):
    """One engine that wants the chunk; it reads it itself, once its statement is let go on."""

    def __init__(self, world: World, leases: MortalLeases, keeper: LeaseKeeper) -> None:
        limits = LeaseLimits(1e9, life_s=LIFE_S)
        super().__init__(
            _Statement(self, world), leases, keeper, cache=world.cache, clock=world.clock, ids=world.ids, limits=limits
        )
        self.leases = leases
        self.keeper = keeper
        self.scope = CancelScope()
        self.fails = False
        self.place: Place = "idle"
        self.answer: StoredChunk | None = None
        self.error: ServiceError | None = None
        self.fault: AssertionError | None = None
        self._thread: threading.Thread | None = None
        # Guards the place, and wakes whoever waits for it to change.
        self._changed = threading.Condition()

    def start(self) -> None:
        """Want the chunk, and come to the first stop."""
        self.scope, self.fails, self.answer, self.error, self.place = CancelScope(), False, None, None, "moving"
        self._thread = threading.Thread(target=self._want)
        self._thread.start()
        self._come_to_rest()

    def go_on(self) -> None:
        """Leave the stop, and come to the next."""
        with self._changed:
            self.place = "moving"
            self._changed.notify_all()
        self._come_to_rest()

    def stop(self, place: Place) -> None:
        """Stand until a step moves this engine on."""
        with self._changed:
            self.place = place
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self.place == "moving", WAIT_S)
        if self.leases.dead:
            raise Crashed

    def _want(self) -> None:
        with suppress(Crashed):
            try:
                self.answer = self.read(JOB, self.scope, lambda rows: None)
            except ServiceError as error:
                self.error = error
            except AssertionError as fault:
                self.fault = fault
        with self._changed:
            self.place = "idle"
            self._changed.notify_all()

    def _come_to_rest(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.place != "moving", WAIT_S)
        if self.place == "idle" and self._thread is not None:
            self._thread.join(WAIT_S)
        if self.fault is not None:
            raise self.fault

    def _rest(self, name: str, scope: CancelScope, pause_s: float) -> None:
        self.stop("waits")
        if scope.cancelled:
            raise Cancelled("the chunk is no longer wanted")


class _Statement:
    """The chunk reader of an engine."""

    def __init__(self, engine: Engine, world: World) -> None:
        self._engine = engine
        self._world = world

    def read(self, job: ChunkJob, scope: CancelScope, on_rows: Callable[[int], None]) -> StoredChunk:
        world = self._world
        assert world.frames() == [], "a chunk that had finished is read again"
        read_time = world.clock.now()
        self._engine.stop("reads")
        if scope.cancelled:
            raise StatementCancelled("slice")
        if self._engine.fails:
            raise WarehouseError(600)
        assert job.fence is not None
        labels = {**job.labels(truncated=False), "fence": str(job.fence())}
        frame_id = f"chunk-{world.ids.new()}"
        put_table(world.cache, frame_id, SCHEMA.empty_table(), labels, now=read_time, fresh_for=timedelta(hours=1))
        return StoredChunk(frame_id, 0, read_time, truncated=False)


class World:
    """Engines over one cache, one clock and one set of leases."""

    def __init__(self, stack: ExitStack) -> None:
        self.clock = FakeClock(datetime(2026, 1, 31, 8, tzinfo=UTC))
        self.cache = MemoryFrameCache(self.clock)
        self.ids = SequentialIds()
        self.shared = MemoryLeases(self.clock)
        self.engines: list[Engine] = []
        for _ in range(ENGINE_COUNT):
            leases = MortalLeases(self.shared, self.clock)
            keeper = SilentKeeper(leases, self.clock, LIFE_S)
            self.engines.append(Engine(self, leases, keeper))
            stack.callback(self._end, self.engines[-1])
            stack.callback(keeper.close)

    def frames(self) -> list[str]:
        """Return the frames that are kept of the chunk."""
        return [frame.frame_id for frame in self.cache.list_frames({"series": JOB.series})]

    def move(self, number: int, move: Move) -> None:
        """Have an engine do something, if it is alive and where that can be done."""
        engine = self.engines[number]
        if engine.leases.dead:
            return
        standing = engine.place != "idle"
        match move:
            case "start" if not standing:
                engine.start()
            case "go on" if standing:
                engine.go_on()
            case "fail" if engine.place == "reads":
                engine.fails = True
                engine.go_on()
            case "withdraw" if standing:
                engine.scope.cancel()
                engine.go_on()
            case "beat":
                engine.keeper.beat()
            case "crash":
                engine.leases.dead = True
                if standing:
                    engine.go_on()

    def finish(self) -> None:
        """Let everybody who is alive go on until nobody wants the chunk; time passes as long as somebody waits."""
        for _ in range(20 * ENGINE_COUNT):
            for engine in self.engines:
                if not engine.leases.dead and engine.place != "idle":
                    engine.keeper.beat()
                    engine.go_on()
            self.clock.advance(1.0)

    @staticmethod
    def _end(engine: Engine) -> None:
        engine.leases.dead = True
        if engine.place != "idle":
            engine.go_on()


MOVES: st.SearchStrategy[Move] = st.sampled_from(
    ["start", "start", "go on", "go on", "beat", "fail", "withdraw", "crash"]
)


@settings(max_examples=EXAMPLE_COUNT, deadline=None)
@example(steps=[(0, "start"), 7.0, (1, "start"), (0, "go on"), (1, "go on"), (0, "go on")])
@example(steps=[(0, "start"), (1, "start"), (0, "crash"), 7.0, (1, "go on"), (2, "start"), (1, "go on"), (2, "go on")])
@given(
    steps=st.lists(
        st.one_of(st.tuples(st.integers(0, ENGINE_COUNT - 1), MOVES), st.sampled_from([1.0, 4.0, 7.0])),
        min_size=8,
        max_size=16,
    )
)
def test_whoever_dies_or_stands_still_one_frame_is_kept_and_every_survivor_gets_it(
    steps: list[tuple[int, Move] | float],
) -> None:
    with ExitStack() as stack:
        world = World(stack)
        for step in steps:
            if isinstance(step, float):
                world.clock.advance(step)
            else:
                world.move(*step)
            assert len(world.frames()) <= 1, "two frames of one chunk are kept"
        world.finish()
        alive = [engine for engine in world.engines if not engine.leases.dead]
        assert [engine.place for engine in alive if engine.place != "idle"] == []
        assert {engine.answer.frame_id for engine in alive if engine.answer} <= set(world.frames())
        assert not world.shared.look(JOB.name).held


def places(world: World) -> list[Place]:
    return [engine.place for engine in world.engines[:2]]


def test_a_lease_ends_with_its_life_and_not_with_its_owner() -> None:
    with ExitStack() as stack:
        world = World(stack)
        world.move(0, "start")
        world.move(1, "start")
        world.move(0, "crash")
        world.move(1, "go on")
        before = places(world)
        world.clock.advance(LIFE_S)
        world.move(1, "go on")
        after = places(world)
        world.move(1, "go on")
        assert (before, after, places(world)) == (["idle", "waits"], ["idle", "reads"], ["idle", "idle"])
        assert world.engines[1].answer is not None
