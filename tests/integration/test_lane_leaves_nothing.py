"""However a reader of the slow lane is left, its lease, its permit, its statement and its connection are gone."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest
from sluice_rpc.errors import ServiceError
from sluice_warehouse import Reading, Tag
from sluice_warehouse.errors import StatementCancelled, StatementTimeout
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.permit_leases import LedgerAway
from sluice_warehouse.permits import ProcessPermits
from sluice_warehouse.permits_redis import RedisLedger

from tests.leased_permits import TERMS, ask_redis, end_grace, open_permits, requests
from tests.polling import poll_until
from tests.statement_counter import COUNTED, SCHEMA, CounterWarehouse, StatementCounter

LONG = {"duration_ms": 60_000, "deaf_ms": 0}
TAG = Tag("query-engine hold-history", "slice 3", "somebody")
SLACK_TERMS = replace(TERMS, plan="cap=2;one=1", lease_count=1)


@dataclass(frozen=True)
class Rig:
    """A lane whose share is taken, so that every statement runs under a lease in Redis."""

    lane: SlowLane
    permits: ProcessPermits
    ledger: RedisLedger
    counter: StatementCounter

    def await_nothing(self) -> None:
        """Wait until nothing is left anywhere: not here, not in Redis, not at the warehouse."""
        poll_until(lambda: self.counter.count.running == 0, 60, "no statement")
        poll_until(lambda: self.permits.snapshot().holders == ("share",), 60, "no permit")
        poll_until(lambda: self.ledger.read().leases == (), 60, "no lease")


@pytest.fixture
def rig(redis_url: str) -> Iterator[Rig]:
    ledger = RedisLedger(redis_url)
    end_grace(lambda asked, now_ms: ask_redis(ledger, asked, now_ms), SLACK_TERMS)
    with StatementCounter(2) as counter:
        permits = open_permits(RedisLedger(redis_url), SLACK_TERMS, 1)
        with permits.acquire(1, "share"):
            yield Rig(SlowLane(CounterWarehouse(counter.port), permits), permits, ledger, counter)
        permits.close()
    ledger.close()


def start(rig: Rig) -> Iterator[object]:
    """Yield forever from a running statement, as a generator that streams to a caller does."""
    with rig.lane.read(COUNTED, LONG, schema=SCHEMA, deadline_s=20, tag=TAG) as reading:
        yield "open"
        yield from reading


def in_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        with suppress(ServiceError, KeyError, SystemExit):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def pull(rig: Rig, opened: list[Reading], deadline_s: float = 20) -> None:
    with rig.lane.read(COUNTED, LONG, schema=SCHEMA, deadline_s=deadline_s, tag=TAG) as reading:
        opened.append(reading)
        next(iter(reading))


def test_a_running_statement_shows_its_lease_to_all_processes(rig: Rig) -> None:
    opened: list[Reading] = []
    thread = in_thread(lambda: pull(rig, opened))
    poll_until(lambda: rig.counter.count.running == 1, 60)
    (lease,) = rig.ledger.read().leases
    opened[0].cancel()
    thread.join(60)
    assert (lease.process, lease.who) == ("one", "query-engine hold-history slice 3 for somebody")
    rig.await_nothing()


def test_the_share_is_shown_to_all_processes_too(rig: Rig) -> None:
    poll_until(lambda: [row.share for row in rig.ledger.read().processes] == [("share",)], 60)


def test_a_reader_that_fails_leaves_nothing(rig: Rig) -> None:
    with (
        pytest.raises(KeyError),
        rig.lane.read(COUNTED, LONG, schema=SCHEMA, deadline_s=20, tag=TAG),
    ):
        raise KeyError
    rig.await_nothing()


def test_a_generator_that_is_closed_leaves_nothing(rig: Rig) -> None:
    rows = start(rig)
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    rig.await_nothing()


def test_a_generator_that_is_forgotten_leaves_nothing(rig: Rig) -> None:
    rows = start(rig)
    next(rows)
    del rows
    gc.collect()
    rig.await_nothing()


def test_a_cancelled_reading_leaves_nothing(rig: Rig) -> None:
    opened: list[Reading] = []
    thread = in_thread(lambda: pull(rig, opened))
    poll_until(lambda: rig.counter.count.running == 1, 60)
    opened[0].cancel()
    thread.join(60)
    rig.await_nothing()


def test_a_deadline_leaves_nothing(rig: Rig) -> None:
    with pytest.raises(StatementTimeout):
        pull(rig, [], deadline_s=0.3)
    rig.await_nothing()


def test_a_waiter_that_is_withdrawn_leaves_nothing(rig: Rig) -> None:
    withdrawn = threading.Event()
    with rig.permits.acquire(1, "lease"):
        threading.Timer(0.2, withdrawn.set).start()
        with (
            pytest.raises(StatementCancelled),
            rig.lane.read(COUNTED, LONG, schema=SCHEMA, deadline_s=20, tag=TAG, withdrawn=withdrawn),
        ):
            pass
    rig.await_nothing()


def test_a_thread_that_is_killed_leaves_nothing(rig: Rig) -> None:
    thread = in_thread(lambda: pull(rig, []))
    poll_until(lambda: rig.counter.count.running == 1, 60)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
    thread.join(60)
    rig.await_nothing()


def test_a_lease_that_no_longer_counts_stops_its_statement(rig: Rig) -> None:
    thread = in_thread(lambda: pull(rig, []))
    poll_until(lambda: rig.counter.count.running == 1, 60)
    other = requests("other", SLACK_TERMS)

    def taken() -> bool:
        rig.ledger.empty()
        rig.ledger.ask(other(holds=("all there is",)))
        return not thread.is_alive()

    poll_until(taken, 60, "the end of the statement")
    poll_until(lambda: rig.counter.count.running == 0, 60)


def test_a_process_that_ends_gives_its_leases_back(rig: Rig, redis_url: str) -> None:
    other = open_permits(RedisLedger(redis_url), SLACK_TERMS, 1, "two")
    for permit in [other.acquire(1, "share of two"), other.acquire(5, "lease of two")]:
        permit.release()
    other.close()
    assert rig.ledger.read().leases == ()


def test_a_process_that_ends_leaves_the_lease_of_what_may_still_run(rig: Rig, redis_url: str) -> None:
    other = open_permits(RedisLedger(redis_url), SLACK_TERMS, 1, "two")
    held = [other.acquire(1, "share of two"), other.acquire(5, "lease of two")]
    other.close()
    assert [lease.who for lease in rig.ledger.read().leases] == ["lease of two"]
    for permit in held:
        permit.release(confirmed=False)


def test_a_statement_goes_on_when_redis_is_emptied_and_its_lease_is_written_in_again(rig: Rig) -> None:
    opened: list[Reading] = []
    thread = in_thread(lambda: pull(rig, opened))
    poll_until(lambda: rig.counter.count.running == 1, 60)
    rig.ledger.empty()
    poll_until(lambda: len(rig.ledger.read().leases) == 1, 60)
    running = rig.counter.count.running
    opened[0].cancel()
    thread.join(60)
    assert running == 1
    rig.await_nothing()


def test_the_page_of_a_redis_that_is_away_says_so() -> None:
    ledger = RedisLedger("redis://127.0.0.1:1/0")
    with pytest.raises(LedgerAway):
        ledger.read()
