"""`/health` shows the cache: its tiers and its memory, or nothing where it does not answer."""

from __future__ import annotations

import grpc
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import frame_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_gateway.bootstrap import build
from sluice_rpc.server import Service

from tests.unit.gateway.conftest import Behind, opened
from tests.unit.gateway.stand_ins import serving

pytestmark = pytest.mark.anyio


class CountingFrames(pb_grpc.FrameServiceServicer):
    """A cache that has counted."""

    def GetStats(self, request: pb.GetStatsRequest, context: grpc.ServicerContext) -> pb.GetStatsResponse:
        memory = pb.TierStats(
            tier=table_pb2.TIER_MEMORY, available=True, frame_count=3, bytes=1000, hit_count=3, miss_count=1
        )
        memory.oldest_time.FromSeconds(1_767_225_600)
        away = pb.TierStats(tier=table_pb2.TIER_REDIS, reason="no Redis is configured")
        pressure = pb.MemoryStats(level=pb.PRESSURE_LEVEL_WARN, own_bytes=500, limit_bytes=600, refusal_count=2)
        return pb.GetStatsResponse(tiers=[memory, away], rss_bytes=700, memory=pressure)


async def test_health_shows_tiers_and_memory_of_the_cache(behind: Behind) -> None:
    def add(server: grpc.Server) -> None:
        pb_grpc.add_FrameServiceServicer_to_server(CountingFrames(), server)  # type: ignore[abstract]  # asked for counts only

    with serving("cache", Service("sluice.cache.v1.FrameService", add)) as cache:
        gateway = await build(behind.settings(cache_target=f"127.0.0.1:{cache.port}"))
        async with gateway.closing, opened(gateway) as client:
            shown = (await client.get("/health")).json()["cache"]
    memory, away = shown["tiers"]
    assert (memory["tier"], memory["hit_ratio"], memory["oldest_time"]) == ("memory", 0.75, "2026-01-01T00:00:00Z")
    assert (away["tier"], away["available"], away["reason"]) == ("redis", False, "no Redis is configured")
    assert away["hit_ratio"] is None
    assert (shown["rss_bytes"], shown["memory"]["level"], shown["memory"]["refusal_count"]) == (700, "warn", 2)


async def test_health_answers_without_a_cache(behind: Behind) -> None:
    gateway = await build(behind.settings(cache_target="127.0.0.1:1"))
    async with gateway.closing, opened(gateway) as client:
        response = await client.get("/health")
    assert (response.status_code, response.json()["cache"]) == (503, None)
