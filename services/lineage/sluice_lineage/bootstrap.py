"""How the lineage process is put together."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from sluice_rpc.ports import RandomIds, SystemClock
from sluice_rpc.server import RpcServer
from sluice_rpc.settings import SettingsError
from sluice_warehouse import Warehouse, open_warehouse, outlives_process
from sluice_warehouse.breaker_metrics import register_breaker
from sluice_warehouse.details import details_service
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.permit_metrics import PermitMetrics
from sluice_warehouse.permit_settings import PermitSettings, open_permits

from sluice_lineage.asked import AskedIds
from sluice_lineage.containers.wiring import container_service
from sluice_lineage.events.wiring import event_service
from sluice_lineage.frames import CacheFrames, FrameStore
from sluice_lineage.frames_memory import NoFrames
from sluice_lineage.lineage_wiring import lineage_service
from sluice_lineage.rates.events import LimitedEventServicer
from sluice_lineage.rates.wiring import open_rates
from sluice_lineage.settings import Settings


@dataclass(frozen=True)
class Process:
    """The process, built and not started."""

    server: RpcServer
    closing: ExitStack
    """What must be closed once the server has stopped."""


def build(settings: Settings, warehouse: Warehouse | None = None) -> Process:
    """Construct everything; nothing is bound or connected yet.

    Args:
        settings: of the process.
        warehouse: where rows come from, for those who bring their own; None is the one of the settings.

    Raises:
        SettingsError: the warehouse URL is none of ours, or the permits do not fit.
    """
    closing = ExitStack()
    registry = CollectorRegistry()
    # Closed after the warehouse, which ends what runs: a permit counts until its statement has ended.
    permits = open_permits(
        PermitSettings.load(), "lineage", SystemClock(), RandomIds(), outlived=outlives_process(settings.warehouse_url)
    )
    closing.callback(permits.close)
    warehouse = warehouse or _warehouse(settings)
    closing.callback(warehouse.close)
    register_breaker(warehouse, registry)
    PermitMetrics(permits, registry)
    lane = SlowLane(warehouse, permits, permit_wait_s=settings.permit_wait_s)
    rates = open_rates(settings, SystemClock())
    cache = CacheFrames(settings.cache_target) if settings.cache_target else None
    if cache is not None:
        closing.callback(cache.close)
    frames: FrameStore = cache or NoFrames()
    asked = AskedIds(cache, max_count=settings.max_id_count)
    services = [
        lineage_service(settings, lane, closing, cache, asked),
        container_service(settings, lane, SystemClock(), frames),
        event_service(
            settings,
            lane,
            warehouse,
            SystemClock(),
            closing,
            frames=frames,
            asked=asked,
            limited=lambda inner: LimitedEventServicer(inner, rates, registry),
        ),
        details_service(warehouse, permits, SystemClock(), closing, rates.links),
    ]
    return Process(RpcServer("lineage", settings, services, registry), closing)


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
