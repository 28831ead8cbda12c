"""What every state store keeps of running queries: progress, pointers, records and signals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from sluice_query_engine.redis_link import RedisLink
from sluice_query_engine.state import MemoryState, Signal, StateStore
from sluice_query_engine.state_redis import RedisState
from sluice_rpc.ports import SystemClock

from tests.polling import poll_until

QUERY = "0123456789abcdef"


@pytest.fixture(params=["memory", "redis", "redis with a prefix", "redis that is away"])
def state(request: pytest.FixtureRequest) -> Iterator[StateStore]:
    clock = SystemClock()
    match request.param:
        case "memory":
            made: StateStore = MemoryState(clock)
        case "redis that is away":
            made = RedisState(RedisLink("redis://127.0.0.1:1/0", clock), clock)
        case name:
            prefix = "plant7:" if "prefix" in name else ""
            made = RedisState(RedisLink(request.getfixturevalue("redis_url"), clock, prefix=prefix), clock)
    yield made
    made.close()


def test_progress_comes_back_as_written(state: StateStore) -> None:
    state.write_progress("hold-history", QUERY, {"total": "13", "pct": "7.7"}, 60)
    assert state.read_progress("hold-history", QUERY) == {"total": "13", "pct": "7.7"}


def test_later_progress_replaces_earlier(state: StateStore) -> None:
    state.write_progress("hold-history", QUERY, {"completed": "1"}, 60)
    state.write_progress("hold-history", QUERY, {"completed": "2"}, 60)
    assert state.read_progress("hold-history", QUERY) == {"completed": "2"}


def test_progress_that_was_never_written_is_none(state: StateStore) -> None:
    assert state.read_progress("hold-history", QUERY) is None


def test_progress_ends_with_its_life(state: StateStore) -> None:
    state.write_progress("hold-history", QUERY, {"total": "1"}, 0.05)
    poll_until(lambda: state.read_progress("hold-history", QUERY) is None, 5, "the progress to expire")


def test_a_chunk_pointer_comes_back_by_position(state: StateStore) -> None:
    state.write_chunk("hold-history", QUERY, 3, "chunk-abc", 60)
    assert (state.read_chunk("hold-history", QUERY, 3), state.read_chunk("hold-history", QUERY, 4)) == (
        "chunk-abc",
        None,
    )


def test_a_record_comes_back_as_written(state: StateStore) -> None:
    state.write_query(QUERY, '{"state":"läuft"}', 60)
    assert state.read_query(QUERY) == '{"state":"läuft"}'


def test_signals_are_counted_and_heard_once(redis_url: str) -> None:
    link = RedisLink(redis_url, SystemClock())
    for store in (MemoryState(SystemClock()), RedisState(link, SystemClock())):
        store.send(QUERY, Signal.WITHDRAWN, 60)
        store.send(QUERY, Signal.WITHDRAWN, 60)
        store.send(QUERY, Signal.SEEN, 60)
        assert store.heard(QUERY) == {Signal.SEEN: 1, Signal.WITHDRAWN: 2, Signal.CANCELLED: 0}
        assert store.heard(QUERY) == dict.fromkeys(Signal, 0)
    link.close()


def test_keys_and_lives_are_visible_in_redis(redis_url: str) -> None:
    # B2.8, B2.14
    link = RedisLink(redis_url, SystemClock())
    state = RedisState(link, SystemClock())
    state.write_progress("hold-history", QUERY, {"total": "13"}, 900)
    state.write_chunk("hold-history", QUERY, 0, "chunk-abc", 900)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        meta, chunk = f"batch:hold-history:{QUERY}:meta", f"batch:hold-history:{QUERY}:chunk:0"
        assert (client.hgetall(meta), client.get(chunk)) == ({"total": "13"}, "chunk-abc")
        assert 890 < client.ttl(meta) <= 900
        assert 890 < client.ttl(chunk) <= 900
    link.close()


def test_a_redis_that_is_away_is_left_alone_for_a_while() -> None:
    link = RedisLink("redis://127.0.0.1:1/0", SystemClock())
    state = RedisState(link, SystemClock())
    state.write_query(QUERY, "{}", 60)
    assert (link.degraded, state.read_query(QUERY)) == (True, "{}")
    link.close()
