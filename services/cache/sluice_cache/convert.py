"""Messages of the cache's protos to and from what the cache works with."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_rpc.errors import InvalidParameter

from sluice_cache.frames import Frame, TierKind, check_labels
from sluice_cache.pressure import Level
from sluice_cache.pressure_watch import Pressure
from sluice_cache.tiers import TierCounts
from sluice_cache.tiers.opened import Ending


def frame_to_proto(frame: Frame) -> pb.Frame:
    """Return the frame as callers see it."""
    message = pb.Frame(
        frame_id=frame.frame_id,
        version=frame.version,
        row_count=frame.row_count,
        bytes=frame.bytes,
        labels=dict(frame.labels),
        tier=tier_to_proto(frame.tier),
        tiers=[tier_to_proto(kind) for kind in sorted(frame.copies)],
    )
    message.read_time.FromDatetime(frame.read_time)
    message.fresh_until_time.FromDatetime(frame.fresh_until_time)
    message.keep_until_time.FromDatetime(frame.keep_until_time)
    return message


def ending_from_proto(trailer: pb.FrameTrailer, stream_bytes: int) -> Ending:
    """Return what the trailer says of a frame."""
    return Ending(
        row_count=trailer.row_count,
        bytes=stream_bytes,
        labels=check_labels(trailer.labels),
        read_time=time_from_proto(trailer.read_time, set_=trailer.HasField("read_time")),
        fresh_until_time=time_from_proto(trailer.fresh_until_time, set_=trailer.HasField("fresh_until_time")),
        keep_until_time=time_from_proto(trailer.keep_until_time, set_=trailer.HasField("keep_until_time")),
    )


def time_from_proto(value: Timestamp, *, set_: bool) -> datetime | None:
    """Return the instant, or None where the field was left out.

    Raises:
        InvalidParameter: it lies outside of what a calendar holds.
    """
    try:
        return value.ToDatetime(tzinfo=UTC) if set_ else None
    except (ValueError, OverflowError) as error:
        raise InvalidParameter("time", f"no instant: {error}") from error


def tier_to_proto(tier: TierKind | None) -> table_pb2.Tier.ValueType:
    """Return the tier as callers see it."""
    return table_pb2.TIER_UNSPECIFIED if tier is None else _TIERS[tier]


def counts_to_proto(kind: TierKind, counts: TierCounts) -> pb.TierStats:
    """Return a tier's counts as callers see them."""
    message = pb.TierStats(
        tier=tier_to_proto(kind),
        available=counts.available,
        reason=counts.reason,
        frame_count=counts.frame_count,
        bytes=counts.bytes,
        max_bytes=counts.max_bytes,
        hit_count=counts.hit_count,
        miss_count=counts.miss_count,
        eviction_count=counts.eviction_count,
        beside_bytes=counts.beside_bytes,
        disk_reason=counts.disk_reason,
        switched_off=counts.switched_off,
    )
    if counts.oldest_time is not None and counts.newest_time is not None:
        message.oldest_time.FromDatetime(counts.oldest_time)
        message.newest_time.FromDatetime(counts.newest_time)
    return message


def pressure_to_proto(pressure: Pressure) -> pb.MemoryStats:
    """Return how short of memory the process is, as callers see it."""
    return pb.MemoryStats(
        level=_LEVELS[pressure.level],
        own_bytes=pressure.reading.own_bytes,
        limit_bytes=pressure.reading.limit_bytes,
        system_used_ratio=pressure.reading.system_used_ratio,
        eviction_count=pressure.eviction_count,
        refusal_count=pressure.refusal_count,
    )


_LEVELS = {
    Level.NORMAL: pb.PRESSURE_LEVEL_NORMAL,
    Level.WARN: pb.PRESSURE_LEVEL_WARN,
    Level.EVICT: pb.PRESSURE_LEVEL_EVICT,
    Level.REFUSE: pb.PRESSURE_LEVEL_REFUSE,
}
_TIERS = {
    TierKind.MEMORY: table_pb2.TIER_MEMORY,
    TierKind.REDIS: table_pb2.TIER_REDIS,
    TierKind.SPOOL: table_pb2.TIER_SPOOL,
}
