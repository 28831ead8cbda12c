"""Identical questions at once are answered once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from sluice_lineage.callers import Caller
from sluice_lineage.flights import Flights
from sluice_lineage.withdrawal import Withdrawal
from sluice_rpc.errors import ServiceError
from sluice_warehouse.errors import StatementCancelled, StatementTimeout, WarehouseUnavailable

from tests.polling import poll_until


def caller(left_s: float = 60.0) -> Caller:
    return Caller(time.monotonic() + left_s, "test", Withdrawal())


@dataclass
class Work:
    """Work that begins, and ends when it is told to or when nobody waits for it."""

    count: int = 0
    begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)
    error: ServiceError | None = None

    def __call__(self, caller: Caller) -> str:
        self.count += 1
        self.begun.set()
        poll_until(lambda: self.may_end.is_set() or caller.withdrawal.event.is_set(), 60)
        if caller.withdrawal.event.is_set():
            raise StatementCancelled("work")
        if self.error is not None:
            raise self.error
        return "found"


class Airport:
    """Flights, callers in threads, and the work of all."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.flights = Flights()
        self.work = Work()

    def first(self, who: Caller) -> Future[tuple[str, bool]]:
        """Ask, and return once the work has begun."""
        asked = self._pool.submit(self.flights.run, "key", who, self.work)
        assert self.work.begun.wait(60)
        return asked

    def joined(self, who: Caller) -> Future[tuple[str, bool]]:
        """Ask the same, and return once that waits for the first."""
        before = self._passengers()
        asked = self._pool.submit(self.flights.run, "key", who, self.work)
        poll_until(lambda: self._passengers() == before + 1, 60)
        return asked

    def _passengers(self) -> int:
        return self.flights.passenger_count("key")


@pytest.fixture
def airport() -> Iterator[Airport]:
    with ThreadPoolExecutor(3) as pool:
        yield Airport(pool)


def test_the_same_question_at_once_is_worked_on_once(airport: Airport) -> None:
    first, second = airport.first(caller()), airport.joined(caller())
    airport.work.may_end.set()
    assert (first.result(60), second.result(60)) == (("found", False), ("found", True))
    assert airport.work.count == 1


def test_another_question_is_worked_on_beside_it(airport: Airport) -> None:
    airport.first(caller())
    airport.work.may_end.set()
    assert airport.flights.run("other", caller(), airport.work) == ("found", False)
    assert airport.work.count == 2


def test_the_same_question_afterwards_is_worked_on_again(airport: Airport) -> None:
    airport.work.may_end.set()
    airport.first(caller()).result(60)
    assert airport.flights.run("key", caller(), airport.work) == ("found", False)


def test_work_goes_on_for_the_second_when_the_first_has_gone(airport: Airport) -> None:
    gone = caller()
    airport.first(gone)
    second = airport.joined(caller())
    gone.withdrawal.withdraw()
    airport.work.may_end.set()
    assert second.result(60) == ("found", True)


def test_work_ends_when_the_last_has_gone(airport: Airport) -> None:
    one, other = caller(), caller()
    first, second = airport.first(one), airport.joined(other)
    other.withdrawal.withdraw()
    with pytest.raises(StatementCancelled):
        second.result(60)
    one.withdrawal.withdraw()
    with pytest.raises(StatementCancelled):
        first.result(60)


def test_all_are_told_what_failed(airport: Airport) -> None:
    airport.work.error = WarehouseUnavailable()
    first, second = airport.first(caller()), airport.joined(caller())
    airport.work.may_end.set()
    assert [type(asked.exception(60)) for asked in (first, second)] == [WarehouseUnavailable, WarehouseUnavailable]


def test_who_still_has_time_asks_again_when_the_time_of_the_first_was_over(airport: Airport) -> None:
    airport.work.error = StatementTimeout("work", 1)
    airport.first(caller())
    second = airport.joined(caller())
    assert airport.work.count == 1
    airport.work.may_end.set()
    with pytest.raises(StatementTimeout):
        second.result(60)
    assert airport.work.count == 2


def test_who_waits_longer_than_his_time_is_told(airport: Airport) -> None:
    airport.first(caller())
    with pytest.raises(StatementTimeout):
        airport.flights.run("key", caller(left_s=0.05), airport.work)
    assert airport.flights.passenger_count("key") == 1
    airport.work.may_end.set()
