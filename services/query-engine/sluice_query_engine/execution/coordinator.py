"""Runs queries: one run per query id, chunks shared between queries, an end for those that nobody looks at.

It starts, joins, cancels and recalls; planning, reading and merging are done by what it is given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from google.protobuf import json_format
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_rpc.errors import Cancelled, InternalFault, NotFound, QueryTimeout, ServiceError, Unavailable, of_reason
from sluice_rpc.ports import Clock
from sluice_warehouse.permits import Permits

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.catalog import Catalog
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.errors import CacheExpired, QueryFinished, QueryNotReady, TooManyQueries
from sluice_query_engine.execution import id_lists
from sluice_query_engine.execution.chunk import StoredChunk
from sluice_query_engine.execution.composer import Composer
from sluice_query_engine.execution.executors import Finished, effective_parallel, run_bounded
from sluice_query_engine.execution.flights import Flight, Flights
from sluice_query_engine.execution.forecast import Forecast
from sluice_query_engine.execution.interest import Patience
from sluice_query_engine.execution.ledger import Ledger
from sluice_query_engine.execution.manifest import Outcome, parameters_of
from sluice_query_engine.execution.references import PinnedReference, References
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.execution.severity import most_severe
from sluice_query_engine.execution.survey import Departures, Survey
from sluice_query_engine.metrics import EngineMetrics
from sluice_query_engine.parameters import JSON, canonical
from sluice_query_engine.planning.identity import query_id_of
from sluice_query_engine.state import Signal

log = structlog.get_logger()

_KEPT_RUN_COUNT: Final = 512
"""Ended queries that are remembered in memory; older ones are recalled from the ledger or the cache."""
_ANSWERED_STATES: Final = (pb.QUERY_STATE_COMPLETED, pb.QUERY_STATE_PARTIAL)
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


@dataclass(frozen=True)
class Tools:
    """What the coordinator works with."""

    catalog: Catalog
    cache: FrameCache
    survey: Survey
    flights: Flights
    references: References
    composer: Composer
    ledger: Ledger
    permits: Permits
    clock: Clock
    metrics: EngineMetrics
    forecast: Forecast


class Coordinator:
    """The queries of this process, by id.

    Args:
        tools: what it works with.
        limits: what queries may take.
    """

    def __init__(self, tools: Tools, limits: CoordinatorLimits) -> None:
        self._tools = tools
        self._limits = limits
        self._runs: dict[str, QueryRun] = {}
        # Guards the dictionary; nothing slow happens under it.
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(limits.max_running_count, thread_name_prefix="query")
        self._stopping = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="query-beat", daemon=True)
        self._beating.start()

    def start(self, dataset: Dataset, parameters: Mapping[str, JSON], *, no_cache: bool, client_id: str) -> pb.Query:
        """Start the query, or join the run of the same id, and return it as it stands.

        Raises:
            TooManyQueries: as many run as this process takes on.
            ServiceUnavailable: the cache is away, so nothing can be planned.
        """
        query_id = query_id_of(dataset.name, dataset.version, parameters)
        with self._lock:
            there = self._runs.get(query_id)
            if there is not None and there.running:
                there.start_again()
                return there.snapshot()
            if sum(run.running for run in self._runs.values()) >= self._limits.max_running_count:
                raise TooManyQueries(self._limits.max_running_count)
            patience = self._limits.patience
            run = QueryRun(query_id, dataset, parameters, self._tools.clock, client_id, patience=patience)
            self._remember(run)
        try:
            departures = self._tools.survey.depart(run, parameters, no_cache=no_cache)
        except ServiceError as error:
            run.fail(error)
            self._forget(run)
            raise
        run.set_plan(departures.plan)
        self._tools.ledger.open(run)
        future = self._pool.submit(self._work, run, departures)
        future.add_done_callback(lambda ended: self._broke(run, ended))
        return run.snapshot()

    def get(self, query_id: str) -> pb.Query:
        """Return the query as it stands; looking keeps it alive.

        Raises:
            CacheExpired: it is not, or no longer, known, or its answer is no longer there.
        """
        query = self._known(query_id)
        if query.state in _ANSWERED_STATES and self._answer_gone(query_id):
            raise CacheExpired(query_id)
        return query

    def _known(self, query_id: str) -> pb.Query:
        run = self.run_of(query_id)
        if run is not None:
            run.touch()
            return run.snapshot()
        recalled = self._tools.ledger.recall(query_id) or self._from_manifest(query_id)
        if recalled is None:
            raise CacheExpired(query_id)
        if recalled.state == pb.QUERY_STATE_RUNNING:
            self._tools.ledger.send(query_id, Signal.SEEN)
        return recalled

    def _answer_gone(self, query_id: str) -> bool:
        try:
            return self._tools.cache.get_manifest(query_id) is None
        except Unavailable:
            # Nobody can tell; what the query became is true all the same.
            return False

    def run_of(self, query_id: str) -> QueryRun | None:
        """Return the query's run in this process, or None."""
        with self._lock:
            return self._runs.get(query_id)

    def running(self) -> list[QueryRun]:
        """Return what runs in this process, oldest first; looking keeps nothing alive."""
        with self._lock:
            return sorted((run for run in self._runs.values() if run.running), key=lambda run: -run.elapsed_s)

    def cancel(self, query_id: str, *, force: bool) -> pb.Query:
        """Withdraw one caller's interest, or the query itself with `force`.

        Raises:
            CacheExpired: it is not known.
            QueryFinished: it has ended already.
        """
        run = self.run_of(query_id)
        if run is None or not run.running:
            there = self.get(query_id)
            if there.state == pb.QUERY_STATE_RUNNING:
                # Another process runs it; it hears of this at its next beat.
                self._tools.ledger.send(query_id, Signal.CANCELLED if force else Signal.WITHDRAWN)
                return there
            raise QueryFinished(query_id, str(pb.QueryState.Name(there.state)).removeprefix("QUERY_STATE_").lower())
        if run.withdraw() or force:
            run.cancel("withdrawn by force" if force else "withdrawn by its caller")
        return run.snapshot()

    def retry(self, query_id: str, client_id: str) -> pb.Query:
        """Start the query again; what is there is not read again. Raises CacheExpired, and as `start` does."""
        query = self._known(query_id)
        dataset = self._tools.catalog.get(query.dataset)
        given = id_lists.given(self._tools.cache, json_format.MessageToDict(query.parameters))
        return self.start(dataset, canonical(dataset, given), no_cache=False, client_id=client_id)

    def readable(self, query_id: str, *, allow_partial: bool) -> frames.Manifest:
        """Return the manifest that answers views of the query.

        A query that is run again answers from its last manifest meanwhile.

        Raises:
            QueryNotReady: it runs for the first time, and nothing partial is allowed or there.
            CacheExpired: it is not, or no longer, there.
            ServiceError: it ended without an answer; what it failed of.
        """
        run = self.run_of(query_id)
        if run is not None:
            run.touch()
        manifest = self._tools.cache.get_manifest(query_id)
        if manifest is not None:
            return manifest
        if run is None or not run.running:
            recalled = self._tools.ledger.recall(query_id) if run is None else run.snapshot()
            if recalled is not None and recalled.state == pb.QUERY_STATE_RUNNING:
                raise QueryNotReady(query_id)
            if recalled is not None and recalled.error_code:
                raise of_reason(recalled.error_code, recalled.error_message, query_id=query_id)
            raise CacheExpired(query_id)
        if not allow_partial:
            raise QueryNotReady(query_id)
        return self._provisional(run)

    def close(self) -> None:
        """Cancel what runs, and wait for it."""
        self._stopping.set()
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.cancel("the process stops")
        self._pool.shutdown(wait=True)
        self._beating.join()

    def _work(self, run: QueryRun, departures: Departures) -> None:
        costs: list[PinnedReference | Flight] = []
        try:
            for attempt in range(1, _ATTEMPT_COUNT + 1):
                try:
                    self._answer(run, departures, costs)
                    break
                except NotFound as error:
                    # The cache came back empty between planning and merging.
                    if error.reason != CacheExpired.reason or attempt == _ATTEMPT_COUNT or not run.running:
                        raise
                    departures = self._tools.survey.depart(run, run.parameters, no_cache=False)
                    run.set_plan(departures.plan)
        except ServiceError as error:
            run.fail(error)
        finally:
            self._tools.ledger.close(run)
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

    def _answer(self, run: QueryRun, departures: Departures, costs: list[PinnedReference | Flight]) -> None:
        """Answer the query as planned; what it cost is added to what earlier attempts did."""
        try:
            leave = partial(self._leave, run, departures)
            with run.scope.attached(leave), run.overtime.attached(leave):
                pinned = [self._tools.references.pin(item, run.client_id) for item in run.dataset.references]
                run.references = references = {item.name: item.frame_id for item in pinned}
                errors = self._read_chunks(run, departures)
        finally:
            self._leave(run, departures)
        led = [flight for flight in departures.flights.values() if flight.leader is run]
        costs += [*pinned, *led]
        if not run.running:
            return
        outcome = Outcome(departures.plan, run.stored(), run.failures())
        if outcome.empty:
            raise most_severe(errors)
        manifest = self._tools.composer.compose(run, outcome, references, run.query_id)
        for flight in led:
            self._tools.forecast.learn(run.dataset.name, flight.elapsed_s)
        self._finish(run, manifest, costs)

    def _finish(self, run: QueryRun, manifest: frames.Manifest, costs: list[PinnedReference | Flight]) -> None:
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

    def _read_chunks(self, run: QueryRun, departures: Departures) -> list[ServiceError]:
        """Read what is missing, and return the errors of the chunks that failed."""
        indexes = list(departures.flights)
        tasks: list[Callable[[], StoredChunk]] = [
            lambda flight=departures.flights[index]: self._tools.flights.land(flight, run)  # type: ignore[misc]
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
            error = QueryTimeout(f"the query took longer than {self._limits.query_deadline_s:g} s")
        if not isinstance(finished.error, ServiceError):
            log.error("chunk broke", exc_info=finished.error, **facts)
        log.warning("chunk failed", reason=error.reason, **facts)
        run.chunk_failed(index, error.reason)
        self._tools.ledger.write(run)
        self._tools.metrics.chunk_ended(run.dataset.name, part, "failed", 0)
        return error

    def _leave(self, run: QueryRun, departures: Departures) -> None:
        for flight in departures.flights.values():
            self._tools.flights.leave(flight, run)

    def _provisional(self, run: QueryRun) -> frames.Manifest:
        references = run.references
        missing = dict.fromkeys(run.unfinished(), QueryNotReady.reason)
        if run.plan is None or references is None:
            raise QueryNotReady(run.query_id)
        outcome = Outcome(run.plan, run.stored(), {**missing, **run.failures()})
        if outcome.empty:
            raise QueryNotReady(run.query_id)
        return self._tools.composer.compose(run, outcome, references, f"{run.query_id}-so-far")

    def _from_manifest(self, query_id: str) -> pb.Query | None:
        manifest = self._tools.cache.get_manifest(query_id)
        if manifest is None:
            return None
        complete = manifest.receipt.status == table_pb2.COMPLETENESS_COMPLETE
        query = pb.Query(
            query_id=query_id,
            dataset=manifest.labels.get("dataset", ""),
            state=pb.QUERY_STATE_COMPLETED if complete else pb.QUERY_STATE_PARTIAL,
            receipt=manifest.receipt,
        )
        dataset = self._tools.catalog.get(query.dataset)
        query.parameters.update(parameters_of(manifest, dataset))
        return query

    def _broke(self, run: QueryRun, ended: Future[None]) -> None:
        error = ended.exception()
        if error is not None:
            log.error("query broke", query_id=run.query_id, exc_info=error)
            run.fail(InternalFault(run.request_id))

    def _remember(self, run: QueryRun) -> None:
        self._runs.pop(run.query_id, None)
        self._runs[run.query_id] = run
        ended = [query_id for query_id, other in self._runs.items() if not other.running]
        for query_id in ended[: max(0, len(self._runs) - _KEPT_RUN_COUNT)]:
            del self._runs[query_id]

    def _forget(self, run: QueryRun) -> None:
        with self._lock:
            if self._runs.get(run.query_id) is run:
                del self._runs[run.query_id]

    def _beat(self) -> None:
        while not self._stopping.wait(self._limits.beat_s):
            with self._lock:
                running = [run for run in self._runs.values() if run.running]
            for run in running:
                self._look_after(run)

    def _look_after(self, run: QueryRun) -> None:
        heard = self._tools.ledger.heard(run)
        if heard[Signal.SEEN]:
            run.touch()
        if heard[Signal.CANCELLED] or any(run.withdraw() for _ in range(heard[Signal.WITHDRAWN])):
            run.cancel("withdrawn through another process")
            return
        if run.abandoned:
            run.cancel("nobody looked at it any more")
            return
        if run.elapsed_s > self._limits.query_deadline_s:
            run.overtime.cancel()
        self._tools.ledger.write(run)
