"""The suite on a machine without any Redis: queries and views work, and the missing tier is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import frame_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_rpc.client import open_channel

from tests.running_suite import RunningSuite, open_http, running_suite

BODY = {"start_date": "2025-01-01", "end_date": "2025-06-30"}


@pytest.fixture(scope="module")
def redisless(twin_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """The four processes alone."""
    with running_suite(tmp_path_factory.mktemp("redisless"), twin_path, None) as running:
        yield running


@pytest.fixture
def redisless_http(redisless: RunningSuite) -> Iterator[httpx.Client]:
    with open_http(redisless.url) as client:
        yield client


def test_a_query_and_its_views_work(redisless_http: httpx.Client) -> None:
    answer = redisless_http.post("/api/hold-history/query", json=BODY, headers={"Prefer": "wait=60"})
    view = redisless_http.get(f"/api/hold-history/view?query_id={answer.json()['query_id']}&view=trend")
    assert (answer.status_code, view.status_code) == (200, 200)


def test_the_cache_says_that_its_second_tier_is_off(redisless: RunningSuite) -> None:
    with open_channel(f"127.0.0.1:{redisless.ports.cache}", "cache") as channel:
        stats = pb_grpc.FrameServiceStub(channel).GetStats(pb.GetStatsRequest())
    (second,) = (tier for tier in stats.tiers if tier.tier == table_pb2.TIER_REDIS)
    assert (second.available, bool(second.reason)) == (False, True)
