"""Whatever happens to Redis, a cache answers from what else it has, takes new frames, and finds Redis again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_client.redis_server import RedisServer

from tests.cache_process import Started, started
from tests.polling import poll_until
from tests.unit.cache.driver import Cache, frame_source

ROWS = pa.table({"n": pa.array(range(2000), pa.int64())})
BOUND_S = 10.0
"""A put and three reads, each of which may meet a Redis that hangs for its time-out of a second."""

Client = redis.Redis


class Failing:
    """A Redis that a test may do anything to."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self.server = RedisServer(program, folder)
        self.url = self.server.url
        self.client: Client = redis.Redis.from_url(self.url)

    def again(self) -> None:
        """Start it again, empty, on the same port."""
        self.server = RedisServer(self._program, self._folder, self.server.port)


def kill(redis_: Failing) -> None:
    redis_.server.stop()


def restart_empty(redis_: Failing) -> None:
    redis_.server.stop()
    redis_.again()


def no_memory(redis_: Failing) -> None:
    redis_.client.config_set("maxmemory", "1")
    redis_.client.config_set("maxmemory-policy", "noeviction")


def replica(redis_: Failing) -> None:
    # READONLY to whoever writes, and MASTERDOWN to nobody: what it has it still tells.
    redis_.client.replicaof("127.0.0.1", "1")


def flush(redis_: Failing) -> None:
    redis_.client.flushall()


def pause(redis_: Failing) -> None:
    redis_.client.client_pause(4000)


FAULTS = [kill, restart_empty, no_memory, replica, flush, pause]


@pytest.fixture
def failing(redis_program: Path, tmp_path: Path) -> Iterator[Failing]:
    made = Failing(redis_program, tmp_path / "redis")
    yield made
    made.client.close()
    made.server.stop()


@pytest.fixture
def running(failing: Failing, tmp_path: Path) -> Iterator[Started]:
    with started(tmp_path / "cache", redis_url=failing.url) as cache:
        cache.cache.put("frame-before", ROWS, labels={"series": "s"})
        poll_until(lambda: failing.client.exists("frame:meta:frame-before"), 20.0, "the copy in Redis")
        yield cache


def listed(cache: Cache) -> list[str]:
    response = cache.frames.ListFrames(pb.ListFramesRequest(labels={"series": "s"}))
    return sorted(frame.frame_id for frame in response.frames)


def redis_answers(cache: Cache) -> bool:
    stats = cache.frames.GetStats(pb.GetStatsRequest())
    return bool(next(tier for tier in stats.tiers if tier.tier == table_pb2.TIER_REDIS).available)


@pytest.mark.parametrize("fault", FAULTS)
def test_frames_are_put_read_asked_and_listed(
    running: Started, failing: Failing, fault: Callable[[Failing], None]
) -> None:
    fault(failing)
    began = time.monotonic()
    running.cache.put("frame-after", ROWS, labels={"series": "s"})
    assert running.cache.get("frame-before").equals(ROWS)
    assert running.cache.get("frame-after").equals(ROWS)
    summed = running.cache.one([frame_source("f", "frame-before")], "select sum(n) as n from f")
    assert summed["n"].to_pylist() == [1_999_000]
    assert listed(running.cache) == ["frame-after", "frame-before"]
    assert time.monotonic() - began < BOUND_S


def test_killed_and_started_again_it_takes_copies_again(running: Started, failing: Failing) -> None:
    kill(failing)
    running.cache.put("frame-during", ROWS)
    failing.again()
    poll_until(lambda: redis_answers(running.cache), 20.0, "Redis to be found again")
    running.cache.put("frame-later", ROWS)
    poll_until(lambda: failing.client.exists("frame:meta:frame-later"), 20.0, "a copy in Redis")


def test_a_flush_in_the_middle_of_queries_changes_no_answer(running: Started, failing: Failing) -> None:
    ended = threading.Event()

    def flushing() -> None:
        while not ended.wait(0.01):
            failing.client.flushall()

    thread = threading.Thread(target=flushing)
    thread.start()
    try:
        for number in range(30):
            running.cache.put(f"frame-{number}", ROWS)
            summed = running.cache.one([frame_source("f", f"frame-{number}")], "select sum(n) as n from f")
            assert summed["n"].to_pylist() == [1_999_000]
    finally:
        ended.set()
        thread.join()


def test_a_restart_is_warm_at_once_without_redis_and_without_the_spool(
    failing: Failing, running: Started, tmp_path: Path
) -> None:
    running.process.terminate()
    running.process.wait()
    kill(failing)
    with started(tmp_path / "cache", redis_url=failing.url) as again:
        assert again.cache.get("frame-before").equals(ROWS)
        stats = {tier.tier: tier for tier in again.cache.frames.GetStats(pb.GetStatsRequest()).tiers}
    assert (stats[table_pb2.TIER_MEMORY].hit_count, stats[table_pb2.TIER_MEMORY].miss_count) == (1, 0)
    assert (stats[table_pb2.TIER_REDIS].hit_count, stats[table_pb2.TIER_SPOOL].hit_count) == (0, 0)
