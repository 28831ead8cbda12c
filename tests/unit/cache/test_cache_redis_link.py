"""The link to Redis between many threads: it waits for a connection, it does not take a busy Redis for a lost one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from sluice_cache.redis_link import CONNECTION_COUNT, RedisLink
from sluice_rpc.ports import SystemClock


@pytest.fixture
def link(redis_url: str) -> Iterator[RedisLink]:
    made = RedisLink(redis_url, "link:", SystemClock())
    yield made
    made.close()


def test_more_callers_than_connections_wait_their_turn(link: RedisLink) -> None:
    caller_count = 3 * CONNECTION_COUNT
    started = threading.Barrier(caller_count)

    def ask(number: int) -> object:
        started.wait()
        return link.call(lambda client: client.echo(str(number)))

    with ThreadPoolExecutor(caller_count) as pool:
        answers = list(pool.map(ask, range(caller_count)))
    assert (answers, link.reason) == ([str(number).encode() for number in range(caller_count)], "")


def test_a_script_runs_on_a_server_that_was_flushed(link: RedisLink, redis_url: str) -> None:
    release = link.script("sweep_release")
    with redis.Redis.from_url(redis_url) as client:
        client.script_flush()
        client.set("link:key", "token", ex=60)
    assert link.run(release, ["link:key"], "token") == 1
