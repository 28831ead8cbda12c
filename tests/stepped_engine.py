"""A query engine that moves only when a test says so: each statement stops before its first row until it is released.

The plant is a list of holds, the cache and the state are in memory, the clock is told the time. Between two calls of a
test every thread of the engine has ended or stands at a statement, so the same calls always have the same outcome.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from sluice.cache.v1 import sql_service_pb2 as sql
from sluice.query.v1 import query_service_pb2 as pb
from sluice_query_engine.catalog import Catalog, load_catalog
from sluice_query_engine.dataset import Dataset, Reference
from sluice_query_engine.execution.answering import CoordinatorLimits, Tools
from sluice_query_engine.execution.chunk import ChunkJob, ChunkLimits, ChunkReader, StoredChunk
from sluice_query_engine.execution.composer import Composer
from sluice_query_engine.execution.coordinator import Coordinator
from sluice_query_engine.execution.flights import Flight, Flights, Listener
from sluice_query_engine.execution.forecast import Forecast
from sluice_query_engine.execution.interest import Patience
from sluice_query_engine.execution.inventory import Inventory
from sluice_query_engine.execution.ledger import Ledger
from sluice_query_engine.execution.references import PinnedReference, References
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.execution.stages import Stages
from sluice_query_engine.execution.steps import Steps
from sluice_query_engine.execution.survey import Departures, Survey
from sluice_query_engine.leases import MemoryLeases
from sluice_query_engine.lineage import NoLineage
from sluice_query_engine.metrics import EngineMetrics
from sluice_query_engine.parameters import JSON
from sluice_query_engine.planning.extents import Extent, usable
from sluice_query_engine.planning.id_extents import IdExtent
from sluice_query_engine.planning.plan import PlannedChunk
from sluice_query_engine.plant_clock import PlantClock
from sluice_query_engine.state import MemoryState
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import FakeClock, SequentialIds
from sluice_warehouse.lanes import PoolLane, SlowLane
from sluice_warehouse.permits import LocalPermits

from tests.engine_rig import DATASET, REPOSITORY, decoded
from tests.stepped_world import FickleCache, GatedReading, Hold, ListWarehouse, Stage, Started


@dataclass(frozen=True)
class Planned:
    """What one planning found missing, with what was there or on its way just before."""

    run: QueryRun
    no_cache: bool
    missing: tuple[PlannedChunk, ...]
    there: tuple[Started, ...]


class SteppedFlights(Flights):
    """Flights that tell the stage who stands where."""

    def __init__(self, reader: ChunkReader, clock: FakeClock, stage: Stage) -> None:
        super().__init__(reader, clock)
        self._stage = stage

    def want(self, job: ChunkJob, seeker: Hashable, listener: Listener) -> Flight:
        return _told_at_once(super().want(job, seeker, listener), listener)

    def join(self, flight: Flight, seeker: Hashable, listener: Listener) -> Flight:
        return _told_at_once(super().join(flight, seeker, listener), listener)

    def land(self, flight: Flight, seeker: Hashable) -> StoredChunk:
        assert isinstance(seeker, QueryRun)
        with self._stage.changed:
            self._stage.landing[seeker.client_id] = flight
        self._stage.leading.client_id, self._stage.leading.flight = seeker.client_id, flight
        try:
            return super().land(flight, seeker)
        finally:
            with self._stage.changed:
                del self._stage.landing[seeker.client_id]


def _told_at_once(flight: Flight, listener: Listener) -> Flight:
    """Tell who comes to a read that others began of its rows at the earliest moment that a thread could."""
    if flight.state == "running":
        listener(flight.row_count)
    return flight


class SteppedReferences(References):
    """References that tell the stage who waits for one."""

    stage: Stage

    def pin(self, reference: Reference, client_id: str) -> PinnedReference:
        with self.stage.changed:
            self.stage.pinning.add(client_id)
        try:
            return super().pin(reference, client_id)
        finally:
            with self.stage.changed:
                self.stage.pinning.discard(client_id)


class SteppedSurvey(Survey):
    """A survey that notes each planning beside what was there just before."""

    stage: Stage
    plans: list[Planned]
    there: Callable[[], tuple[Started, ...]]

    def depart(self, run: QueryRun, parameters: Mapping[str, JSON], *, no_cache: bool) -> Departures:
        there = (*self.there(), *(_extent(item) for item in self._pending(run.dataset, parameters)))
        with self.stage.changed:
            self.stage.working[run.client_id] = run
        departures = super().depart(run, parameters, no_cache=no_cache)
        self.plans.append(Planned(run, no_cache, departures.plan.missing, there))
        return departures


class SteppedLedger(Ledger):
    """A ledger that tells the stage which runs have ended."""

    stage: Stage

    def close(self, run: QueryRun) -> None:
        super().close(run)
        with self.stage.changed:
            del self.stage.working[run.client_id]
            self.stage.changed.notify_all()


def _extent(extent: Extent | IdExtent) -> Started:
    if isinstance(extent, IdExtent):
        return Started("", extent.part, None, None, extent.ids)
    return Started("", extent.part, extent.start, extent.end)


@functools.cache
def catalog() -> Catalog:
    """Return the dataset of holds as it is shipped, but cut small and sequentially read."""
    shipped = load_catalog(REPOSITORY / "tests" / "only_holds", REPOSITORY / "services" / "query-engine" / "references")
    dataset = shipped.get(DATASET)
    limits = replace(dataset.limits, direct_max_days=4, grain_days=2, max_rows_per_chunk=16, parallel=1)
    # What is derived has tests of its own; here only the keys matter, and deriving all columns takes most of the time.
    derived = replace(dataset.derived, sql="select history_id from slice union all select history_id from carry_in")
    return Catalog({**shipped.datasets, DATASET: replace(dataset, limits=limits, derived=derived)}, shipped.schemas)


class SteppedEngine:
    """The engine and everything a test moves it by.

    Args:
        holds: the plant.
        now: the plant's clock at first.
    """

    def __init__(self, holds: Sequence[Hold], now: datetime) -> None:
        self.holds = holds
        self.clock = FakeClock(now.replace(tzinfo=UTC))
        self.stage = Stage()
        self.cache = FickleCache(self.clock)
        self.plans: list[Planned] = []
        self.runs: dict[str, QueryRun] = {}
        self.dataset: Dataset = catalog().get(DATASET)
        self._client_ids = SequentialIds()
        self.coordinator = Coordinator(self._tools(), CoordinatorLimits(1, 64, Patience(1e12, 1e12), 1e12))

    def start(self, start_date: str, end_date: str, *, no_cache: bool = False) -> str:
        """Start a query, let it come to its first statement, and return its id."""
        given: dict[str, JSON] = {"start_date": start_date, "end_date": end_date}
        client_id = f"run-{self._client_ids.new()}"
        query = self.coordinator.start(self.dataset, given, no_cache=no_cache, client_id=client_id)
        return self._came_to_rest(query)

    def retry(self, query_id: str) -> str:
        """Start a query again as a caller does who was told of a gap."""
        return self._came_to_rest(self.coordinator.retry(query_id, f"run-{self._client_ids.new()}"))

    def cancel(self, query_id: str) -> None:
        """Withdraw a query whoever wants it."""
        self.coordinator.cancel(query_id, force=True)
        self.stage.wait_until_quiet()

    def waiting(self) -> list[GatedReading]:
        """Return the statements that wait to be released, in an order that does not depend on threads."""
        return sorted(self.stage.waiting, key=lambda reading: reading.begun.client_id)

    def release(self, reading: GatedReading, error: ServiceError | None = None, batch_count: int = 0) -> None:
        """Let a statement go on, and the engine come to rest again."""
        reading.release(error, batch_count)
        self.stage.wait_until_quiet()

    def release_all(self) -> None:
        """Let every statement succeed until nothing runs."""
        while waiting := self.waiting():
            self.release(waiting[0])

    def close(self) -> None:
        """Cancel what runs, and wait for it; look-ups of references cannot be cancelled, so they are let go."""
        with self.stage.changed:
            self.stage.closing = True
            waiting = list(self.stage.waiting)
        for reading in waiting:
            reading.cancel()
        self.coordinator.close()

    def ended(self) -> list[str]:
        """Return the queries whose last run has ended."""
        return [query_id for query_id, run in self.runs.items() if not run.running]

    def running(self) -> list[str]:
        """Return the queries that run."""
        return [query_id for query_id, run in self.runs.items() if run.running]

    def rows(self, query_id: str) -> list[str]:
        """Return the keys of the rows that the query's manifest yields. Raises CacheExpired."""
        statement = sql.SqlStatement(sql="select history_id from holds")
        request = sql.RunQueryRequest(sources=[sql.SqlSource(manifest_id=query_id)], statements=[statement])
        with self.cache.run_query(request, deadline_s=60.0) as answers:
            pieces = [answer.chunk.ipc for answer in answers if answer.WhichOneof("part") == "chunk"]
        return [str(key) for key in decoded(pieces).column("history_id").to_pylist()]

    def _came_to_rest(self, query: pb.Query) -> str:
        run = self.coordinator.run_of(query.query_id)
        assert run is not None
        self.runs[query.query_id] = run
        self.stage.wait_until_quiet()
        return query.query_id

    def _there(self) -> tuple[Started, ...]:
        given: dict[str, JSON] = {"start_date": "2026-01-01", "end_date": "2026-01-01"}
        there = Inventory(self.cache).extents(self.dataset, given)
        return tuple(_extent(item) for item in usable(there, self.clock.now()))

    def _tools(self) -> Tools:
        ids, permits = SequentialIds(), LocalPermits(64)
        warehouse = ListWarehouse(self.holds, self.clock, self.stage)
        plant_clock = PlantClock(warehouse, self.clock)
        limits = ChunkLimits(1 << 20, 1e9, retry_pause_s=0.0)
        lane = SlowLane(warehouse, permits)
        reader = ChunkReader(lane, self.cache, self.clock, ids, plant_clock=plant_clock, limits=limits)
        flights = SteppedFlights(reader, self.clock, self.stage)
        survey = SteppedSurvey(self.cache, flights, self.clock, plant_clock)
        survey.stage, survey.plans, survey.there = self.stage, self.plans, self._there
        references = SteppedReferences(PoolLane(warehouse, 64), self.cache, self.clock, ids)
        ledger = SteppedLedger(MemoryState(self.clock), MemoryLeases(self.clock), "this-process")
        references.stage = ledger.stage = self.stage
        composer = Composer(self.cache, self.clock, ids, plant_clock)
        stages = Stages(NoLineage(), self.cache, self.clock, ids, max_bytes=1 << 20, deadline_s=60.0)
        return Tools(
            catalog=catalog(),
            cache=self.cache,
            survey=survey,
            flights=flights,
            references=references,
            composer=composer,
            steps=Steps(survey, stages, composer),
            ledger=ledger,
            permits=permits,
            clock=self.clock,
            metrics=EngineMetrics(CollectorRegistry()),
            forecast=Forecast(plant_clock),
        )


@contextmanager
def stepped_engine(holds: Sequence[Hold], now: datetime) -> Iterator[SteppedEngine]:
    """Yield an engine on a plant and end it afterwards."""
    engine = SteppedEngine(holds, now)
    try:
        yield engine
    finally:
        engine.close()
