"""What query-engine and lineage say of themselves: the warehouse as they find it, their permits, their Redis."""

from __future__ import annotations

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp
from sluice.health.v1 import details_service_pb2 as pb
from sluice.health.v1 import details_service_pb2_grpc as pb_grpc
from sluice_rpc.errors import ServiceError

from sluice_gateway.body import JSON
from sluice_gateway.settings import Settings


class ProcessDetails:
    """The details of one process.

    Args:
        channel: to it.
        settings: how long to wait.
    """

    def __init__(self, channel: grpc.aio.Channel, settings: Settings) -> None:
        self._stub = pb_grpc.DetailsServiceStub(channel)
        self._timeout_s = settings.health_timeout_s

    async def read(self) -> pb.GetDetailsResponse | None:
        """Return what it says; None when it does not answer in time."""
        try:
            response: pb.GetDetailsResponse = await self._stub.GetDetails(
                pb.GetDetailsRequest(), timeout=self._timeout_s
            )
        except ServiceError:
            return None
        return response


def details_json(details: pb.GetDetailsResponse | None) -> JSON:
    """Return details as `/health` shows them; null where there are none."""
    if details is None:
        return None
    warehouse = details.warehouse
    return {
        "warehouse": {
            "reachable": warehouse.reachable,
            "check_time": _instant(warehouse.check_time) if warehouse.HasField("check_time") else None,
            "breaker": _breaker(warehouse.breaker) if warehouse.HasField("breaker") else None,
        },
        "permits": permits_json(details.permits),
        "redis": {link.use: link.available for link in details.redis},
    }


def permits_json(permits: pb.PermitDetails) -> dict[str, JSON]:
    """Return the permits of one process, with who holds one."""
    return {
        "total_count": permits.total_count,
        "active_count": permits.active_count,
        "waiting_count": permits.waiting_count,
        "quarantined_count": permits.quarantined_count,
        "available_count": permits.available_count,
        "share_count": permits.share_count,
        "leased_count": permits.leased_count,
        "lease_state": permits.lease_state,
        "grace_left_s": permits.grace_left_s,
        "held": [
            {"who": held.who, "leased": held.leased, "quarantined": held.quarantined, "held_s": held.held_s}
            for held in permits.held
        ],
    }


def breaker_word(state: pb.BreakerState.ValueType) -> str:
    """Return `closed`, `open` or `half_open`."""
    return str(pb.BreakerState.Name(state)).removeprefix("BREAKER_STATE_").lower()


def _breaker(breaker: pb.BreakerDetails) -> dict[str, JSON]:
    failed = breaker.HasField("last_failure_time")
    return {
        "state": breaker_word(breaker.state),
        "failure_count": breaker.failure_count,
        "success_count": breaker.success_count,
        "total_count": breaker.total_count,
        "window_size": breaker.window_size,
        "failure_rate": breaker.failure_rate,
        "last_failure_time": _instant(breaker.last_failure_time) if failed else None,
        "open_for_s": breaker.open_for_s,
        "enabled": breaker.enabled,
    }


def _instant(value: Timestamp) -> str:
    return value.ToJsonString()
