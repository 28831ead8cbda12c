"""How the whole is: from what each part says to one status and its reasons, the most pressing first. It asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from sluice.cache.v1 import frame_service_pb2 as cache_pb
from sluice.health.v1 import details_service_pb2 as pb
from sluice.table.v1 import table_pb2

from sluice_gateway.process_details import breaker_word

Status = Literal["healthy", "degraded", "unhealthy"]

REASON_CODES: Final = (
    "query_engine_unreachable",
    "cache_unreachable",
    "warehouse_unreachable",
    "lineage_unreachable",
    "details_unknown",
    "circuit_open",
    "permits_saturated",
    "memory_pressure",
    "disk_full",
    "redis_unavailable",
    "leases_suspended",
)
"""Every reason there is, the most pressing first; docs/operations.md has a row for each."""

_WITHOUT_ANSWERS: Final = frozenset({"query_engine_unreachable", "cache_unreachable"})
_QUERY_ENGINE: Final = "query-engine"
_CACHE: Final = "cache"
_LEASES_RUN: Final = frozenset({"none", "granting", "away"})
"""Away is Redis's own reason."""


@dataclass(frozen=True)
class Reason:
    """One thing that is not as it should be."""

    code: str
    process: str
    detail: str


@dataclass(frozen=True)
class Findings:
    """What each part said.

    Args:
        reasons: why each process does not serve; empty text where it does.
        details: of the processes with a warehouse; None where one does not answer.
        cache: what the cache counts; None where it does not answer.
    """

    reasons: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, pb.GetDetailsResponse | None] = field(default_factory=dict)
    cache: cache_pb.GetStatsResponse | None = None


def reasons_of(found: Findings) -> list[Reason]:
    """Return what is not as it should be, the most pressing first."""
    return sorted(_all(found), key=lambda reason: REASON_CODES.index(reason.code))


def status_of(reasons: Sequence[Reason]) -> Status:
    """Return `unhealthy` where no query can be answered, `degraded` where something else is missing."""
    if any(_is_fatal(reason) for reason in reasons):
        return "unhealthy"
    return "degraded" if reasons else "healthy"


def _is_fatal(reason: Reason) -> bool:
    no_rows = reason.code == "warehouse_unreachable" and reason.process == _QUERY_ENGINE
    return no_rows or reason.code in _WITHOUT_ANSWERS


def _all(found: Findings) -> Iterator[Reason]:
    for process, text in found.reasons.items():
        if text:
            yield Reason(f"{process.replace('-', '_')}_unreachable", process, text)
    for process, details in found.details.items():
        if details is None:
            yield from _unknown(found, process)
        else:
            yield from _of_warehouse(process, details.warehouse)
            yield from _of_permits(process, details.permits)
            yield from _of_redis(process, details.redis)
    if found.cache is None:
        yield from _unknown(found, _CACHE)
    else:
        yield from _of_cache(found.cache)


def _unknown(found: Findings, process: str) -> Iterator[Reason]:
    # Of a process that does not serve its own reason says enough.
    if not found.reasons.get(process):
        yield Reason("details_unknown", process, "serves, but does not say how it is")


def _of_warehouse(process: str, warehouse: pb.WarehouseDetails) -> Iterator[Reason]:
    if not warehouse.reachable:
        yield Reason("warehouse_unreachable", process, "the warehouse does not answer")
    breaker = warehouse.breaker
    if warehouse.HasField("breaker") and breaker.state not in (pb.BREAKER_STATE_CLOSED, pb.BREAKER_STATE_UNSPECIFIED):
        word = breaker_word(breaker.state).replace("_", " ")
        rest = f"; a probe goes in {breaker.open_for_s:.0f} s" if breaker.state == pb.BREAKER_STATE_OPEN else ""
        yield Reason("circuit_open", process, f"the breaker is {word} after {breaker.failure_count} failures{rest}")


def _of_permits(process: str, permits: pb.PermitDetails) -> Iterator[Reason]:
    if permits.waiting_count and not permits.available_count:
        detail = f"{permits.waiting_count} wait, all {permits.total_count} permits are held"
        yield Reason("permits_saturated", process, detail)
    if permits.lease_state not in _LEASES_RUN:
        left = f" for {permits.grace_left_s:.0f} s" if permits.lease_state == "grace" else ""
        yield Reason("leases_suspended", process, f"no leases are granted{left}: {permits.lease_state}")


def _of_redis(process: str, links: Sequence[pb.RedisDetails]) -> Iterator[Reason]:
    away = [link.use for link in links if not link.available]
    if away:
        yield Reason("redis_unavailable", process, f"does not answer for {' and '.join(away)}")


def _of_cache(stats: cache_pb.GetStatsResponse) -> Iterator[Reason]:
    if stats.memory.level == cache_pb.PRESSURE_LEVEL_REFUSE:
        yield Reason("memory_pressure", "cache", "new frames and statements are refused")
    for tier in stats.tiers:
        name = str(table_pb2.Tier.Name(tier.tier)).removeprefix("TIER_").lower()
        if tier.disk_reason:
            yield Reason("disk_full", "cache", f"{name}: {tier.disk_reason}")
        if tier.tier == table_pb2.TIER_REDIS and not tier.available and not tier.switched_off:
            yield Reason("redis_unavailable", "cache", "does not answer for frames")
