"""A year of rejects over real processes whose cache spills: chunks seen in Redis, nothing noticed in answers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pytest
from redis import Redis
from sluice.cache.v1 import frame_service_pb2 as cache_pb
from sluice.cache.v1.frame_service_pb2_grpc import FrameServiceStub
from sluice.table.v1 import table_pb2
from sluice_rpc.client import open_channel

from tests.running_suite import RunningSuite, open_http, running_suite

Json = dict[str, Any]
YEAR = {"start_date": "2025-01-01", "end_date": "2025-12-31"}
EVERYTHING = {"include_excluded_scrap": "true", "exclude_material_scrap": "false", "exclude_pb_diode": "false"}
CHUNK_COUNT = 37
QUERY_COUNT = 6
SPILL_ROW_COUNT = 20
REDIS_FRAME_BYTES = 256 << 10
SPILLING = {
    "cache": {
        "SLUICE_CACHE_SPILL_ROW_COUNT": str(SPILL_ROW_COUNT),
        "SLUICE_CACHE_REDIS_MAX_BYTES": str(REDIS_FRAME_BYTES),
    }
}


@pytest.fixture(scope="module")
def spilling(twin_path: Path, redis_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """A suite of which almost every frame goes to the spool."""
    with running_suite(tmp_path_factory.mktemp("spilling"), twin_path, redis_program, SPILLING) as suite:
        yield suite


@pytest.fixture(scope="module")
def web(spilling: RunningSuite) -> Iterator[httpx.Client]:
    with open_http(spilling.url) as client:
        yield client


@pytest.fixture(scope="module")
def year(web: httpx.Client) -> Json:
    """The year, asked once."""
    return asked(web, YEAR)


def asked(web: httpx.Client, body: Json) -> Json:
    """Ask and return the query as it ended."""
    answer = web.post("/api/reject-history/query", json={**body, "views": []}, headers={"Prefer": "wait=60"})
    assert answer.status_code in (200, 202), answer.text
    query: Json = answer.json()
    with web.stream("GET", f"/api/queries/{query['query_id']}/events", timeout=300) as events:
        for line in events.iter_lines():
            if line.startswith("event: end"):
                break
    ended: Json = web.get(f"/api/queries/{query['query_id']}").raise_for_status().json()
    assert ended["receipt"]["status"] == "complete", ended
    return ended


def row_count(web: httpx.Client, query_id: str) -> int:
    """Return what the view says of the rows of a query."""
    answer = web.get("/api/reject-history/view", params={"query_id": query_id, "view": "count", **EVERYTHING})
    return int(answer.raise_for_status().json()["views"]["count"]["rows"][0][0])


def planted(plant: Path, first: date, last: date) -> int:
    """Return how many rejects the plant booked on these days."""
    with duckdb.connect(str(plant), read_only=True) as connection:
        counted = "select count(*) from DWH.DW_MES_LOTREJECTHISTORY where TXNDATE >= ? and TXNDATE < ?"
        [(count,)] = connection.execute(counted, [first, last + timedelta(days=1)]).fetchall()
    return int(count)


def spilled(suite: RunningSuite) -> tuple[int, int]:
    """Return how many chunks have more rows than stay in memory, and how many frames the spool holds."""
    with open_channel(f"127.0.0.1:{suite.ports.cache}", "cache") as channel:
        cache = FrameServiceStub(channel)
        labels = {"dataset": "reject-history", "part": "rejects"}
        listed = cache.ListFrames(cache_pb.ListFramesRequest(labels=labels)).frames
        tiers = cache.GetStats(cache_pb.GetStatsRequest()).tiers
    large = sum(frame.row_count > SPILL_ROW_COUNT for frame in listed)
    return large, next(tier.frame_count for tier in tiers if tier.tier == table_pb2.TIER_SPOOL)


def test_the_chunks_of_a_year_of_rejects_are_seen_in_redis(spilling: RunningSuite, year: Json) -> None:
    # B12
    key = f"batch:reject-history:{year['query_id']}"
    with Redis(port=spilling.ports.redis, decode_responses=True) as redis:
        lives = [redis.pttl(f"{key}:chunk:{index}") for index in range(CHUNK_COUNT)]
        assert redis.exists(f"{key}:chunk:{CHUNK_COUNT}") == 0
        assert (redis.hget(f"{key}:meta", "completed"), redis.hget(f"{key}:meta", "pct")) == ("37", "100.0")
    assert all(0 < life <= 900_000 for life in lives)


def test_a_year_of_rejects_that_was_spilled_is_shown_and_exported_whole(
    spilling: RunningSuite, web: httpx.Client, year: Json
) -> None:
    # B13.8
    large, kept = spilled(spilling)
    assert kept >= large > CHUNK_COUNT // 2
    expected = planted(spilling.plant, date(2025, 1, 1), date(2025, 12, 31))
    assert row_count(web, year["query_id"]) == expected
    parameters = {"query_id": year["query_id"], "format": "arrow", **EVERYTHING}
    exported = web.get("/api/reject-history/export", params=parameters).raise_for_status().content
    with pa.ipc.open_stream(io.BytesIO(exported)) as reader:
        assert reader.read_all().num_rows == expected


def test_long_queries_at_once_spill_too_and_redis_holds_no_more_than_it_may(
    spilling: RunningSuite, web: httpx.Client, year: Json
) -> None:
    # B13.9
    pids = spilling.pids()
    ranges = [(date(2024, 1 + number, 1), date(2024, 6 + number, 28)) for number in range(QUERY_COUNT)]
    with ThreadPoolExecutor(QUERY_COUNT) as pool:
        bodies = [{"start_date": str(first), "end_date": str(last)} for first, last in ranges]
        ended = list(pool.map(lambda body: asked(web, body), bodies))
    shown = [row_count(web, query["query_id"]) for query in ended]
    assert shown == [planted(spilling.plant, first, last) for first, last in ranges]
    assert spilling.pids() == pids
    with Redis(port=spilling.ports.redis) as redis:
        kept = sum(redis.memory_usage(key) or 0 for key in redis.scan_iter("frame:*"))
    assert kept <= 2 * REDIS_FRAME_BYTES
