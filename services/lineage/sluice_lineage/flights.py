"""Identical questions asked at once are answered once: who comes second waits for what the first finds.

What runs ends when nobody waits for it any more. Whoever still wants an answer after the first asker's time was over
asks again by himself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

from sluice_rpc.errors import ServiceError
from sluice_warehouse.errors import StatementCancelled, StatementTimeout

from sluice_lineage.callers import Caller
from sluice_lineage.withdrawal import Withdrawal

T = TypeVar("T")

_OF_ONE_CALLER: Final = frozenset({"CANCELLED", "QUERY_TIMEOUT"})
"""Faults that tell of the first asker, not of the answer."""


class Flights:
    """Runs work, once for all who ask for it meanwhile."""

    def __init__(self) -> None:
        # Guards the flights and who is on them; wakes whoever waits for one.
        self._changed = threading.Condition()
        self._flights: dict[Hashable, _Flight[Any]] = {}

    def run(self, key: Hashable, caller: Caller, work: Callable[[Caller], T]) -> tuple[T, bool]:
        """Return what the work returns, and whether somebody else did it.

        Args:
            key: alike for questions with one answer.
            caller: who asks.
            work: done for a caller who is withdrawn when nobody waits any more.

        Raises:
            StatementCancelled: the caller went away while it waited.
            StatementTimeout: its time was over while it waited.
            ServiceError: what the work raised.
        """
        while True:
            flight, first = self._board(key)
            passenger = _Passenger(flight, self._changed)
            with caller.withdrawal.cancels(passenger):
                if first:
                    return self._fly(key, flight, caller, work), False
                self._await(flight, caller, passenger)
            if not flight.found.cancelled():
                error = flight.found.exception()
                if error is None:
                    return flight.found.result(), True
                if not isinstance(error, ServiceError) or error.reason not in _OF_ONE_CALLER:
                    raise error

    def passenger_count(self, key: Hashable) -> int:
        """Return how many wait for this now, the one who works included."""
        with self._changed:
            flight = self._flights.get(key)
            return 0 if flight is None else flight.passenger_count

    def _await(self, flight: _Flight[Any], caller: Caller, passenger: _Passenger) -> None:
        waited_s = caller.left_s
        with self._changed:
            self._changed.wait_for(lambda: flight.landed or caller.withdrawal.event.is_set(), waited_s)
        if caller.withdrawal.event.is_set():
            raise StatementCancelled("genealogy")
        if not flight.landed:
            passenger.cancel()
            raise StatementTimeout("genealogy", waited_s)

    def _board(self, key: Hashable) -> tuple[_Flight[Any], bool]:
        with self._changed:
            flight = self._flights.get(key)
            if flight is not None and flight.passenger_count:
                flight.passenger_count += 1
                return flight, False
            flight = self._flights[key] = _Flight()
            return flight, True

    def _fly(self, key: Hashable, flight: _Flight[T], caller: Caller, work: Callable[[Caller], T]) -> T:
        try:
            found = work(replace(caller, withdrawal=flight.withdrawal))
        except ServiceError as error:
            flight.found.set_exception(error)
            raise
        else:
            flight.found.set_result(found)
            return found
        finally:
            # What was neither found nor refused has nothing to tell to others, who try for themselves.
            flight.found.cancel()
            with self._changed:
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.landed = True
                self._changed.notify_all()


@dataclass
class _Flight(Generic[T]):
    found: Future[T] = field(default_factory=Future)
    withdrawal: Withdrawal = field(default_factory=Withdrawal)
    passenger_count: int = 1
    landed: bool = False


class _Passenger:
    """Whoever waits for a flight; leaving is told once."""

    def __init__(self, flight: _Flight[Any], changed: threading.Condition) -> None:
        self._flight = flight
        self._changed = changed
        self._left = False

    def cancel(self) -> None:
        """Leave; the last one ends what runs."""
        with self._changed:
            if self._left:
                return
            self._left = True
            self._flight.passenger_count -= 1
            nobody = self._flight.passenger_count == 0
            self._changed.notify_all()
        if nobody:
            self._flight.withdrawal.withdraw()
