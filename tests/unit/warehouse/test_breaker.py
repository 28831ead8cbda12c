"""The breaker on a clock of the test: when it opens, whom it lets through, and that it never stalls."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Self

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from prometheus_client import CollectorRegistry
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import FakeClock
from sluice_warehouse import Bind, Statement, Tag
from sluice_warehouse.breaker import Breaker, BreakerRule, Passage, State
from sluice_warehouse.breaker_metrics import register_breaker
from sluice_warehouse.errors import (
    CircuitOpen,
    ContractBroken,
    LogonRefused,
    PasswordUnreadable,
    PoolExhausted,
    StatementCancelled,
    StatementTimeout,
    WarehouseError,
    WarehouseUnavailable,
)
from sluice_warehouse.guarded import GuardedWarehouse
from sluice_warehouse.statements import parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATEMENT = parse("part", "select 1 as a from dual")
SCHEMA = pa.schema([("a", pa.int64())])
BATCH = pa.RecordBatch.from_pylist([{"a": 1}], schema=SCHEMA)
TAG = Tag("m", "a", "c")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


def opened(clock: FakeClock, rule: BreakerRule | None = None) -> Breaker:
    """Return a breaker that five failures have opened."""
    breaker = Breaker(rule or BreakerRule(), clock)
    for _ in range(5):
        breaker.admit().failed()
    return breaker


def test_five_failures_open_it(clock: FakeClock) -> None:
    breaker = opened(clock)
    with pytest.raises(CircuitOpen) as refused:
        breaker.admit()
    assert refused.value.retry_after_s == 30


def test_four_failures_do_not(clock: FakeClock) -> None:
    breaker = Breaker(BreakerRule(), clock)
    for _ in range(4):
        breaker.admit().failed()
    assert breaker.snapshot().state == "closed"


def test_five_failures_among_more_successes_do_not(clock: FakeClock) -> None:
    breaker = Breaker(BreakerRule(window_size=20), clock)
    for _ in range(10):
        breaker.admit().succeeded()
    for _ in range(5):
        breaker.admit().failed()
    assert breaker.snapshot().state == "closed"


def test_only_the_latest_results_count(clock: FakeClock) -> None:
    breaker = Breaker(BreakerRule(), clock)
    for _ in range(4):
        breaker.admit().failed()
    for _ in range(10):
        breaker.admit().succeeded()
    breaker.admit().failed()
    assert (breaker.snapshot().failure_count, breaker.snapshot().total_count) == (1, 10)


def test_before_the_recovery_time_nobody_is_let_through(clock: FakeClock) -> None:
    breaker = opened(clock)
    clock.advance(29.9)
    with pytest.raises(CircuitOpen):
        breaker.admit()


def test_after_it_exactly_one_of_many_is(clock: FakeClock) -> None:
    breaker = opened(clock)
    clock.advance(30)
    together = threading.Barrier(8)

    def ask(_: int) -> bool:
        together.wait()
        try:
            breaker.admit()
        except CircuitOpen:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(ask, range(8))) == 1


def test_a_probe_that_succeeds_closes_it_and_forgets(clock: FakeClock) -> None:
    breaker = opened(clock)
    clock.advance(30)
    breaker.admit().succeeded()
    assert (breaker.snapshot().state, breaker.snapshot().total_count) == ("closed", 0)


def test_a_probe_that_fails_opens_it_for_the_whole_time_again(clock: FakeClock) -> None:
    breaker = opened(clock)
    clock.advance(30)
    breaker.admit().failed()
    assert (breaker.snapshot().state, breaker.snapshot().open_for_s) == ("open", 30)


def test_a_probe_that_is_left_makes_way_for_another(clock: FakeClock) -> None:
    breaker = opened(clock)
    clock.advance(30)
    breaker.admit().left()
    breaker.admit().succeeded()
    assert breaker.snapshot().state == "closed"


def test_a_late_failure_of_an_earlier_time_decides_nothing(clock: FakeClock) -> None:
    breaker = Breaker(BreakerRule(), clock)
    late = breaker.admit()
    for _ in range(5):
        breaker.admit().failed()
    clock.advance(30)
    breaker.admit().succeeded()
    late.failed()
    assert breaker.snapshot().total_count == 0


def test_switched_off_it_counts_and_lets_everybody_through(clock: FakeClock) -> None:
    breaker = opened(clock, BreakerRule(enabled=False))
    breaker.admit()
    assert (breaker.snapshot().failure_count, breaker.snapshot().enabled) == (5, False)


def test_whoever_is_told_of_a_change_may_ask_for_the_state(clock: FakeClock) -> None:
    seen: list[tuple[State, State]] = []
    breaker = Breaker(BreakerRule(), clock, lambda state: seen.append((state, breaker.snapshot().state)))
    for _ in range(5):
        breaker.admit().failed()
    clock.advance(30)
    breaker.admit().succeeded()
    assert seen == [("open", "open"), ("half_open", "half_open"), ("closed", "closed")]


def test_the_snapshot_tells_the_last_failure_and_the_rate(clock: FakeClock) -> None:
    breaker = Breaker(BreakerRule(), clock)
    breaker.admit().succeeded()
    breaker.admit().succeeded()
    clock.advance(7)
    breaker.admit().failed()
    snapshot = breaker.snapshot()
    assert (snapshot.failure_rate, snapshot.last_failure_time) == (0.33, clock.now())


class Walk(RuleBasedStateMachine):
    """Any order of requests, results and time: one probe at a time, nobody through an open breaker."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(NOW)
        self.breaker = Breaker(BreakerRule(failure_threshold=2, window_size=4, recovery_s=10), self.clock)
        self.under_way: list[Passage] = []

    @rule()
    def ask(self) -> None:
        before = self.breaker.snapshot()
        try:
            passage = self.breaker.admit()
        except CircuitOpen:
            assert before.state != "closed"
            return
        assert before.state != "open" or before.open_for_s == 0
        self.under_way.append(passage)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), result=st.sampled_from(["succeeded", "failed", "left"]))
    def end(self, data: st.DataObject, result: str) -> None:
        index = data.draw(st.integers(0, len(self.under_way) - 1))
        getattr(self.under_way.pop(index), result)()

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def one_probe_at_most(self) -> None:
        if self.breaker.snapshot().state == "half_open":
            now = self.breaker._round
            assert sum(passage.probe and passage.round_number == now for passage in self.under_way) <= 1

    def teardown(self) -> None:
        # It never stays shut: once everybody has left and time has passed, a probe gets through.
        for passage in self.under_way:
            passage.left()
        self.clock.advance(10)
        self.breaker.admit().succeeded()
        assert self.breaker.snapshot().state == "closed"


TestBreakerWalk = Walk.TestCase


class ScriptedReading:
    """Batches and errors in order."""

    schema = SCHEMA
    row_count = 0

    def __init__(self, script: list[pa.RecordBatch | ServiceError], *, end_confirmed: bool = True) -> None:
        self._script = script
        self.end_confirmed = end_confirmed

    def cancel(self) -> None:
        return

    def close(self) -> None:
        return

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for step in self._script:
            if isinstance(step, ServiceError):
                raise step
            yield step

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ScriptedWarehouse:
    """Gives out one reading, again and again."""

    def __init__(self, reading: ScriptedReading | ServiceError | ValueError) -> None:
        self._reading = reading

    def open(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> ScriptedReading:
        if isinstance(self._reading, Exception):
            raise self._reading
        return self._reading

    def open_pooled(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> ScriptedReading:
        return self.open(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)

    def plant_time(self) -> datetime:
        self.ping()
        return NOW.replace(tzinfo=None)

    def ping(self) -> None:
        if isinstance(self._reading, Exception):
            raise self._reading

    def close(self) -> None:
        return


def after(clock: FakeClock, reading: ScriptedReading | ServiceError | ValueError) -> tuple[int, int]:
    """Return failures and results that the breaker counts after one read."""
    guarded = GuardedWarehouse(ScriptedWarehouse(reading), Breaker(BreakerRule(), clock))
    try:
        with guarded.open(STATEMENT, {}, schema=SCHEMA, deadline_s=1, tag=TAG) as rows:
            list(rows)
    except (ServiceError, ValueError) as error:
        assert error is reading or reading._script[-1] is error  # type: ignore[union-attr]
    snapshot = guarded.breaker.snapshot()
    return snapshot.failure_count, snapshot.total_count


@pytest.mark.parametrize(
    ("reading", "counted"),
    [
        (ScriptedReading([BATCH]), (0, 1)),
        (ScriptedReading([]), (0, 1)),
        (ScriptedReading([WarehouseUnavailable()]), (1, 1)),
        (ScriptedReading([BATCH, WarehouseUnavailable()]), (1, 2)),
        (ScriptedReading([StatementTimeout("part", 1)], end_confirmed=False), (1, 1)),
        (ScriptedReading([StatementTimeout("part", 1)]), (0, 0)),
        (ScriptedReading([StatementCancelled("part")]), (0, 0)),
        (ScriptedReading([WarehouseError(942)]), (0, 1)),
        (ScriptedReading([ContractBroken("a", "part")]), (0, 1)),
        (WarehouseUnavailable(), (1, 1)),
        (PoolExhausted(4, 5), (0, 0)),
        (LogonRefused(1017, 60), (0, 0)),
        (PasswordUnreadable(), (0, 0)),
        (ValueError("binds"), (0, 0)),
    ],
)
def test_only_a_warehouse_that_is_not_there_counts_as_failing(
    clock: FakeClock, reading: ScriptedReading | ServiceError | ValueError, counted: tuple[int, int]
) -> None:
    assert after(clock, reading) == counted


def test_five_wrong_statements_keep_nobody_out(clock: FakeClock) -> None:
    guarded = GuardedWarehouse(ScriptedWarehouse(WarehouseError(942)), Breaker(BreakerRule(), clock))
    for _ in range(20):
        with pytest.raises(WarehouseError):
            guarded.plant_time()
    assert guarded.breaker.snapshot().state == "closed"


def test_a_health_check_goes_past_an_open_breaker(clock: FakeClock) -> None:
    guarded = GuardedWarehouse(ScriptedWarehouse(ScriptedReading([])), opened(clock))
    guarded.ping()
    with pytest.raises(CircuitOpen):
        guarded.plant_time()


def test_a_probe_that_is_closed_unread_makes_way_for_another(clock: FakeClock) -> None:
    guarded = GuardedWarehouse(ScriptedWarehouse(ScriptedReading([BATCH])), opened(clock))
    clock.advance(30)
    guarded.open(STATEMENT, {}, schema=SCHEMA, deadline_s=1, tag=TAG).close()
    with guarded.open(STATEMENT, {}, schema=SCHEMA, deadline_s=1, tag=TAG) as reading:
        assert len(list(reading)) == 1
    assert guarded.breaker.snapshot().state == "closed"


def test_prometheus_sees_the_state(clock: FakeClock) -> None:
    registry = CollectorRegistry()
    register_breaker(GuardedWarehouse(ScriptedWarehouse(ScriptedReading([])), opened(clock)), registry)
    states = {
        state: registry.get_sample_value("sluice_warehouse_breaker_state", {"state": state})
        for state in ("closed", "open", "half_open")
    }
    assert states == {"closed": 0, "open": 1, "half_open": 0}
