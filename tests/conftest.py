"""Real parts that tests of every folder share: a Redis server, a generated plant, the whole suite of processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from sluice_client.redis_server import NO_REDIS, RedisServer, find_server
from sluice_twin import write_plant

from tests.running_suite import RunningSuite, open_http, running_suite
from tests.warehouse_urls import DOORS, oracle_processes

pytest_plugins = ["tests.profiles", "tests.browser_programs", "tests.compiled_once", "tests.file_order"]

TWIN_SCALE = 0.02
"""Every planted oddity fits, and generating it takes a few seconds."""


@pytest.fixture(scope="session")
def redis_program() -> Path:
    """The Redis server program; its absence fails the tests, it never skips them."""
    program = find_server()
    if program is None:
        pytest.fail(NO_REDIS)
    return program


@pytest.fixture(scope="session")
def redis_server(redis_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real server for the whole session."""
    with RedisServer(redis_program, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """URL of the session's server, empty at the start of the test."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def twin_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plant of the default seed, its truths beside it; tests only read it."""
    path = tmp_path_factory.mktemp("twin") / "plant.duckdb"
    write_plant(path, scale=TWIN_SCALE)
    return path


@pytest.fixture(scope="session")
def suite(twin_path: Path, redis_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """All four processes and Redis on the plant, for tests that leave every one of them alive."""
    with running_suite(tmp_path_factory.mktemp("suite"), twin_path, redis_program) as running:
        yield running


@pytest.fixture(scope="session")
def oracle_suite(
    twin_path: Path, redis_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSuite]:
    """All four processes on the same plant, which they read through the Oracle driver; tests leave them alive too."""
    with (
        oracle_processes(twin_path) as extra,
        running_suite(tmp_path_factory.mktemp("oracle-suite"), twin_path, redis_program, extra) as running,
    ):
        yield running


@pytest.fixture(scope="session", params=DOORS)
def each_suite(request: pytest.FixtureRequest) -> RunningSuite:
    """The suite on the plant's file, and then the one behind the Oracle driver: the same tests run on both."""
    suite: RunningSuite = request.getfixturevalue("suite" if request.param == "duckdb" else "oracle_suite")
    return suite


@pytest.fixture
def http(suite: RunningSuite) -> Iterator[httpx.Client]:
    """An HTTP client of the session's suite."""
    with open_http(suite.url) as client:
        yield client
