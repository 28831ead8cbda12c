"""Redis dies under the cache and comes back: nothing that a caller sees depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_client.redis_server import RedisServer
from sluice_rpc.ports import SystemClock

from tests.polling import poll_until
from tests.unit.cache.driver import Cache, running

ROWS = pa.table({"n": pa.array(range(1000), pa.int64())})


@pytest.fixture
def server(redis_program: Path, tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, which it may end."""
    with RedisServer(redis_program, tmp_path) as started:
        yield started


def redis_tier(cache: Cache) -> pb.TierStats:
    stats: pb.GetStatsResponse = cache.frames.GetStats(pb.GetStatsRequest())
    return next(tier for tier in stats.tiers if tier.tier == table_pb2.TIER_REDIS)


def test_frames_are_put_read_and_listed_while_redis_is_gone(tmp_path: Path, server: RedisServer) -> None:
    with running(tmp_path / "cache", SystemClock(), redis_url=server.url) as cache:
        cache.put("frame-1", ROWS, labels={"series": "s"})
        server.stop()
        cache.put("frame-2", ROWS, labels={"series": "s"})
        listed = cache.frames.ListFrames(pb.ListFramesRequest(labels={"series": "s"}))
        assert [frame.frame_id for frame in listed.frames] == ["frame-1", "frame-2"]
        assert cache.get("frame-1").equals(ROWS)
        assert not redis_tier(cache).available


def test_the_cache_finds_redis_again(tmp_path: Path, redis_program: Path) -> None:
    with RedisServer(redis_program, tmp_path) as first:
        port = int(first.url.rpartition(":")[2].partition("/")[0])
        with running(tmp_path / "cache", SystemClock(), redis_url=first.url) as cache:
            first.stop()
            cache.put("frame-1", ROWS)
            with RedisServer(redis_program, tmp_path, port) as second, redis.Redis.from_url(second.url) as client:
                numbers = iter(range(10_000))
                poll_until(lambda: _seen(cache, client, next(numbers)), 20.0, "a frame in Redis")
                assert redis_tier(cache).available


def _seen(cache: Cache, client: redis.Redis, number: int) -> bool:
    cache.put(f"later-{number}", ROWS)
    return bool(list(client.scan_iter("frame:data:*")))


def test_a_refusing_redis_costs_the_copy_and_nothing_else(tmp_path: Path, redis_url: str) -> None:
    with (
        redis.Redis.from_url(redis_url) as client,
        running(tmp_path / "cache", SystemClock(), redis_url=redis_url) as cache,
    ):
        client.config_set("maxmemory", "1")
        try:
            cache.put("frame-1", ROWS)
            assert cache.get("frame-1").equals(ROWS)
        finally:
            client.config_set("maxmemory", "0")


def test_values_flushed_under_a_frame_do_not_hurt_it(tmp_path: Path, redis_url: str) -> None:
    with (
        redis.Redis.from_url(redis_url) as client,
        running(tmp_path / "cache", SystemClock(), redis_url=redis_url) as cache,
    ):
        cache.put("frame-1", ROWS)
        poll_until(lambda: list(client.scan_iter("frame:data:*")), 10.0, "the copy in Redis")
        client.flushall()
        assert cache.get("frame-1").equals(ROWS)
