"""Each degraded mode of docs/operations.md in a running suite: named in /health, answered as promised, healed alone."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from sluice_client.demo.watch import RestartPolicy
from sluice_client.ports import take_free
from sluice_client.redis_server import RedisServer

from tests.chaos.small_disk import SmallDisk, small_disk
from tests.polling import poll_until
from tests.running_suite import Json, RunningSuite, open_http, running_suite

SEEN_S = 60.0
HEALED_S = 120.0
AWAY_S = 4.0
"""How long a killed process stays away, so that somebody can look."""
CONTAINERS = {"container_ids": ["00000000000000aa"]}


@dataclass
class Modes:
    """A suite whose Redis, disk and processes can be taken away."""

    suite: RunningSuite
    http: httpx.Client
    disk: SmallDisk
    redis_program: Path
    redis_port: int
    redis: RedisServer | None = None
    _months: Iterator[int] = field(default_factory=itertools.count)

    def health(self) -> tuple[int, Json]:
        answer = self.http.get("/health")
        return answer.status_code, answer.json()

    def reasons(self) -> set[str]:
        """Return the reasons that are given now."""
        return {reason["code"] for reason in self.health()[1]["reasons"]}

    def await_reason(self, code: str) -> tuple[int, str]:
        """Wait for a reason and return with which HTTP status and in which state of the whole it is shown."""
        poll_until(lambda: code in self.reasons(), SEEN_S, code)
        http_status, shown = self.health()
        return http_status, shown["status"]

    def await_healthy(self) -> None:
        poll_until(lambda: self.health()[1]["status"] == "healthy", HEALED_S, "a healthy suite")

    def ask(self) -> httpx.Response:
        """Ask for a range that nobody has asked for yet."""
        start = date(2024, 2, 1) + timedelta(days=14 * next(self._months))
        body = {"start_date": start.isoformat(), "end_date": (start + timedelta(days=12)).isoformat()}
        return self.http.post("/api/hold-history/query", json=body, headers={"Prefer": "wait=20"})

    def view(self, query_id: str) -> httpx.Response:
        return self.http.get("/api/hold-history/view", params={"query_id": query_id, "view": "trend"})

    def asked(self) -> str:
        """Return the id of a finished query."""
        return str(self.ask().json()["query_id"])

    def start_redis(self) -> None:
        self.redis = RedisServer(self.redis_program, self.suite.data_dir / "own-redis", self.redis_port)

    def stop_redis(self) -> None:
        if self.redis is not None:
            self.redis.stop()
        self.redis = None

    def kill(self, name: str) -> None:
        os.kill(self.suite.pids()[name], signal.SIGKILL)


@pytest.fixture(scope="module")
def started(twin_path: Path, redis_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Modes]:
    """The suite as it starts without the Redis that it is set to use."""
    folder = tmp_path_factory.mktemp("modes")
    (port,) = take_free(1)
    url = f"redis://127.0.0.1:{port}/0"
    with ExitStack() as closing:
        disk = closing.enter_context(small_disk(folder / "disk"))
        extra = {
            "cache": {"SLUICE_CACHE_DATA_DIR": str(disk.folder), "SLUICE_CACHE_REDIS_URL": url},
            "query-engine": {"SLUICE_QUERY_ENGINE_REDIS_URL": url},
            "gateway": {"SLUICE_GATEWAY_HEALTH_TTL_S": "0"},
        }
        policy = RestartPolicy(first_delay_s=AWAY_S, max_delay_s=AWAY_S, max_rapid_deaths=100)
        suite = closing.enter_context(running_suite(folder / "suite", twin_path, None, extra, policy))
        http = closing.enter_context(open_http(suite.url))
        made = Modes(suite, http, disk, redis_program, port)
        closing.callback(made.stop_redis)
        yield made


@pytest.fixture
def modes(started: Modes) -> Iterator[Modes]:
    """The suite, healthy before and after."""
    if started.redis is None:
        started.start_redis()
    started.await_healthy()
    yield started
    started.await_healthy()


def test_redis_that_is_not_there_at_the_start_costs_no_answer_and_is_taken_up_when_it_comes(started: Modes) -> None:
    started.stop_redis()
    seen = started.await_reason("redis_unavailable")
    answer = started.ask()
    started.start_redis()
    started.await_healthy()
    assert (seen, answer.status_code) == ((200, "degraded"), 200)


def test_redis_that_goes_and_comes_back_costs_no_answer(modes: Modes) -> None:
    query_id = modes.asked()
    modes.stop_redis()
    seen = modes.await_reason("redis_unavailable")
    answers = [modes.ask().status_code, modes.view(query_id).status_code]
    modes.start_redis()
    modes.await_healthy()
    assert (seen, answers) == ((200, "degraded"), [200, 200])


def test_redis_is_missed_by_the_cache_and_by_the_engine(modes: Modes) -> None:
    modes.stop_redis()
    poll_until(lambda: missing(modes) == {"cache", "query-engine"}, SEEN_S, "both to miss Redis")
    modes.start_redis()


def missing(modes: Modes) -> set[str]:
    return {item["process"] for item in modes.health()[1]["reasons"] if item["code"] == "redis_unavailable"}


def test_a_full_disk_refuses_what_is_new_and_keeps_what_is_there(modes: Modes) -> None:
    query_id, pid = modes.asked(), modes.suite.pids()["cache"]
    modes.disk.fill(pid)
    seen = modes.await_reason("disk_full")
    refused, kept = modes.ask(), modes.view(query_id)
    modes.disk.relieve(pid)
    modes.await_healthy()
    assert (seen, kept.status_code) == ((200, "degraded"), 200)
    assert (refused.status_code, refused.json()["code"]) == (503, "MEMORY_PRESSURE")
    assert modes.ask().status_code == 200


def test_without_the_cache_nothing_is_answered_until_it_is_back_with_what_it_had(modes: Modes) -> None:
    query_id = modes.asked()
    modes.kill("cache")
    seen = modes.await_reason("cache_unreachable")
    refused = modes.view(query_id)
    modes.await_healthy()
    assert seen == (503, "unhealthy")
    assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert modes.view(query_id).status_code == 200


def test_without_lineage_only_its_own_calls_fail(modes: Modes) -> None:
    query_id = modes.asked()
    modes.kill("lineage")
    seen = modes.await_reason("lineage_unreachable")
    refused = modes.http.post("/api/lineage/ancestors", json=CONTAINERS)
    answers = [modes.ask().status_code, modes.view(query_id).status_code]
    modes.await_healthy()
    assert (seen, answers) == ((200, "degraded"), [200, 200])
    assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert modes.http.post("/api/lineage/ancestors", json=CONTAINERS).status_code == 200


def test_without_the_engine_lineage_answers(modes: Modes) -> None:
    modes.kill("query-engine")
    seen = modes.await_reason("query_engine_unreachable")
    lineage, refused = modes.http.post("/api/lineage/ancestors", json=CONTAINERS), modes.ask()
    modes.await_healthy()
    assert (seen, lineage.status_code) == ((503, "unhealthy"), 200)
    assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert modes.ask().status_code == 200
