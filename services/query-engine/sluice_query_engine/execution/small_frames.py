"""Small tables as frames, and instants as they travel; chunks of any size are the chunk reader's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
from google.protobuf.timestamp_pb2 import Timestamp
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice_rpc import arrow

from sluice_query_engine.cache import FrameCache

EMPTY_FRAME: Final = "empty-"
"""How the names of frames without rows begin."""


def put_table(
    cache: FrameCache,
    frame_id: str,
    table: pa.Table,
    labels: Mapping[str, str],
    *,
    now: datetime,
    fresh_for: timedelta,
    grace: timedelta = timedelta(0),
) -> frames.Frame:
    """Store a small table as a frame; `grace` is how long it is kept beyond its freshness."""
    trailer = frames.FrameTrailer(
        row_count=table.num_rows,
        labels=labels,
        read_time=timestamp(now),
        fresh_until_time=timestamp(now + fresh_for),
        keep_until_time=timestamp(now + fresh_for + grace),
    )
    with cache.open_frame(frame_id, version=milliseconds(now), max_bytes=0, deadline_s=30.0) as writer:
        for piece in arrow.encode(table.schema, table.to_batches()):
            writer.write(piece)
        return writer.commit(trailer)


def keep_empty(cache: FrameCache, schema: pa.Schema, now: datetime, keep_for: timedelta) -> str:
    """Have a frame without rows in the cache for at least so long, and return its id; one schema has one frame.

    So a manifest that lacks a part is the same however often it is composed. Raises ServiceError.
    """
    columns = "\n".join(f"{column.name} {column.type}" for column in schema)
    frame_id = f"{EMPTY_FRAME}{hashlib.sha256(columns.encode()).hexdigest()[:32]}"
    kept = cache.list_frames({"empty": frame_id})
    if not any(instant_of(frame.keep_until_time) >= now + keep_for for frame in kept):
        put_table(
            cache, frame_id, schema.empty_table(), {"empty": frame_id}, now=now, fresh_for=keep_for, grace=keep_for
        )
    return frame_id


def timestamp(instant: datetime) -> Timestamp:
    """Return a UTC instant as it travels."""
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def instant_of(stamp: Timestamp) -> datetime:
    """Return a travelled instant in UTC, with its zone."""
    return stamp.ToDatetime(tzinfo=UTC)


def milliseconds(instant: datetime) -> int:
    """Return milliseconds since 1970, which number versions where nothing better is at hand."""
    return int(instant.timestamp() * 1000)
