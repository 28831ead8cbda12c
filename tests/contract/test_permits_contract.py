"""What every implementation of `Permits` promises; a new one joins the list of the fixture."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sluice_warehouse.errors import PermitsExhausted, StatementCancelled
from sluice_warehouse.permits import LocalPermits, Permits

from tests.polling import poll_until

Factory = Callable[[int], Permits]


@pytest.fixture(params=["local"])
def permits_of(request: pytest.FixtureRequest) -> Factory:
    factories: dict[str, Factory] = {"local": LocalPermits}
    return factories[request.param]


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
    assert permits.available_count == 1


def test_a_waiter_gets_the_permit_that_comes_free(permits_of: Factory) -> None:
    permits = permits_of(1)
    first = permits.acquire(1, "a")
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(permits.acquire, 30, "b")
        poll_until(lambda: permits.snapshot().waiting_count == 1, 10)
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
            poll_until(lambda expected=number: permits.snapshot().waiting_count == expected, 10)  # type: ignore[misc]
        held.release()
    assert served == ["first", "second", "third"]


def test_a_waiter_that_gives_up_does_not_block_the_next(permits_of: Factory) -> None:
    permits = permits_of(1)
    held = permits.acquire(1, "held")
    with ThreadPoolExecutor(2) as pool:
        impatient = pool.submit(permits.acquire, 0.05, "impatient")
        poll_until(lambda: permits.snapshot().waiting_count == 1, 10)
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
        poll_until(lambda: permits.snapshot().waiting_count == 1, 10)
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
