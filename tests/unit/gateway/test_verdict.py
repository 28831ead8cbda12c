"""From what each part says to one status and its reasons."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sluice.cache.v1 import frame_service_pb2 as cache_pb
from sluice.health.v1 import details_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_gateway.verdict import REASON_CODES, Findings, reasons_of, status_of

WELL = pb.GetDetailsResponse(
    warehouse=pb.WarehouseDetails(reachable=True),
    permits=pb.PermitDetails(total_count=4, available_count=4, lease_state="none"),
    redis=[pb.RedisDetails(use="state", available=True)],
)
PAGE = (Path(__file__).parents[3] / "docs/operations.md").read_text(encoding="utf-8")


def well(**changes: object) -> pb.GetDetailsResponse:
    """Return the details of a process that is well, but for these."""
    made = pb.GetDetailsResponse()
    made.CopyFrom(WELL)
    for name in changes:
        made.ClearField(name)  # type: ignore[arg-type]  # names of fields
    made.MergeFrom(pb.GetDetailsResponse(**changes))  # type: ignore[arg-type]  # whatever a test wants to differ
    return made


def of_engine(**changes: object) -> Findings:
    return Findings(details={"query-engine": well(**changes), "lineage": WELL}, cache=CALM)


def of_cache(*tiers: cache_pb.TierStats, level: cache_pb.PressureLevel.ValueType) -> Findings:
    return Findings(cache=cache_pb.GetStatsResponse(tiers=tiers, memory=cache_pb.MemoryStats(level=level)))


def breaker(state: pb.BreakerState.ValueType) -> pb.WarehouseDetails:
    return pb.WarehouseDetails(reachable=True, breaker=pb.BreakerDetails(state=state, failure_count=5, open_for_s=12))


NORMAL = cache_pb.PRESSURE_LEVEL_NORMAL
CALM = cache_pb.GetStatsResponse()
AWAY = cache_pb.TierStats(tier=table_pb2.TIER_REDIS, reason="away")
FULL = cache_pb.TierStats(tier=table_pb2.TIER_SPOOL, available=True, disk_reason="No space left on device")
HELD = pb.PermitDetails(total_count=4, waiting_count=1, lease_state="none")
FOUND = [
    (
        Findings({"query-engine": "cannot be reached"}, {"query-engine": None}, CALM),
        "query_engine_unreachable",
        "unhealthy",
    ),
    (Findings({"cache": "cannot be reached"}), "cache_unreachable", "unhealthy"),
    (of_engine(warehouse=pb.WarehouseDetails()), "warehouse_unreachable", "unhealthy"),
    (Findings({"lineage": "cannot be reached"}, {"lineage": None}, CALM), "lineage_unreachable", "degraded"),
    (Findings(details={"query-engine": None, "lineage": WELL}, cache=CALM), "details_unknown", "degraded"),
    (Findings(details={"query-engine": WELL, "lineage": WELL}), "details_unknown", "degraded"),
    (of_engine(warehouse=breaker(pb.BREAKER_STATE_OPEN)), "circuit_open", "degraded"),
    (of_engine(warehouse=breaker(pb.BREAKER_STATE_HALF_OPEN)), "circuit_open", "degraded"),
    (of_engine(permits=HELD), "permits_saturated", "degraded"),
    (of_cache(level=cache_pb.PRESSURE_LEVEL_REFUSE), "memory_pressure", "degraded"),
    (of_cache(FULL, level=NORMAL), "disk_full", "degraded"),
    (of_engine(redis=[pb.RedisDetails(use="state")]), "redis_unavailable", "degraded"),
    (of_cache(AWAY, level=NORMAL), "redis_unavailable", "degraded"),
    (of_engine(permits=pb.PermitDetails(lease_state="grace", grace_left_s=7)), "leases_suspended", "degraded"),
]
SILENT = [
    of_engine(),
    of_engine(warehouse=breaker(pb.BREAKER_STATE_CLOSED)),
    of_engine(permits=pb.PermitDetails(total_count=4, lease_state="granting")),
    of_cache(cache_pb.TierStats(tier=table_pb2.TIER_REDIS, switched_off=True), level=cache_pb.PRESSURE_LEVEL_EVICT),
    Findings(reasons={"cache": "", "lineage": ""}, details={"lineage": WELL}, cache=CALM),
]


@pytest.mark.parametrize(("found", "code", "status"), FOUND)
def test_each_finding_has_its_reason_and_status(found: Findings, code: str, status: str) -> None:
    reasons = reasons_of(found)
    assert ([reason.code for reason in reasons], status_of(reasons)) == ([code], status)


@pytest.mark.parametrize("found", SILENT)
def test_what_is_as_it_should_be_is_healthy(found: Findings) -> None:
    assert (reasons_of(found), status_of([])) == ([], "healthy")


def test_a_warehouse_that_only_lineage_misses_leaves_queries_alone() -> None:
    found = Findings(details={"query-engine": WELL, "lineage": well(warehouse=pb.WarehouseDetails())}, cache=CALM)
    assert status_of(reasons_of(found)) == "degraded"


def test_the_most_pressing_reason_comes_first() -> None:
    found = of_engine(
        warehouse=pb.WarehouseDetails(reachable=False, breaker=pb.BreakerDetails(state=pb.BREAKER_STATE_OPEN)),
        permits=pb.PermitDetails(total_count=1, waiting_count=2, lease_state="away"),
        redis=[pb.RedisDetails(use="state"), pb.RedisDetails(use="permits")],
    )
    assert [reason.code for reason in reasons_of(found)] == [
        "warehouse_unreachable",
        "circuit_open",
        "permits_saturated",
        "redis_unavailable",
    ]


def test_every_reason_is_provoked_here() -> None:
    assert {code for _, code, _ in FOUND} == set(REASON_CODES)


def test_the_page_for_operators_has_a_row_for_every_reason_in_their_order() -> None:
    assert tuple(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)) == REASON_CODES
