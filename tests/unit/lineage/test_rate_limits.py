"""Requests counted: in Redis for all processes, else in this one, and said so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from sluice.lineage.v1 import event_service_pb2 as pb
from sluice.lineage.v1 import event_service_pb2_grpc as pb_grpc
from sluice_client.ports import take_free
from sluice_client.redis_server import RedisServer
from sluice_lineage.rates.events import CLIENT_KEY, COUNTED_HERE
from sluice_lineage.rates.limits import Rate, RateLimited, RateLimits
from sluice_lineage.rates.settings import RateSettings
from sluice_lineage.redis_rest import REST_S
from sluice_rpc.client import open_channel
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import SystemClock
from sluice_rpc.settings import SettingsError

from tests.polling import poll_until
from tests.unit.lineage.conftest import plant, serve

NOWHERE = "redis://127.0.0.1:1/0"
HOLDS = {"holds": Rate("event-holds", 2, 60)}


@pytest.fixture(params=["process", "redis"])
def limits(request: pytest.FixtureRequest) -> RateLimits:
    """Two requests for holds a minute, counted in either place."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""
    return RateLimits(HOLDS, SystemClock(), redis_url=url)


def test_the_request_after_the_last_allowed_is_refused(limits: RateLimits) -> None:
    [counted_in] = {limits.take("holds", "ann") for _ in range(2)}
    with pytest.raises(RateLimited) as caught:
        limits.take("holds", "ann")
    assert caught.value.retry_after_s is not None
    assert 1 <= caught.value.retry_after_s <= 60
    assert caught.value.metadata == {
        "limit": "2",
        "window_s": "60",
        "bucket": "event-holds",
        "counted_in": counted_in,
    }


def test_each_client_has_its_own_count(limits: RateLimits) -> None:
    counted = [limits.take("holds", client) for client in ("ann", "ann", "bob", "bob", "a/b", "a/b")]
    assert len(counted) == 6


def test_what_has_no_limit_is_never_refused(limits: RateLimits) -> None:
    assert len([limits.take("moons", "ann") for _ in range(50)]) == 50


def test_the_next_window_begins_anew(redis_url: str) -> None:
    limits = RateLimits({"holds": Rate("event-holds", 1, 1)}, SystemClock(), redis_url=redis_url)
    limits.take("holds", "ann")
    with pytest.raises(RateLimited):
        limits.take("holds", "ann")
    with redis.Redis.from_url(redis_url) as client:
        poll_until(lambda: not client.keys("rate:*"), 10)
    assert limits.take("holds", "ann") == "redis"


def test_processes_count_together_in_redis(redis_url: str) -> None:
    first, second = (RateLimits(HOLDS, SystemClock(), redis_url=redis_url) for _ in range(2))
    first.take("holds", "ann")
    second.take("holds", "ann")
    with pytest.raises(RateLimited):
        first.take("holds", "ann")


def test_keys_begin_with_the_deployments_prefix_and_end_with_their_window(redis_url: str) -> None:
    RateLimits(HOLDS, SystemClock(), redis_url=redis_url, prefix="plant-1:").take("holds", "ann")
    with redis.Redis.from_url(redis_url) as client:
        [key] = client.keys("*")
        assert (key.startswith(b"plant-1:rate:"), 0 < client.ttl(key) <= 60) == (True, True)


def test_without_redis_each_process_goes_on_counting_and_says_so() -> None:
    limits = RateLimits(HOLDS, SystemClock(), redis_url=NOWHERE)
    assert [limits.take("holds", "ann") for _ in range(2)] == ["process", "process"]
    with pytest.raises(RateLimited) as caught:
        limits.take("holds", "ann")
    assert caught.value.metadata["counted_in"] == "process"
    assert [answers() for answers in limits.links.values()] == [False]


def test_a_redis_that_is_back_counts_again(redis_program: Path, tmp_path: Path) -> None:
    port = take_free(1)[0]
    limits = RateLimits(
        {"holds": Rate("event-holds", 10**6, 60)}, SystemClock(), redis_url=f"redis://127.0.0.1:{port}/0"
    )
    assert limits.take("holds", "ann") == "process"
    with RedisServer(redis_program, tmp_path, port=port):
        poll_until(lambda: limits.take("holds", "ann") == "redis", REST_S * 10)
        assert [answers() for answers in limits.links.values()] == [True]


def test_a_url_that_is_none_is_a_settings_fault() -> None:
    with pytest.raises(ValueError, match="scheme"):
        RateLimits(HOLDS, SystemClock(), redis_url="moon://x")


def test_every_domain_has_twenty_a_minute_by_default() -> None:
    rates = RateSettings.load().by_domain()
    assert {(rate.max_requests, rate.window_s) for rate in rates.values()} == {(20, 60)}
    assert {rate.bucket for rate in rates.values()} == {
        "event-history",
        "event-materials",
        "event-rejects",
        "event-holds",
        "event-jobs",
        "event-upstream",
        "event-downstream-rejects",
    }


@pytest.mark.parametrize(
    ("domain", "prefix"),
    [
        ("history", "EVT_HISTORY"),
        ("materials", "EVT_MATERIALS"),
        ("rejects", "EVT_REJECTS"),
        ("holds", "EVT_HOLDS"),
        ("jobs", "EVT_JOBS"),
        ("upstream_history", "EVT_UPSTREAM"),
        ("downstream_rejects", "EVT_DOWNSTREAM_REJECTS"),
        ("holds", "SLUICE_RATE_HOLDS"),
    ],
)
def test_the_environment_overrides_each_domain(monkeypatch: pytest.MonkeyPatch, domain: str, prefix: str) -> None:
    own = prefix.startswith("SLUICE")
    monkeypatch.setenv(f"{prefix}_MAX_REQUESTS" if own else f"{prefix}_RATE_MAX_REQUESTS", "7")
    monkeypatch.setenv(f"{prefix}_WINDOW_SECONDS" if own else f"{prefix}_RATE_WINDOW_SECONDS", "30")
    rate = RateSettings.load().by_domain()[domain]
    assert (rate.max_requests, rate.window_s) == (7, 30)


@pytest.mark.parametrize("value", ["0", "-1", "many", ""])
def test_a_limit_that_is_none_stops_the_process_by_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("EVT_HOLDS_RATE_MAX_REQUESTS", value)
    with pytest.raises(SettingsError, match="EVT_HOLDS_RATE_MAX_REQUESTS"):
        RateSettings.load()


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pb_grpc.EventServiceStub]:
    """A process that allows one request for jobs a minute and means to count in a Redis that is away."""
    monkeypatch.setenv("EVT_JOBS_RATE_MAX_REQUESTS", "1")
    with ExitStack() as closing:
        file = plant(tmp_path / "twin.duckdb", {})
        lineage = serve(closing, warehouse_url=f"duckdb://{file}", redis_url=NOWHERE)
        yield pb_grpc.EventServiceStub(closing.enter_context(open_channel(f"127.0.0.1:{lineage.port}", "lineage")))


def ask(events: pb_grpc.EventServiceStub, domain: str, client: str) -> pb.EventEnd:
    """Ask for no events in a client's name; the end of the answer."""
    responses = events.ReadEvents(pb.ReadEventsRequest(domain=domain), metadata=((CLIENT_KEY, client),), timeout=30)
    return list(responses)[-1].end


def test_a_request_too_many_is_refused_with_when_to_come_again(events: pb_grpc.EventServiceStub) -> None:
    ask(events, "jobs", "ann")
    with pytest.raises(ServiceError) as caught:
        ask(events, "jobs", "ann")
    assert (caught.value.reason, caught.value.metadata["bucket"]) == ("RATE_LIMITED", "event-jobs")
    assert caught.value.retry_after_s is not None and caught.value.retry_after_s > 1


def test_another_domain_and_another_client_have_buckets_of_their_own(events: pb_grpc.EventServiceStub) -> None:
    asked = [("jobs", "ann"), ("holds", "ann"), ("jobs", "bob")]
    assert [ask(events, domain, client).receipt.row_count for domain, client in asked] == [0, 0, 0]


def test_an_answer_says_when_requests_are_counted_in_one_process_alone(events: pb_grpc.EventServiceStub) -> None:
    assert COUNTED_HERE in [warning.code for warning in ask(events, "jobs", "ann").warnings]
