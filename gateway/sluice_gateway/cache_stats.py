"""What the cache says of itself, as `/health` shows it: each tier, and how short of memory the process is."""

from __future__ import annotations

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import frame_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_rpc.errors import ServiceError

from sluice_gateway.body import JSON
from sluice_gateway.settings import Settings


class CacheStats:
    """The counts of the cache process.

    Args:
        channel: to it.
        settings: how long to wait.
    """

    def __init__(self, channel: grpc.aio.Channel, settings: Settings) -> None:
        self._stub = pb_grpc.FrameServiceStub(channel)
        self._timeout_s = settings.health_timeout_s

    async def read(self) -> pb.GetStatsResponse | None:
        """Return what it counts; None when it does not answer, which its health tells."""
        try:
            stats: pb.GetStatsResponse = await self._stub.GetStats(pb.GetStatsRequest(), timeout=self._timeout_s)
        except ServiceError:
            return None
        return stats


def stats_json(stats: pb.GetStatsResponse | None) -> JSON:
    """Return its tiers, fastest first, and its memory, as `/health` shows them; null where there are none."""
    if stats is None:
        return None
    return {"rss_bytes": stats.rss_bytes, "memory": _memory(stats.memory), "tiers": [*map(_tier, stats.tiers)]}


def _memory(memory: pb.MemoryStats) -> JSON:
    return {
        "level": _word(pb.PressureLevel.Name(memory.level), "PRESSURE_LEVEL_"),
        "own_bytes": memory.own_bytes,
        "limit_bytes": memory.limit_bytes,
        "system_used_ratio": round(memory.system_used_ratio, 3),
        "eviction_count": memory.eviction_count,
        "refusal_count": memory.refusal_count,
    }


def _tier(tier: pb.TierStats) -> JSON:
    reads = tier.hit_count + tier.miss_count
    return {
        "tier": _word(table_pb2.Tier.Name(tier.tier), "TIER_"),
        "available": tier.available,
        "reason": tier.reason or None,
        "switched_off": tier.switched_off,
        "disk_reason": tier.disk_reason or None,
        "frame_count": tier.frame_count,
        "bytes": tier.bytes,
        "beside_bytes": tier.beside_bytes,
        "max_bytes": tier.max_bytes,
        "hit_count": tier.hit_count,
        "miss_count": tier.miss_count,
        "hit_ratio": round(tier.hit_count / reads, 3) if reads else None,
        "eviction_count": tier.eviction_count,
        "oldest_time": _instant(tier.oldest_time) if tier.HasField("oldest_time") else None,
        "newest_time": _instant(tier.newest_time) if tier.HasField("newest_time") else None,
    }


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _instant(value: Timestamp) -> str:
    return value.ToJsonString()
