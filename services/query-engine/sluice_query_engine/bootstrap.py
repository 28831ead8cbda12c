"""How the query engine is put together, in one readable pass."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from sluice.query.v1 import query_service_pb2_grpc
from sluice_rpc.ports import Clock, Ids, RandomIds, SystemClock
from sluice_rpc.server import RpcServer, Service
from sluice_rpc.settings import SettingsError
from sluice_warehouse import Warehouse, open_warehouse, outlives_process
from sluice_warehouse.breaker_metrics import register_breaker
from sluice_warehouse.details import details_service
from sluice_warehouse.lanes import PoolLane, SlowLane
from sluice_warehouse.permit_metrics import PermitMetrics
from sluice_warehouse.permit_settings import PermitSettings, open_permits
from sluice_warehouse.permits import Permits, ProcessPermits
from sluice_warehouse.pool_metrics import PoolMetrics

from sluice_query_engine.cache import FrameCache, GrpcFrameCache
from sluice_query_engine.catalog import Catalog, CatalogError, load_catalog
from sluice_query_engine.dataset import LimitDefaults
from sluice_query_engine.execution.answering import CoordinatorLimits, Tools
from sluice_query_engine.execution.chunk import ChunkLimits, ChunkReader
from sluice_query_engine.execution.composer import Composer
from sluice_query_engine.execution.coordinator import Coordinator
from sluice_query_engine.execution.flights import Flights
from sluice_query_engine.execution.forecast import Forecast
from sluice_query_engine.execution.interest import Patience
from sluice_query_engine.execution.known_names import KnownNames
from sluice_query_engine.execution.lease_keeper import LeaseKeeper
from sluice_query_engine.execution.leased_reader import LeasedReader, LeaseLimits
from sluice_query_engine.execution.ledger import Ledger
from sluice_query_engine.execution.neighbours import LeasedNeighbours
from sluice_query_engine.execution.references import References
from sluice_query_engine.execution.snapshots import Snapshots
from sluice_query_engine.execution.stages import Stages
from sluice_query_engine.execution.steps import Steps
from sluice_query_engine.execution.survey import Survey
from sluice_query_engine.execution.turns import Turns
from sluice_query_engine.execution.warm_up import WarmUps
from sluice_query_engine.leases import Leases, MemoryLeases
from sluice_query_engine.leases_redis import RedisLeases
from sluice_query_engine.lineage import GrpcLineage, Lineage, NoLineage
from sluice_query_engine.metrics import EngineMetrics
from sluice_query_engine.plant_clock import PlantClock
from sluice_query_engine.reader import Reader
from sluice_query_engine.redis_link import RedisLink
from sluice_query_engine.servicer import QueryServicer
from sluice_query_engine.settings import Settings
from sluice_query_engine.state import MemoryState, StateStore
from sluice_query_engine.state_redis import RedisState

PROCESS = "query-engine"
SERVICE_NAME = "sluice.query.v1.QueryService"


@dataclass(frozen=True)
class Process:
    """The process, built and not serving."""

    server: RpcServer
    coordinator: Coordinator
    permits: Permits
    """How many statements it may run, and who runs one."""
    closing: ExitStack
    """What must be closed once the server has stopped."""


@dataclass(frozen=True)
class World:
    """What the process talks to, for those who bring their own; what is None is made from the settings."""

    warehouse: Warehouse | None = None
    cache: FrameCache | None = None
    lineage: Lineage | None = None
    state: StateStore | None = None
    leases: Leases | None = None
    clock: Clock | None = None
    ids: Ids | None = None


def build(settings: Settings, world: World | None = None) -> Process:
    """Construct everything; nothing is bound or connected yet, so a cache or a Redis that is down stops nothing.

    Raises:
        SettingsError: the warehouse URL is none of ours, or a dataset folder is wrong.
    """
    given = world or World()
    clock, ids = given.clock or SystemClock(), given.ids or RandomIds()
    registry = CollectorRegistry()
    with ExitStack() as closing:
        permits = _permits(settings, clock, ids, closing, registry)
        warehouse = _opened(given.warehouse or _warehouse(settings), registry, closing)
        cache = _cache(given.cache or GrpcFrameCache(settings.cache_target), closing)
        link = _link(settings, clock, closing)
        state = _state(given.state, link, clock, closing)
        plant_clock = PlantClock(warehouse, clock)
        leases = given.leases or (RedisLeases(link) if link else None)
        own = _Own(cache, clock, ids, leases, closing)
        lane = SlowLane(warehouse, permits, permit_wait_s=settings.permit_wait_s)
        flights = _flights(settings, lane, plant_clock, own)
        pool = _look_ups(settings, warehouse, registry)
        survey, composer = Survey(cache, flights, clock, plant_clock), Composer(cache, clock, ids, plant_clock)
        tools = Tools(
            catalog=_catalog(settings),
            cache=cache,
            survey=survey,
            flights=flights,
            references=References(pool, cache, clock, ids),
            composer=composer,
            steps=_steps(settings, given.lineage, survey, composer, own),
            ledger=Ledger(state, leases or MemoryLeases(clock), ids.new()),
            permits=permits,
            clock=clock,
            metrics=_metrics(registry, link),
            forecast=Forecast(plant_clock),
        )
        coordinator = Coordinator(tools, _coordinator_limits(settings))
        closing.callback(coordinator.close)
        details = details_service(warehouse, permits, clock, closing, {"state": link.answers} if link else {})
        turns = _turns(coordinator, own)
        snapshots = _snapshots(settings, turns, tools, state, lane=pool)
        if settings.warms_up:
            WarmUps(turns, plant_clock).start([*tools.catalog])
        services = [_service(settings, tools, coordinator, snapshots, plant_clock), details]
        return Process(RpcServer(PROCESS, settings, services, registry), coordinator, permits, closing.pop_all())


def _look_ups(settings: Settings, warehouse: Warehouse, registry: CollectorRegistry) -> PoolLane:
    # A look-up that a server runs on rests as long as a slow statement does.
    lane = PoolLane(warehouse, settings.pool_size, margin_s=PermitSettings.load().margin_s)
    PoolMetrics(lane, registry)
    return lane


def _opened(warehouse: Warehouse, registry: CollectorRegistry, closing: ExitStack) -> Warehouse:
    closing.callback(warehouse.close)
    register_breaker(warehouse, registry)
    return warehouse


def _cache(cache: FrameCache, closing: ExitStack) -> FrameCache:
    closing.callback(cache.close)
    return cache


def _state(given: StateStore | None, link: RedisLink | None, clock: Clock, closing: ExitStack) -> StateStore:
    state = given or (RedisState(link, clock) if link else MemoryState(clock))
    closing.callback(state.close)
    return state


def _permits(
    settings: Settings, clock: Clock, ids: Ids, closing: ExitStack, registry: CollectorRegistry
) -> ProcessPermits:
    outlived = outlives_process(settings.warehouse_url)
    permits = open_permits(PermitSettings.load(), PROCESS, clock, ids, outlived=outlived)
    # Closed after the warehouse, which ends what runs: a permit counts until its statement has ended.
    closing.callback(permits.close)
    PermitMetrics(permits, registry)
    return permits


def _metrics(registry: CollectorRegistry, link: RedisLink | None) -> EngineMetrics:
    metrics = EngineMetrics(registry)
    if link is not None:
        metrics.watch_redis(lambda: not link.degraded)
    return metrics


def _snapshots(settings: Settings, turns: Turns, tools: Tools, state: StateStore, *, lane: PoolLane) -> Snapshots:
    snapshots = Snapshots(turns, cache=tools.cache, state=state, lane=lane, clock=tools.clock)
    if settings.refreshes_snapshots:
        snapshots.start([*tools.catalog])
    return snapshots


def _turns(coordinator: Coordinator, own: _Own) -> Turns:
    turns = Turns(coordinator, own.leases, own.ids)
    own.closing.callback(turns.close)
    return turns


def _service(
    settings: Settings, tools: Tools, coordinator: Coordinator, snapshots: Snapshots, plant_clock: PlantClock
) -> Service:
    servicer = QueryServicer(
        tools.catalog,
        coordinator,
        tools.survey,
        Reader(tools.catalog, coordinator, tools.cache, tools.clock),
        known_names=KnownNames(tools.references, tools.cache),
        snapshots=snapshots,
        forecast=tools.forecast,
        plant_clock=plant_clock,
        max_watcher_count=settings.max_watcher_count,
    )
    return Service(
        SERVICE_NAME, lambda server: query_service_pb2_grpc.add_QueryServiceServicer_to_server(servicer, server)
    )


@dataclass(frozen=True)
class _Own:
    cache: FrameCache
    clock: Clock
    ids: Ids
    leases: Leases | None
    closing: ExitStack


def _flights(
    settings: Settings,
    lane: SlowLane,
    plant_clock: PlantClock,
    own: _Own,
) -> Flights:
    reader = ChunkReader(
        lane,
        own.cache,
        own.clock,
        own.ids,
        plant_clock=plant_clock,
        limits=ChunkLimits(
            settings.chunk_max_memory_mb << 20, settings.chunk_deadline_s, retry_count=settings.chunk_retry_count
        ),
    )
    leases = own.leases
    if leases is None:
        return Flights(reader, own.clock)
    keeper = LeaseKeeper(leases, own.clock)
    own.closing.callback(keeper.close)
    limits = LeaseLimits(settings.chunk_deadline_s)
    shared = LeasedReader(reader, leases, keeper, cache=own.cache, clock=own.clock, ids=own.ids, limits=limits)
    return Flights(shared, own.clock, LeasedNeighbours(leases, keeper, own.clock, own.ids))


def _steps(settings: Settings, lineage: Lineage | None, survey: Survey, composer: Composer, own: _Own) -> Steps:
    if lineage is None:
        lineage = GrpcLineage(settings.lineage_target) if settings.lineage_target else NoLineage()
        own.closing.callback(lineage.close)
    stages = Stages(
        lineage,
        own.cache,
        own.clock,
        own.ids,
        max_bytes=settings.stage_max_memory_mb << 20,
        deadline_s=settings.stage_deadline_s,
    )
    return Steps(survey, stages, composer)


def _coordinator_limits(settings: Settings) -> CoordinatorLimits:
    return CoordinatorLimits(
        settings.chunk_max_parallel,
        settings.max_running_query_count,
        Patience(settings.abandon_after_s, settings.watcher_grace_s),
        settings.query_deadline_s,
    )


def _catalog(settings: Settings) -> Catalog:
    try:
        return load_catalog(
            settings.datasets_dir,
            settings.references_dir,
            _limit_defaults(settings),
            settings.dataset_limits,
            settings.compiled_dir,
        )
    except (CatalogError, OSError) as error:
        raise SettingsError(str(error)) from error


def _limit_defaults(settings: Settings) -> LimitDefaults:
    return LimitDefaults(
        direct_max_days=settings.query_time_threshold_days,
        grain_days=settings.query_grain_days,
        direct_max_ids=settings.query_id_threshold,
        rows_per_chunk=settings.query_rows_per_chunk,
    )


def _warehouse(settings: Settings) -> Warehouse:
    try:
        return open_warehouse(
            settings.warehouse_url,
            statement_log=settings.statement_log,
            fault_path=settings.fault_file,
            memory_limit_bytes=settings.warehouse_memory_limit_bytes,
            thread_count=settings.warehouse_thread_count,
        )
    except ValueError as error:
        raise SettingsError(f"warehouse_url: {error}") from error


def _link(settings: Settings, clock: Clock, closing: ExitStack) -> RedisLink | None:
    if not settings.redis_url:
        return None
    try:
        link = RedisLink(settings.redis_url, clock, prefix=settings.redis_prefix)
    except ValueError as error:
        raise SettingsError(f"redis_url: {error}") from error
    closing.callback(link.close)
    return link
