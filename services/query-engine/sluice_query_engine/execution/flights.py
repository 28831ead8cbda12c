"""Single flight inside this process: a chunk that several queries need is read once, and lives while one wants it.

Other processes are told what is wanted here, and asked for their turn, through `neighbours`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from weakref import WeakValueDictionary

import structlog
from sluice_rpc.errors import Cancelled, InternalFault, ServiceError
from sluice_rpc.ports import Clock

from sluice_query_engine.execution.chunk import ChunkJob, StoredChunk
from sluice_query_engine.execution.leased_reader import ReadsChunks
from sluice_query_engine.execution.neighbours import Expected, Neighbours, NoNeighbours
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.planning.extents import Extent
from sluice_query_engine.planning.id_extents import IdExtent

log = structlog.get_logger()


@dataclass(frozen=True)
class FlightKey:
    """What makes two chunks the same read."""

    series: str
    start: datetime | None
    end: datetime | None
    ids: str = ""

    @classmethod
    def of(cls, job: ChunkJob) -> FlightKey:
        """Return the key of a job."""
        return cls(job.series, job.start, job.end, "" if job.ids is None else job.ids.hash)


Listener = Callable[[int], None]
"""Told the rows of a chunk so far, those of a failed attempt included; 0 when the first statement has begun."""


class Flight:
    """One read of one chunk, wanted by at least one query, run by whoever comes to it first."""

    def __init__(self, key: FlightKey, job: ChunkJob) -> None:
        self.key = key
        self.job = job
        self.scope = CancelScope()
        self.state: Literal["queued", "running", "ended"] = "queued"
        self.stored: StoredChunk | None = None
        self.failure: ServiceError | None = None
        self.leader: Hashable = None
        self.wanted_by: dict[Hashable, Listener] = {}
        self.begun_s: float | None = None
        """When its first statement began, by the monotonic clock; waiting for a permit or for others comes before."""
        self.elapsed_s = 0.0
        """How long its statements took; 0 where another process read it."""
        self.statement_count = 0
        self.row_count = 0
        """Rows read by all its statements, those of a failed attempt included."""
        self._rows_before = 0

    def advance(self, row_count: int) -> None:
        """Note the rows of the running statement so far; 0 is a new statement."""
        if row_count == 0:
            self.statement_count += 1
            self._rows_before = self.row_count
        self.row_count = self._rows_before + row_count


class Flights:
    """The reads of this process that have not ended.

    Who seeks a chunk is one run of a query: a run that was cancelled and ends late must not give up what a later run of
    the same query wants.

    Args:
        reader: reads a chunk.
        clock: measures how long a read takes.
        neighbours: other processes.
    """

    def __init__(self, reader: ReadsChunks, clock: Clock, neighbours: Neighbours | None = None) -> None:
        self._reader = reader
        self._clock = clock
        self._neighbours = neighbours or NoNeighbours()
        self._flights: dict[FlightKey, Flight] = {}
        # Guards every flight's fields and the dictionary; nothing is read or called under it.
        self._changed = threading.Condition()
        self._planning: WeakValueDictionary[str, _Planning] = WeakValueDictionary()

    @property
    def alone(self) -> bool:
        """Other processes cannot be asked, so one of them may read the same chunk at the same time."""
        return self._neighbours.out_of_reach

    @contextmanager
    def planning(self, subject: str) -> Iterator[None]:
        """Plan one query of a subject at a time, so that two that start together share every chunk."""
        with self._changed:
            turn = self._planning.setdefault(subject, _Planning())
        with turn.lock, contextmanager(self._neighbours.planning)(subject):
            yield

    def expected(self, series: str) -> list[Expected]:
        """Return what any process is about to read; to be asked while planning."""
        return self._neighbours.expected(series)

    def pending(self, series: str, part: str) -> list[tuple[Extent | IdExtent, Flight]]:
        """Return what is being read, or about to be, as extents without a frame."""
        with self._changed:
            return [
                (_extent(flight.job, part), flight)
                for flight in self._flights.values()
                if flight.key.series == series and not flight.scope.cancelled
            ]

    def want(self, job: ChunkJob, seeker: Hashable, listener: Listener) -> Flight:
        """Return the flight of a job, its own or one that others already want, and want it too.

        A flight that may bring rows from before the job's time is left to those who want it.
        """
        key = FlightKey.of(job)
        with self._changed:
            flight = self._flights.get(key)
            fresh = flight is None or flight.scope.cancelled or not flight.job.suits(job.not_before)
            if flight is None or fresh:
                flight = self._flights[key] = Flight(key, job)
            flight.wanted_by[seeker] = listener
        if fresh:
            self._neighbours.expect(_expected([key]))
        return flight

    def join(self, flight: Flight, seeker: Hashable, listener: Listener) -> Flight:
        """Want a flight found by `pending`; should it have failed or been given up meanwhile, one of its own."""
        with self._changed:
            # Not its scope: that is withdrawn a moment after the last to leave has given the flight up.
            if flight.stored is not None or self._flights.get(flight.key) is flight:
                flight.wanted_by[seeker] = listener
                return flight
        return self.want(flight.job, seeker, listener)

    def land(self, flight: Flight, seeker: Hashable) -> StoredChunk:
        """Run the flight, or wait for whoever runs it, and return its chunk.

        Raises:
            Cancelled: this seeker no longer wants it.
            ServiceError: how the read failed, the same for all who waited.
        """
        with self._changed:
            self._changed.wait_for(lambda: flight.state != "running" or seeker not in flight.wanted_by)
            if seeker not in flight.wanted_by:
                raise Cancelled("the chunk is no longer wanted")
            leads = flight.state == "queued"
            if leads:
                flight.state = "running"
                flight.leader = seeker
        if leads:
            self._lead(flight)
        if flight.stored is None:
            raise flight.failure or Cancelled("the chunk was withdrawn")
        return flight.stored

    def leave(self, flight: Flight, seeker: Hashable) -> None:
        """No longer want a flight; the last to leave withdraws it."""
        with self._changed:
            flight.wanted_by.pop(seeker, None)
            alone = not flight.wanted_by and flight.state != "ended"
            gone = alone and self._gone(flight)
            self._changed.notify_all()
        if alone:
            flight.scope.cancel()
        if gone:
            self._neighbours.forget(_expected([flight.key]))

    def _lead(self, flight: Flight) -> None:
        stored: StoredChunk | None = None
        failure: ServiceError | None = None
        try:
            stored = self._reader.read(flight.job, flight.scope, lambda rows: self._tell(flight, rows))
        except ServiceError as error:
            failure = error
        finally:
            if stored is None and failure is None:
                # A fault of ours goes on to the leader's thread, which logs it; those who wait must not hang.
                failure = InternalFault("")
            with self._changed:
                if flight.begun_s is not None:
                    flight.elapsed_s = self._clock.monotonic() - flight.begun_s
                flight.stored, flight.failure = stored, failure
                flight.state = "ended"
                gone = self._gone(flight)
                self._changed.notify_all()
            if gone:
                self._neighbours.forget(_expected([flight.key]))

    def _gone(self, flight: Flight) -> bool:
        there = self._flights.get(flight.key) is flight
        if there:
            del self._flights[flight.key]
        return there

    def _tell(self, flight: Flight, row_count: int) -> None:
        with self._changed:
            if flight.begun_s is None:
                flight.begun_s = self._clock.monotonic()
            flight.advance(row_count)
            listeners, so_far = list(flight.wanted_by.values()), flight.row_count
        for listener in listeners:
            listener(so_far)


def _expected(keys: Sequence[FlightKey]) -> list[Expected]:
    return [Expected(key.series, key.start, key.end) for key in keys if key.start is not None and not key.ids]


def _extent(job: ChunkJob, part: str) -> Extent | IdExtent:
    if job.ids is not None:
        return IdExtent(part, frozenset(job.ids.ids), "")
    if job.start is None:
        raise ValueError("a chunk has a start or ids")
    return Extent(part, job.start, job.end, "")


class _Planning:
    """A turn at planning; an object of its own because a bare lock cannot be looked up weakly on every platform."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
