"""DetailsService: what a process with a warehouse tells of its breaker, its permits and its links to Redis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Final

import grpc
from sluice.health.v1 import details_service_pb2 as pb
from sluice.health.v1 import details_service_pb2_grpc as pb_grpc
from sluice_rpc.ports import Clock
from sluice_rpc.server import Service

from sluice_warehouse import Warehouse
from sluice_warehouse.breaker import BreakerSnapshot, State
from sluice_warehouse.guarded import GuardedWarehouse
from sluice_warehouse.permits import Permits, PermitsSnapshot
from sluice_warehouse.pulse import Pulse

SERVICE_NAME: Final = "sluice.health.v1.DetailsService"

_BREAKER_STATES: Final[Mapping[State, pb.BreakerState.ValueType]] = {
    "closed": pb.BREAKER_STATE_CLOSED,
    "open": pb.BREAKER_STATE_OPEN,
    "half_open": pb.BREAKER_STATE_HALF_OPEN,
}

Links = Mapping[str, Callable[[], bool]]
"""By what is kept there, a function that says whether Redis answers now; it is bounded in time."""


class DetailsServicer(pb_grpc.DetailsServiceServicer):
    """The one RPC, asked every few seconds.

    Args:
        warehouse: its breaker, where it has one, is shown.
        pulse: whether the warehouse answers.
        permits: of this process.
        links: what else of this process lives in Redis.
    """

    def __init__(self, warehouse: Warehouse, pulse: Pulse, permits: Permits, links: Links) -> None:
        self._breaker = warehouse.breaker if isinstance(warehouse, GuardedWarehouse) else None
        self._pulse = pulse
        self._permits = permits
        self._links = links

    def GetDetails(self, request: pb.GetDetailsRequest, context: grpc.ServicerContext) -> pb.GetDetailsResponse:
        beat = self._pulse.read()
        warehouse = pb.WarehouseDetails(reachable=beat.reachable)
        if beat.check_time is not None:
            warehouse.check_time.FromDatetime(beat.check_time)
        if self._breaker is not None:
            warehouse.breaker.CopyFrom(_breaker(self._breaker.snapshot()))
        permits = self._permits.snapshot()
        redis = [pb.RedisDetails(use=use, available=answers()) for use, answers in self._links.items()]
        if permits.lease_state != "none":
            redis.append(pb.RedisDetails(use="permits", available=permits.lease_state != "away"))
        return pb.GetDetailsResponse(warehouse=warehouse, permits=_permits(permits), redis=redis)


def details_service(
    warehouse: Warehouse, permits: Permits, clock: Clock, closing: ExitStack, links: Links | None = None
) -> Service:
    """Return the service for a process; what it needs is closed with the rest of it."""
    pulse = Pulse(warehouse.ping, clock)
    closing.callback(pulse.close)
    servicer = DetailsServicer(warehouse, pulse, permits, links or {})
    return Service(SERVICE_NAME, lambda server: pb_grpc.add_DetailsServiceServicer_to_server(servicer, server))


def _breaker(now: BreakerSnapshot) -> pb.BreakerDetails:
    shown = pb.BreakerDetails(
        state=_BREAKER_STATES[now.state],
        failure_count=now.failure_count,
        success_count=now.success_count,
        total_count=now.total_count,
        window_size=now.window_size,
        failure_rate=now.failure_rate,
        open_for_s=round(now.open_for_s, 3),
        enabled=now.enabled,
    )
    if now.last_failure_time is not None:
        shown.last_failure_time.FromDatetime(now.last_failure_time)
    return shown


def _permits(now: PermitsSnapshot) -> pb.PermitDetails:
    return pb.PermitDetails(
        total_count=now.total_count,
        active_count=len(now.held),
        waiting_count=now.waiting_count,
        quarantined_count=now.quarantined_count,
        available_count=now.available_count,
        share_count=now.share_count,
        leased_count=now.leased_count,
        lease_state=now.lease_state,
        grace_left_s=now.grace_left_s,
        held=[
            pb.HeldPermit(who=held.who, leased=held.leased, quarantined=held.quarantined, held_s=held.held_s)
            for held in now.held
        ],
    )
