"""Real parts that tests of every folder share: a Redis server, a generated plant, the whole suite of processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sluice_client.redis_server import NO_REDIS, RedisServer, find_server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real server for the whole session; fails, never skips, where no server program is found."""
    program = find_server()
    if program is None:
        pytest.fail(NO_REDIS)
    with RedisServer(program, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """URL of the session's server, empty at the start of the test."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def redis_program() -> Path:
    """The server program, for tests that stop and start servers of their own."""
    program = find_server()
    if program is None:
        pytest.fail(NO_REDIS)
    return program
