"""What operators may look at: permits of each process, and the queries that run."""

from __future__ import annotations

import grpc
import httpx
import pytest
from sluice.health.v1 import details_service_pb2 as details_pb
from sluice.health.v1 import details_service_pb2_grpc as details_rpc
from sluice.query.v1 import query_service_pb2 as pb
from sluice_gateway.bootstrap import build
from sluice_rpc.server import Service

from tests.unit.gateway.conftest import Behind, opened
from tests.unit.gateway.stand_ins import QUERY_ID, FakeQueryService, query, serving

pytestmark = pytest.mark.anyio


class Telling(details_rpc.DetailsServiceServicer):
    """A process that waits for permits and counts how often it was asked."""

    asked_count = 0

    def GetDetails(
        self, request: details_pb.GetDetailsRequest, context: grpc.ServicerContext
    ) -> details_pb.GetDetailsResponse:
        self.asked_count += 1
        held = [details_pb.HeldPermit(who="lineage walk", held_s=2.5)]
        permits = details_pb.PermitDetails(
            total_count=1, active_count=1, waiting_count=3, held=held, lease_state="none"
        )
        warehouse = details_pb.WarehouseDetails(reachable=True)
        return details_pb.GetDetailsResponse(warehouse=warehouse, permits=permits)


async def test_permits_are_shown_by_process_with_who_holds_them(behind: Behind) -> None:
    def add(server: grpc.Server) -> None:
        details_rpc.add_DetailsServiceServicer_to_server(Telling(), server)

    with serving("lineage", Service("sluice.health.v1.DetailsService", add)) as lineage:
        gateway = await build(behind.settings(lineage_target=f"127.0.0.1:{lineage.port}"))
        async with gateway.closing, opened(gateway) as client:
            shown = (await client.get("/api/ops/permits")).json()["permits"]
    assert shown["query-engine"] is None
    assert (shown["lineage"]["waiting_count"], shown["lineage"]["held"][0]["who"]) == (3, "lineage walk")


async def test_many_looks_at_health_ask_the_processes_once(behind: Behind) -> None:
    telling = Telling()

    def add(server: grpc.Server) -> None:
        details_rpc.add_DetailsServiceServicer_to_server(telling, server)

    with serving("lineage", Service("sluice.health.v1.DetailsService", add)) as lineage:
        gateway = await build(behind.settings(lineage_target=f"127.0.0.1:{lineage.port}", health_ttl_s=60))
        async with gateway.closing, opened(gateway) as client:
            first, second = (await client.get("/health")).json(), (await client.get("/health")).json()
    assert (first, telling.asked_count) == (second, 1)
    # The other processes of this test tell nothing of themselves, which is a reason of its own.
    assert {"permits_saturated", "details_unknown"} <= {reason["code"] for reason in first["reasons"]}


async def test_running_queries_are_shown_with_whom_they_run_for(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.running = [pb.RunningQuery(query=query(pb.QUERY_STATE_RUNNING), user="mei", request_id="r1", elapsed_s=3.5)]

    [shown] = (await http.get("/api/ops/queries")).json()["queries"]

    assert (shown["query_id"], shown["status"], shown["user"]) == (QUERY_ID, "running", "mei")
    assert (shown["request_id"], shown["elapsed_s"], shown["progress"]["percent"]) == ("r1", 3.5, 92.3)
