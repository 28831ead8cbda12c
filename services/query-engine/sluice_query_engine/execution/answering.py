"""Brings one planned query to its end: references, chunks, manifest, receipt; who wants it is not known here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import structlog
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.table.v1 import table_pb2
from sluice_rpc.errors import Cancelled, InternalFault, NotFound, QueryTimeout, ServiceError
from sluice_rpc.ports import Clock
from sluice_warehouse.permits import Permits

from sluice_query_engine import heap
from sluice_query_engine.cache import FrameCache
from sluice_query_engine.catalog import Catalog
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.errors import CacheExpired
from sluice_query_engine.execution.chunk import StoredChunk
from sluice_query_engine.execution.composer import Composer
from sluice_query_engine.execution.executors import Finished, effective_parallel, run_bounded
from sluice_query_engine.execution.flights import Flight, Flights
from sluice_query_engine.execution.forecast import Forecast
from sluice_query_engine.execution.given_up import without
from sluice_query_engine.execution.interest import Patience
from sluice_query_engine.execution.ledger import Ledger
from sluice_query_engine.execution.manifest import Outcome
from sluice_query_engine.execution.references import PinnedReference, References
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.execution.severity import most_severe
from sluice_query_engine.execution.steps import StageCost, Steps
from sluice_query_engine.execution.survey import Departures, Survey
from sluice_query_engine.metrics import EngineMetrics

log = structlog.get_logger()

Cost: TypeAlias = PinnedReference | Flight | StageCost
"""What counts the statements and rows that a query cost the warehouse."""
_ATTEMPT_COUNT: Final = 2
"""A query whose frames vanish before it is merged is planned once more."""


@dataclass(frozen=True)
class CoordinatorLimits:
    """What queries of this process may take.

    Args:
        max_parallel: most chunks of one query at once, whatever its dataset says.
        max_running_count: most queries at once.
        patience: how long a query goes on without anybody looking.
        query_deadline_s: seconds after which what has not been read is given up.
        beat_s: how often abandoned queries are looked for and owner leases prolonged.
    """

    max_parallel: int
    max_running_count: int
    patience: Patience
    query_deadline_s: float
    beat_s: float = 1.0

    def deadline_s(self, dataset: Dataset) -> float:
        """Return the seconds after which what a query of the dataset has not read is given up."""
        return min(self.query_deadline_s, dataset.limits.deadline_s or self.query_deadline_s)


@dataclass(frozen=True)
class Tools:
    """What the coordinator works with."""

    catalog: Catalog
    cache: FrameCache
    survey: Survey
    flights: Flights
    references: References
    composer: Composer
    steps: Steps
    ledger: Ledger
    permits: Permits
    clock: Clock
    metrics: EngineMetrics
    forecast: Forecast


class Answering:
    """Answers queries, each in the thread that calls.

    Args:
        tools: what it works with.
        limits: what queries may take.
    """

    def __init__(self, tools: Tools, limits: CoordinatorLimits) -> None:
        self._tools = tools
        self._limits = limits

    def run(self, run: QueryRun, departures: Departures) -> None:
        """Bring a planned query to its end, whatever that is; returns once it has ended."""
        costs: list[Cost] = []
        try:
            for attempt in range(1, _ATTEMPT_COUNT + 1):
                try:
                    self._answer(run, departures, costs)
                    while run.begin_anew():
                        # Whoever wants rows of now wants them all, those given up before too.
                        departures = self._tools.survey.depart(run, run.parameters, no_cache=True)
                        self._answer(run, departures, costs)
                    break
                except NotFound as error:
                    # The cache came back empty between planning and merging.
                    if error.reason != CacheExpired.reason or attempt == _ATTEMPT_COUNT or not run.running:
                        raise
                    again = self._tools.survey.depart(run, run.parameters, no_cache=False)
                    departures = without(departures.given_up, again, self._tools.flights, run)
        except ServiceError as error:
            run.fail(error)
        finally:
            self._tools.ledger.close(run)
            run.forget_plan()
            self._tools.metrics.query_ended(run.dataset.name, run.state_name)
        self._prepare(run)

    def _prepare(self, run: QueryRun) -> None:
        """Have the main table ready for views nobody has asked for yet; the answer itself does not wait for it."""
        if run.state_name not in ("completed", "partial"):
            return
        try:
            self._tools.composer.prepare(run.query_id, run.dataset)
        except ServiceError as error:
            log.warning("main table is not ready", query_id=run.query_id, reason=error.reason)

    def _answer(self, run: QueryRun, departures: Departures, costs: list[Cost]) -> None:
        """Answer the query as planned; what it cost is added to what earlier attempts did."""
        flights = dict(departures.flights)
        try:
            leave = partial(self._leave, run, flights)
            with run.scope.attached(leave), run.overtime.attached(leave):
                pinned = [self._tools.references.pin(item, run.client_id) for item in run.dataset.references]
                costs += pinned
                run.references = references = {item.name: item.frame_id for item in pinned}
                errors = self._read_chunks(run, departures.flights)
                errors += self._take_steps(run, departures, flights, costs)
        finally:
            self._leave(run, flights)
        led = [flight for flight in flights.values() if flight.leader is run]
        costs += led
        if not run.running:
            return
        outcome = Outcome(run.plan or departures.plan, run.stored(), run.failures())
        if outcome.empty:
            raise most_severe(errors)
        manifest = self._tools.composer.compose(run, outcome, references, run.query_id)
        for flight in led:
            if flight.begun_s is not None:
                self._tools.forecast.learn(run.dataset.name, flight.elapsed_s)
        self._finish(run, manifest, costs)

    def _take_steps(
        self, run: QueryRun, departures: Departures, flights: dict[int, Flight], costs: list[Cost]
    ) -> list[ServiceError]:
        """Read what other parts give the ids of, one step after the other; new flights are added to the others."""
        errors: list[ServiceError] = []
        for item in run.dataset.steps_of(run.parameters):
            if run.scope.cancelled:
                break
            taken = self._tools.steps.take(run, item, departures, run.references or {})
            heap.give_back()
            flights |= taken.flights
            errors += taken.errors
            if taken.cost is not None:
                costs.append(taken.cost)
            if run.overtime.cancelled:
                self._leave(run, taken.flights)
            errors += self._read_chunks(run, taken.flights)
            heap.give_back()
            self._tools.ledger.write(run)
        return errors

    def _finish(self, run: QueryRun, manifest: frames.Manifest, costs: list[Cost]) -> None:
        receipt = table_pb2.Receipt()
        receipt.CopyFrom(manifest.receipt)
        receipt.warehouse_statement_count = sum(item.statement_count for item in costs)
        receipt.warehouse_row_count = sum(item.row_count for item in costs)
        if self._tools.flights.alone:
            receipt.plan += "; Redis is away, so another engine may have read the same"
        if run.finish(receipt):
            log.info(
                "query finished",
                query_id=run.query_id,
                dataset=run.dataset.name,
                state=run.state_name,
                plan=receipt.plan,
                row_count=receipt.row_count,
                warehouse_row_count=receipt.warehouse_row_count,
            )

    def _read_chunks(self, run: QueryRun, flights: Mapping[int, Flight]) -> list[ServiceError]:
        """Read what is missing, and return the errors of the chunks that failed."""
        indexes = list(flights)
        tasks: list[Callable[[], StoredChunk]] = [
            lambda flight=flights[index]: self._tools.flights.land(flight, run)  # type: ignore[misc]
            for index in indexes
        ]
        if not tasks:
            return []
        parallel = min(run.dataset.limits.parallel, self._limits.max_parallel)
        width = effective_parallel(parallel, self._tools.permits.available_count, len(tasks))
        errors: list[ServiceError] = []
        for finished in run_bounded(tasks, width):
            error = self._chunk_ended(run, indexes[finished.index], finished)
            if error is not None:
                errors.append(error)
        return errors

    def _chunk_ended(self, run: QueryRun, index: int, finished: Finished[StoredChunk]) -> ServiceError | None:
        part = run.plan.chunks[index].part if run.plan else ""
        facts = {"dataset": run.dataset.name, "query_id": run.query_id, "part": part, "index": index}
        if finished.result is not None:
            run.chunk_stored(index, finished.result)
            self._tools.ledger.write(run, {index: finished.result.frame_id})
            self._tools.metrics.chunk_ended(run.dataset.name, part, "stored", finished.result.row_count)
            return None
        if run.scope.cancelled:
            return None
        error = finished.error if isinstance(finished.error, ServiceError) else InternalFault(run.request_id)
        if run.overtime.cancelled and error.reason == Cancelled.reason:
            error = QueryTimeout(f"the query took longer than {self._limits.deadline_s(run.dataset):g} s")
        if not isinstance(finished.error, ServiceError):
            log.error("chunk broke", exc_info=finished.error, **facts)
        log.warning("chunk failed", reason=error.reason, **facts)
        run.chunk_failed(index, error.reason)
        self._tools.ledger.write(run)
        self._tools.metrics.chunk_ended(run.dataset.name, part, "failed", 0)
        return error

    def _leave(self, run: QueryRun, flights: Mapping[int, Flight]) -> None:
        for flight in list(flights.values()):
            self._tools.flights.leave(flight, run)
