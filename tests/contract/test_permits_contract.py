"""What every implementation of `Permits` promises; a new one joins the list of the fixture."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pytest
from sluice_rpc.ports import SystemClock
from sluice_warehouse.errors import PermitsExhausted, StatementCancelled
from sluice_warehouse.permit_leases import Ledger, MemoryLedger
from sluice_warehouse.permits import LocalPermits, Permits
from sluice_warehouse.permits_redis import RedisLedger

from tests.leased_permits import TERMS, ask_redis, end_grace, open_permits
from tests.polling import poll_until

Factory = Callable[[int], Permits]
MARGIN_S = 0.3


@pytest.fixture(params=["share", "leases in memory", "leases in redis"])
def permits_of(request: pytest.FixtureRequest) -> Iterator[Factory]:
    """Return a maker of permits: a share alone, or a share of one and leases for the rest."""
    with ExitStack() as closing:

        def make(count: int) -> Permits:
            if request.param == "share":
                return LocalPermits(count, margin_s=MARGIN_S)
            terms = replace(TERMS, plan=f"cap={count};one=1", lease_count=count - 1)
            ledger: Ledger
            if request.param == "leases in memory":
                ledger = memory = MemoryLedger(SystemClock())
                end_grace(lambda asked, now_ms: memory.ledger.answer(asked, now_ms, memory.run), terms)
            else:
                ledger = shared = RedisLedger(request.getfixturevalue("redis_url"))
                end_grace(lambda asked, now_ms: ask_redis(shared, asked, now_ms), terms)
            state = "granting" if count > 1 else "none"
            permits = open_permits(ledger, terms, 1, await_state=state, margin_s=MARGIN_S)
            closing.callback(permits.close)
            poll_until(lambda: permits.available_count == count, 60)
            return permits

        yield make


def test_all_permits_can_be_held_at_once(permits_of: Factory) -> None:
    permits = permits_of(2)
    with permits.acquire(1, "a"), permits.acquire(1, "b"):
        assert permits.available_count == 0


def test_one_more_than_there_are_is_refused_with_its_reason(permits_of: Factory) -> None:
    permits = permits_of(1)
    with permits.acquire(1, "a"), pytest.raises(PermitsExhausted) as caught:
        permits.acquire(0, "b")
    assert (caught.value.reason, caught.value.metadata["total_count"]) == ("PERMITS_EXHAUSTED", "1")


def test_a_refusal_says_when_to_try_again(permits_of: Factory) -> None:
    permits = permits_of(1)
    with permits.acquire(1, "a"), pytest.raises(PermitsExhausted) as caught:
        permits.acquire(0.01, "b")
    assert caught.value.retry_after_s is not None


def test_a_permit_comes_back_when_its_block_ends(permits_of: Factory) -> None:
    permits = permits_of(1)
    with permits.acquire(1, "a"):
        pass
    assert permits.available_count == 1


def test_a_permit_comes_back_when_its_block_breaks(permits_of: Factory) -> None:
    permits = permits_of(1)
    with pytest.raises(KeyError), permits.acquire(1, "a"):
        raise KeyError
    assert permits.available_count == 1


def test_giving_back_twice_gives_back_once(permits_of: Factory) -> None:
    permits = permits_of(2)
    first = permits.acquire(1, "a")
    permits.acquire(1, "b")
    first.release()
    first.release()
    poll_until(lambda: permits.available_count == 1, 60)


def test_a_waiter_gets_the_permit_that_comes_free(permits_of: Factory) -> None:
    permits = permits_of(1)
    first = permits.acquire(1, "a")
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(permits.acquire, 30, "b")
        poll_until(lambda: permits.snapshot().waiting_count == 1, 60)
        first.release()
        waiter.result(timeout=10)
    assert permits.snapshot().holders == ("b",)


def test_whoever_waits_longest_is_served_first(permits_of: Factory) -> None:
    permits = permits_of(1)
    held = permits.acquire(1, "held")
    served: list[str] = []

    def wait(who: str) -> None:
        with permits.acquire(30, who):
            served.append(who)

    with ThreadPoolExecutor(3) as pool:
        for number, who in enumerate(("first", "second", "third"), start=1):
            pool.submit(wait, who)
            poll_until(lambda expected=number: permits.snapshot().waiting_count == expected, 60)  # type: ignore[misc]
        held.release()
    assert served == ["first", "second", "third"]


def test_a_waiter_that_gives_up_does_not_block_the_next(permits_of: Factory) -> None:
    permits = permits_of(1)
    held = permits.acquire(1, "held")
    with ThreadPoolExecutor(2) as pool:
        impatient = pool.submit(permits.acquire, 0.2, "impatient")
        poll_until(lambda: permits.snapshot().waiting_count == 1, 60)
        patient = pool.submit(permits.acquire, 30, "patient")
        with pytest.raises(PermitsExhausted):
            impatient.result(timeout=10)
        held.release()
        patient.result(timeout=10).release()
    assert permits.available_count == 1


def test_a_withdrawn_waiter_leaves_the_queue(permits_of: Factory) -> None:
    permits = permits_of(1)
    withdrawn = threading.Event()
    with permits.acquire(1, "a"), ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(permits.acquire, 30, "b", withdrawn)
        poll_until(lambda: permits.snapshot().waiting_count == 1, 60)
        withdrawn.set()
        with pytest.raises(StatementCancelled):
            waiter.result(timeout=10)
    assert permits.snapshot().waiting_count == 0


def test_what_is_withdrawn_before_it_waits_takes_no_permit(permits_of: Factory) -> None:
    permits = permits_of(1)
    withdrawn = threading.Event()
    withdrawn.set()
    with pytest.raises(StatementCancelled):
        permits.acquire(1, "a", withdrawn)
    assert permits.available_count == 1


def test_the_snapshot_names_the_holders(permits_of: Factory) -> None:
    permits = permits_of(3)
    with permits.acquire(1, "a"), permits.acquire(1, "b"):
        snapshot = permits.snapshot()
    assert (snapshot.total_count, snapshot.available_count, snapshot.holders) == (3, 1, ("a", "b"))


def test_never_more_are_held_than_there_are_whoever_asks(permits_of: Factory) -> None:
    permits = permits_of(3)
    lock = threading.Lock()
    held = 0
    most = 0

    def work(number: int) -> None:
        nonlocal held, most
        with permits.acquire(30, str(number)):
            with lock:
                held += 1
                most = max(most, held)
            with lock:
                held -= 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(400)))
    assert (most <= 3, permits.available_count) == (True, 3)


def test_a_permit_without_a_confirmed_end_stays_held(permits_of: Factory) -> None:
    permits = permits_of(2)
    permits.acquire(1, "a", hold_s=20).release(confirmed=False)
    snapshot = permits.snapshot()
    assert (snapshot.holders, snapshot.quarantined_count, snapshot.available_count) == (("a",), 1, 1)


@pytest.mark.parametrize("others", [0, 1])
def test_a_permit_without_a_confirmed_end_comes_back_a_margin_past_the_deadline(
    permits_of: Factory, others: int
) -> None:
    permits = permits_of(2)
    held = [permits.acquire(1, "other") for _ in range(others)]
    start = time.monotonic()
    permits.acquire(1, "a", hold_s=0.4).release(confirmed=False)
    poll_until(lambda: permits.available_count == 2 - len(held), 60)
    assert time.monotonic() - start >= 0.4 + MARGIN_S


def test_a_permit_that_is_given_back_past_its_deadline_rests_all_the_same(permits_of: Factory) -> None:
    permits = permits_of(1)
    permit = permits.acquire(1, "a", hold_s=0.01)
    poll_until(lambda: time.monotonic() > permit.until + MARGIN_S, 60)
    permit.release(confirmed=False)
    assert permits.snapshot().quarantined_count == 1


@pytest.mark.parametrize("others", [0, 1])
def test_a_permit_comes_back_once_its_end_is_confirmed_after_all(permits_of: Factory, others: int) -> None:
    permits = permits_of(2)
    held = [permits.acquire(1, "other") for _ in range(others)]
    permit = permits.acquire(1, "a", hold_s=20)
    permit.release(confirmed=False)
    permit.confirm_end()
    poll_until(lambda: permits.available_count == 2 - len(held), 60)


def test_giving_back_after_quarantine_began_does_not_end_it(permits_of: Factory) -> None:
    permits = permits_of(1)
    with permits.acquire(1, "a", hold_s=20) as permit:
        permit.release(confirmed=False)
    assert permits.snapshot().quarantined_count == 1


def test_a_permit_that_nobody_gives_back_is_in_quarantine(permits_of: Factory) -> None:
    permits = permits_of(1)
    permits.acquire(1, "a", hold_s=20)
    gc.collect()
    assert permits.snapshot().quarantined_count == 1


def test_a_waiter_gets_the_permit_whose_quarantine_ends(permits_of: Factory) -> None:
    permits = permits_of(1)
    permits.acquire(1, "a", hold_s=0.3).release(confirmed=False)
    with permits.acquire(10, "b"):
        assert permits.snapshot().holders == ("b",)


def test_the_permit_says_until_when_its_statement_may_run(permits_of: Factory) -> None:
    permits = permits_of(2)
    before = time.monotonic()
    ends = [permits.acquire(1, "a", hold_s=5).until for _ in range(2)]
    assert all(before < end <= time.monotonic() + 5 for end in ends)


def test_a_statement_within_the_hold_may_start(permits_of: Factory) -> None:
    permits = permits_of(2)
    assert [permits.acquire(1, "a", hold_s=5).covers(time.monotonic() + 4) for _ in range(2)] == [True, True]
