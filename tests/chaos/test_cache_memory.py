"""A cache with little memory under many statements: right answers or MEMORY_PRESSURE, never a dead process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_rpc.errors import ServiceError

from tests.cache_process import Started, started
from tests.polling import poll_until
from tests.unit.cache.driver import frame_source

MIB = 1 << 20
ROWS = pa.table({"n": pa.array(range(2_000_000), pa.int64())})
HEAVY = "select count(*) as n from (select n, count(*) as c, min(n) as m from f group by n)"
ROOM_MIB = 96
"""Above what an idle process holds; one of the statements takes more than that."""


def memory(running: Started) -> pb.MemoryStats:
    stats: pb.GetStatsResponse = running.cache.frames.GetStats(pb.GetStatsRequest())
    return stats.memory


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Started]:
    """A cache that may hold little more than it does when idle."""
    with started(tmp_path / "idle") as idle:
        limit = memory(idle).own_bytes + ROOM_MIB * MIB
    settings = {"rss_limit_bytes": str(limit), "rss_check_interval_s": "0.05", "rss_evict_pause_s": "0"}
    settings |= {"duckdb_memory_limit_bytes": str(512 * MIB), "native_max_bytes": "0", "duckdb_threads": "2"}
    settings |= {"result_max_bytes": "0"}
    with started(tmp_path / "small", **settings) as running:
        running.cache.put("frame-1", ROWS)
        yield running


def asked(running: Started) -> str:
    """Ask for what takes memory; return `right`, `wrong` or the error's code."""
    try:
        answer = running.cache.one([frame_source("f", "frame-1")], HEAVY)
    except ServiceError as error:
        return str(error.reason)
    return "right" if answer["n"].to_pylist() == [ROWS.num_rows] else "wrong"


@pytest.mark.timeout(400)
def test_many_heavy_statements_are_answered_or_refused_and_it_lives(small: Started) -> None:
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda _: asked(small), range(60)))
    assert set(outcomes) == {"right", "MEMORY_PRESSURE"}
    assert small.process.poll() is None
    assert memory(small).refusal_count > 0
    poll_until(lambda: asked(small) == "right", 20.0, "an answer once the others had gone")
    assert small.cache.get("frame-1").equals(ROWS)


def test_on_the_last_rung_frames_are_still_read(tmp_path: Path) -> None:
    with started(tmp_path) as first:
        first.cache.put("frame-1", ROWS)
    with started(tmp_path, rss_limit_bytes=str(MIB)) as running:
        assert running.cache.get("frame-1").equals(ROWS)
        with pytest.raises(ServiceError) as caught:
            running.cache.put("frame-2", ROWS)
        assert caught.value.reason == "MEMORY_PRESSURE"
        assert memory(running).level == pb.PRESSURE_LEVEL_REFUSE
