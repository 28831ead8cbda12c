"""How ContainerService is put together."""

from __future__ import annotations

from typing import Final

from sluice.lineage.v1 import container_service_pb2_grpc as pb_grpc
from sluice_rpc.ports import Clock
from sluice_rpc.server import Service
from sluice_warehouse.lanes import SlowLane

from sluice_lineage.containers.answers import GuardRails
from sluice_lineage.containers.kept import KeptResolutions, Lifetimes
from sluice_lineage.containers.kinds import load_kinds
from sluice_lineage.containers.resolve import Containers
from sluice_lineage.containers.servicer import ContainerServicer
from sluice_lineage.containers.values import ValueLimits
from sluice_lineage.frames import FrameStore
from sluice_lineage.settings import Settings

CONTAINER_SERVICE_NAME: Final = "sluice.lineage.v1.ContainerService"


def container_service(settings: Settings, lane: SlowLane, clock: Clock, frames: FrameStore) -> Service:
    """Return the service; its statements run on `lane`, what it keeps is in `frames`."""
    lifetimes = Lifetimes(settings.resolve_ttl_s, settings.resolve_heavy_ttl_s)
    servicer = ContainerServicer(
        Containers(
            lane,
            max_row_count=settings.resolve_max_row_count,
            any_case_max_count=settings.resolve_any_case_max_count,
        ),
        KeptResolutions(frames, clock, lifetimes, max_bytes=settings.resolve_keep_max_bytes),
        load_kinds(),
        clock,
        limits=ValueLimits(settings.max_id_count, settings.max_pattern_count, settings.resolve_prefix_length),
        rails=GuardRails(settings.resolve_rail_per_value, settings.resolve_rail_containers),
        max_response_bytes=settings.max_response_bytes,
        statement_timeout_s=settings.statement_timeout_s,
    )
    return Service(
        CONTAINER_SERVICE_NAME, lambda server: pb_grpc.add_ContainerServiceServicer_to_server(servicer, server)
    )
