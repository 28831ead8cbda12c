"""(h) A frame of 150 MB through Redis and back, against the earlier recipe: pandas, Parquet, base64, SETEX.

Ours is put into one cache, awaited in Redis, and read from another cache that has an empty disk.
"""

from __future__ import annotations

import base64
import io
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import redis
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_client.frames import FrameStore
from sluice_client.redis_server import NO_REDIS, RedisServer, find_server

from bench.cache_process import CacheProcess, cache_process
from bench.made_holds import made_holds
from bench.measure import Comparison, alternate

BYTES = 150_000_000
ROW_COUNT = 1_000_000
ROUNDS = 5
AT_LEAST = 2.5
SHARED_TIMEOUT_S = 60.0
POLL_S = 0.005
OURS_PATTERN, SEED_KEY = "frame:data:*", "seed"


def run() -> tuple[list[Comparison], list[str]]:
    """Return the comparison, and the bytes that either leaves in Redis."""
    program = find_server()
    if program is None:
        raise RuntimeError(NO_REDIS)
    whole = made_holds(ROW_COUNT)
    df = whole.slice(0, ROW_COUNT * BYTES // whole.nbytes).to_pandas()
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        server = closing.enter_context(RedisServer(program, folder))
        client = closing.enter_context(redis.Redis.from_url(server.url))
        settings = {"redis_url": server.url, "redis_max_frame_bytes": 4 * BYTES}
        one = closing.enter_context(cache_process(folder / "one", **settings))
        other = closing.enter_context(cache_process(folder / "other", **settings))
        writer = closing.enter_context(FrameStore(one.target, timeout_s=SHARED_TIMEOUT_S))
        reader = closing.enter_context(FrameStore(other.target, timeout_s=SHARED_TIMEOUT_S))

        def ours(number: int) -> None:
            before = _shared_count(one)
            _require(writer.store_df(f"frame {number}", df))
            _await_shared(one, before)
            _require(reader.load_df(f"frame {number}") is not None)

        compared = Comparison(
            "150 MB through Redis and back",
            *alternate(ours, lambda _: _seed(client, df), rounds=ROUNDS),
            at_least=AT_LEAST,
        )
        return [compared], [_sizes(client)]


def _seed(client: redis.Redis, df: pd.DataFrame) -> None:
    """Store and load a DataFrame as the earlier module did."""
    sink = io.BytesIO()
    df.to_parquet(sink, engine="pyarrow", index=False)
    client.setex(SEED_KEY, 900, base64.b64encode(sink.getvalue()))
    value = client.get(SEED_KEY)
    assert isinstance(value, bytes)
    pd.read_parquet(io.BytesIO(base64.b64decode(value)), engine="pyarrow")


def _shared_count(cache: CacheProcess) -> int:
    tiers = cache.frames.GetStats(pb.GetStatsRequest()).tiers
    return int(next(tier.frame_count for tier in tiers if tier.tier == table_pb2.TIER_REDIS))


def _await_shared(cache: CacheProcess, before: int) -> None:
    until = time.monotonic() + SHARED_TIMEOUT_S
    while _shared_count(cache) == before:
        if time.monotonic() > until:
            raise TimeoutError("the frame did not come to Redis")
        time.sleep(POLL_S)


def _sizes(client: redis.Redis) -> str:
    frames: Counter[bytes] = Counter()
    for key in client.scan_iter(OURS_PATTERN):
        frames[key.rpartition(b":")[0]] += int(client.strlen(key))
    # The largest: of a frame whose values are going, or that was given up half-way, less is there.
    ours = max(frames.values())
    seed = int(client.strlen(SEED_KEY))
    kept = "kept" if ours <= seed else "BROKEN"
    return f"bytes in Redis: ours {ours:,.0f}, anchor {seed:,} (no larger) {kept}"


def _require(done: bool) -> None:
    if not done:
        raise RuntimeError("the cache did not take or give the frame")
