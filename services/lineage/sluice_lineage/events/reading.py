"""Reading a domain from the warehouse: batches of a thousand ids, few at once, rows handed on as they come."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import pyarrow as pa
import structlog
from sluice_rpc.errors import ServiceError
from sluice_warehouse import Tag
from sluice_warehouse.errors import StatementTimeout
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.statements import MAX_ID_COUNT, expand_ids, id_binds

from sluice_lineage.callers import Caller
from sluice_lineage.events.derived import Completion
from sluice_lineage.events.domain import EventDomain
from sluice_lineage.events.turns import Turns
from sluice_lineage.handover import HandOver

log = structlog.get_logger()

_WAITING_BATCHES: Final = 2
"""Record batches between the workers and whoever sends them on."""
_ID_WIDTH: Final = 16
"""Ids are CHAR(16): Oracle compares a bind without padding it, so a shorter id is padded here."""
_MOST_SEVERE_FIRST: Final = (
    "CONTRACT_BROKEN",
    "WAREHOUSE_ERROR",
    "QUERY_TIMEOUT",
    "WAREHOUSE_UNAVAILABLE",
    "CIRCUIT_OPEN",
    "PERMITS_EXHAUSTED",
    "CANCELLED",
)
"""Faults that stay come before those that may be gone at the next try; what is not listed comes before all."""


@dataclass(frozen=True)
class IdBatch:
    """Up to a thousand ids that one statement reads."""

    number: int
    """Its place among the batches of a request, from 1."""
    ids: Sequence[str]


@dataclass(frozen=True)
class Failure:
    """A batch without an answer, or with only a part of it."""

    batch: IdBatch
    error: ServiceError


@dataclass(frozen=True)
class Wanted:
    """What one request reads."""

    domain: EventDomain
    ids: Sequence[str]
    as_of: datetime | None
    """Plant-local time to which hours of open rows are counted."""
    caller: Caller
    """For whom, and how long all batches and waits together may take."""
    allow_partial: bool
    """Go on with the other batches when one fails."""
    max_row_count: int
    """Rows at which the reading stops; 0 for none."""


@dataclass
class Outcome:
    """How a reading went; whole once it has ended."""

    batch_count: int
    done_count: int = 0
    """Batches read to their end."""
    statement_count: int = 0
    row_count: int = 0
    """Rows handed on."""
    read_row_count: int = 0
    """Rows the warehouse yielded."""
    truncated: bool = False
    failures: tuple[Failure, ...] = ()
    """In the order of ids asked."""


class RunningBatch:
    """A batch whose statement runs.

    Args:
        name: of the statement.
        rows: to come.
        timeout_s: from now until it must have ended, whoever it waits for.
    """

    def __init__(self, name: str, rows: Iterator[pa.RecordBatch], timeout_s: float) -> None:
        self.rows = rows
        self._name = name
        self._timeout_s = timeout_s
        self._until = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._until - time.monotonic())

    def check(self, *, closed: bool) -> None:
        """Raise `StatementTimeout` unless the rows were not wanted any more."""
        if not closed:
            raise StatementTimeout(self._name, self._timeout_s)


class EventReader:
    """Reads domains over the slow lane.

    Args:
        lane: where statements run.
        completion: computes derived columns.
        max_worker_count: statements of one request at once.
        batch_timeout_s: longest that one statement may run, by the wall clock.
        permit_wait_s: longest wait for a permit.
        turns: how many domains of one request at once.
    """

    def __init__(
        self,
        lane: SlowLane,
        completion: Completion,
        *,
        max_worker_count: int,
        batch_timeout_s: float,
        permit_wait_s: float,
        turns: Turns,
    ) -> None:
        self._lane = lane
        self._completion = completion
        self._max_worker_count = max_worker_count
        self._batch_timeout_s = batch_timeout_s
        self._permit_wait_s = permit_wait_s
        self.turns = turns

    def open(self, wanted: Wanted) -> EventReading:
        """Return the rows to come; nothing runs before the first is asked for."""
        return EventReading(wanted, self, self._worker_count(len(wanted.ids)))

    @contextmanager
    def batch(self, wanted: Wanted, batch: IdBatch, of: int) -> Iterator[RunningBatch]:
        """Give the rows of one batch of ids; leaving it ends the statement and gives its permit back."""
        domain = wanted.domain
        tag = Tag("sluice-lineage", f"{domain.statement.name} {batch.number}/{of}", wanted.caller.client_id)
        withdrawal = wanted.caller.withdrawal
        with (
            self._lane.read(
                expand_ids(domain.statement, "ids", len(batch.ids)),
                id_binds("ids", [one.ljust(_ID_WIDTH) for one in batch.ids]),
                schema=domain.read_schema,
                deadline_s=min(wanted.caller.left_s, self._permit_wait_s + self._batch_timeout_s),
                tag=tag,
                withdrawn=withdrawal.event,
                statement_s=self._batch_timeout_s,
            ) as reading,
            withdrawal.cancels(reading),
        ):
            rows = (self._completion.complete(domain, found, wanted.as_of) for found in reading)
            yield RunningBatch(domain.statement.name, rows, self._batch_timeout_s)

    def _worker_count(self, id_count: int) -> int:
        """Workers of one request: never more than it has batches, and a permit is left to others where there are more.

        Every layer that wanted its own number of threads would multiply them; a request has one budget, taken here.
        """
        batch_count = -(-id_count // MAX_ID_COUNT)
        return max(1, min(self._max_worker_count, batch_count, self._lane.permits.available_count - 1))


class EventReading:
    """The rows of one request, as a context manager: leaving it, however it is left, ends what runs.

    Args:
        wanted: what to read.
        reader: reads one batch.
        worker_count: batches that are read at once.
    """

    def __init__(self, wanted: Wanted, reader: EventReader, worker_count: int) -> None:
        self._wanted = wanted
        self._withdrawal = wanted.caller.withdrawal
        self._reader = reader
        self._worker_count = worker_count
        ids = wanted.ids
        self._todo = deque(
            IdBatch(number, ids[start : start + MAX_ID_COUNT])
            for number, start in enumerate(range(0, len(ids), MAX_ID_COUNT), start=1)
        )
        self.outcome = Outcome(len(self._todo))
        self._handover = HandOver(worker_count, _WAITING_BATCHES)
        # Protects what is to do, the failures and the counts.
        self._lock = threading.Lock()
        self._failures: list[Failure] = []
        self._pool: ThreadPoolExecutor | None = None
        self._tie = ExitStack()

    def __enter__(self) -> Self:
        # Whoever walks away stops pulling, so workers that wait for room have to be told.
        self._tie.enter_context(self._withdrawal.cancels(self))
        if self._todo:
            with self._tie.pop_all() as tie:
                tie.enter_context(self._reader.turns.turn(self._wanted.domain.name, self._wanted.caller))
                self._tie = tie.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tie.close()
        self.close()

    def cancel(self) -> None:
        """Stop handing over; from any thread."""
        self._handover.close()

    def close(self) -> None:
        """Let no batch start any more and end those that run; harmless when repeated."""
        with self._lock:
            self._todo.clear()
        self._handover.close()
        if self._pool is not None:
            self._withdrawal.withdraw()
            self._pool.shutdown(wait=False)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; those of one batch of ids in the domain's order, batches among each other in any.

        Raises:
            ServiceError: a batch failed; in a request of several the worst of the failures, with the metadata
                `domain`, `failed_batch_count` and `failed_id_count`, and only if partial answers are not allowed or
                nothing could be read.
        """
        if not self._todo:
            return
        works = self._start()
        while (batch := self._handover.get()) is not None:
            batch = self._within_limit(batch)
            if batch.num_rows:
                self.outcome.row_count += batch.num_rows
                yield batch
            if self.outcome.truncated:
                self.close()
        for work in works:
            # What no batch may raise comes out here.
            work.result()
        self._conclude()

    def _start(self) -> list[Future[None]]:
        self._pool = ThreadPoolExecutor(self._worker_count, thread_name_prefix="events")
        return [self._pool.submit(self._work) for _ in range(self._worker_count)]

    def _work(self) -> None:
        try:
            while (batch := self._next()) is not None:
                self._read(batch)
        finally:
            self._handover.leave()

    def _next(self) -> IdBatch | None:
        with self._lock:
            return self._todo.popleft() if self._todo and not self._withdrawal.event.is_set() else None

    def _read(self, batch: IdBatch) -> None:
        count = self.outcome.batch_count
        read_row_count = 0
        try:
            with self._reader.batch(self._wanted, batch, count) as running:
                for rows in running.rows:
                    read_row_count += rows.num_rows
                    if not self._handover.put(rows, running.left_s):
                        # Either nobody reads any more, or too slowly for a permit to be held meanwhile.
                        running.check(closed=self._handover.closed)
                        return
        except ServiceError as error:
            self._failed(batch, error)
        finally:
            with self._lock:
                self.outcome.statement_count += 1
                self.outcome.read_row_count += read_row_count

    def _failed(self, batch: IdBatch, error: ServiceError) -> None:
        with self._lock:
            if self.outcome.truncated:
                # Ended by ourselves.
                return
            self._failures.append(Failure(batch, error))
            if not self._wanted.allow_partial:
                # The answer is lost; what has not started would be for nobody.
                self._todo.clear()
        log.warning("event batch failed", domain=self._wanted.domain.name, batch=batch.number, reason=error.reason)

    def _within_limit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        limit = self._wanted.max_row_count
        room = limit - self.outcome.row_count
        if not limit or batch.num_rows <= room:
            return batch
        with self._lock:
            self.outcome.truncated = True
        return batch.slice(0, room)

    def _conclude(self) -> None:
        outcome = self.outcome
        with self._lock:
            failures = sorted(self._failures, key=lambda failure: failure.batch.number)
        outcome.failures = tuple(failures)
        outcome.done_count = outcome.statement_count - len(failures)
        if not failures:
            return
        worst = min(failures, key=_severity).error
        if outcome.batch_count == 1:
            raise worst
        if not self._wanted.allow_partial or len(failures) == outcome.batch_count:
            worst.message = f"{len(failures)} of {outcome.batch_count} batches failed: {worst.message}"
            worst.metadata |= {
                "domain": self._wanted.domain.name,
                "failed_batch_count": str(len(failures)),
                "failed_id_count": str(sum(len(failure.batch.ids) for failure in failures)),
            }
            raise worst


def _severity(failure: Failure) -> int:
    reason = failure.error.reason
    return _MOST_SEVERE_FIRST.index(reason) if reason in _MOST_SEVERE_FIRST else -1
