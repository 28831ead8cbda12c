"""How the lineage process is put together."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from sluice.lineage.v1 import lineage_service_pb2_grpc as pb_grpc
from sluice_rpc.ports import RandomIds, SystemClock
from sluice_rpc.server import RpcServer, Service
from sluice_rpc.settings import SettingsError
from sluice_warehouse import open_warehouse
from sluice_warehouse.breaker_metrics import register_breaker
from sluice_warehouse.details import details_service
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.permit_metrics import PermitMetrics
from sluice_warehouse.permit_settings import PermitSettings, open_permits

from sluice_lineage.containers.wiring import container_service
from sluice_lineage.genealogy import Genealogy, load_split_ancestors
from sluice_lineage.servicer import LineageServicer
from sluice_lineage.settings import Settings

SERVICE_NAME = "sluice.lineage.v1.LineageService"


@dataclass(frozen=True)
class Process:
    """The process, built and not started."""

    server: RpcServer
    closing: ExitStack
    """What must be closed once the server has stopped."""


def build(settings: Settings) -> Process:
    """Construct everything; nothing is bound or connected yet.

    Raises:
        SettingsError: the warehouse URL is none of ours, or the permits do not fit.
    """
    closing = ExitStack()
    registry = CollectorRegistry()
    try:
        warehouse = open_warehouse(
            settings.warehouse_url,
            statement_log=settings.statement_log,
            fault_path=settings.fault_file,
            memory_limit_bytes=settings.warehouse_memory_limit_bytes,
            thread_count=settings.warehouse_thread_count,
        )
    except ValueError as error:
        raise SettingsError(f"warehouse_url: {error}") from error
    closing.callback(warehouse.close)
    register_breaker(warehouse, registry)
    permits = open_permits(PermitSettings.load(), "lineage", settings.slow_max_concurrent, SystemClock(), RandomIds())
    closing.callback(permits.close)
    PermitMetrics(permits, registry)
    lane = SlowLane(warehouse, permits, permit_wait_s=settings.permit_wait_s)
    genealogy = Genealogy(
        lane,
        load_split_ancestors(settings.ancestor_alternative),
        max_size_bytes=settings.max_response_bytes,
    )
    servicer = LineageServicer(
        genealogy,
        SystemClock(),
        max_id_count=settings.max_id_count,
        statement_timeout_s=settings.statement_timeout_s,
    )
    services = [
        Service(SERVICE_NAME, lambda server: pb_grpc.add_LineageServiceServicer_to_server(servicer, server)),
        container_service(settings, lane),
        details_service(warehouse, permits, SystemClock(), closing),
    ]
    return Process(RpcServer("lineage", settings, services, registry), closing)
