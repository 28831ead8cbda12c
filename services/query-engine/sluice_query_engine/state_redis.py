"""The state in Redis, for people and other processes to see, over a copy in memory for when Redis is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import redis
import structlog
from sluice_rpc.ports import Clock

from sluice_query_engine.state import MemoryState, chunk_key, owner_key, progress_key, query_key

log = structlog.get_logger()

_Answer = TypeVar("_Answer")

REDIS_TIMEOUT_S: Final = 0.5
"""Redis stands beside us; when it needs longer, the work goes on without it."""
REST_S: Final = 1.0
"""How long Redis is left alone after it failed, so that a dead one does not slow every write."""

_LET_GO: Final = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end
"""


class RedisState:
    """State that outlives the process while Redis is there, and goes on in memory while it is not.

    Every write goes to both, so that losing Redis loses nothing this process knows. The change to degraded and back is
    logged once each.

    Args:
        url: `redis://...`.
        clock: for rests and for the lives of the copy.
        prefix: put before every key; the deployment's own.
    """

    def __init__(self, url: str, clock: Clock, *, prefix: str = "") -> None:
        self._redis = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            max_connections=32,
        )
        self._local = MemoryState(clock)
        self._clock = clock
        self._prefix = prefix
        self._rest_until = 0.0
        self._degraded = False
        # Guards the two fields above.
        self._lock = threading.Lock()

    @property
    def degraded(self) -> bool:
        """Redis did not answer when last asked."""
        return self._degraded

    def write_progress(self, dataset: str, query_id: str, fields: Mapping[str, str], ttl_s: float) -> None:
        self._local.write_progress(dataset, query_id, fields, ttl_s)
        key = self._prefix + progress_key(dataset, query_id)

        def write() -> None:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(key, items=[text for pair in fields.items() for text in pair])
                pipe.pexpire(key, _milliseconds(ttl_s))
                pipe.execute()

        self._ask(write, None)

    def read_progress(self, dataset: str, query_id: str) -> dict[str, str] | None:
        key = self._prefix + progress_key(dataset, query_id)
        nothing: dict[bytes | str, bytes | str] = {}
        found = self._ask(lambda: self._redis.hgetall(key), nothing)
        return {str(name): str(value) for name, value in found.items()} or self._local.read_progress(dataset, query_id)

    def write_chunk(self, dataset: str, query_id: str, index: int, frame_id: str, ttl_s: float) -> None:
        self._local.write_chunk(dataset, query_id, index, frame_id, ttl_s)
        self._write(chunk_key(dataset, query_id, index), frame_id, ttl_s)

    def read_chunk(self, dataset: str, query_id: str, index: int) -> str | None:
        return self._read(chunk_key(dataset, query_id, index)) or self._local.read_chunk(dataset, query_id, index)

    def write_query(self, query_id: str, record: str, ttl_s: float) -> None:
        self._local.write_query(query_id, record, ttl_s)
        self._write(query_key(query_id), record, ttl_s)

    def read_query(self, query_id: str) -> str | None:
        return self._read(query_key(query_id)) or self._local.read_query(query_id)

    def hold(self, query_id: str, owner: str, ttl_s: float) -> None:
        self._local.hold(query_id, owner, ttl_s)
        self._write(owner_key(query_id), owner, ttl_s)

    def owner(self, query_id: str) -> str | None:
        return self._read(owner_key(query_id)) or self._local.owner(query_id)

    def let_go(self, query_id: str, owner: str) -> None:
        self._local.let_go(query_id, owner)
        key = self._prefix + owner_key(query_id)
        self._ask(lambda: self._redis.eval(_LET_GO, 1, key, owner), None)

    def close(self) -> None:
        self._redis.close()
        self._local.close()

    def _write(self, key: str, value: str, ttl_s: float) -> None:
        self._ask(lambda: self._redis.set(self._prefix + key, value, px=_milliseconds(ttl_s)), None)

    def _read(self, key: str) -> str | None:
        value = self._ask(lambda: self._redis.get(self._prefix + key), None)
        return value if isinstance(value, str) else None

    def _ask(self, call: Callable[[], _Answer], otherwise: _Answer) -> _Answer:
        if self._clock.monotonic() < self._rest_until:
            return otherwise
        try:
            answer = call()
        except redis.RedisError as error:
            self._note(degraded=True, cause=type(error).__name__)
            return otherwise
        self._note(degraded=False, cause="")
        return answer

    def _note(self, *, degraded: bool, cause: str) -> None:
        with self._lock:
            changed = degraded != self._degraded
            self._degraded = degraded
            if degraded:
                self._rest_until = self._clock.monotonic() + REST_S
        if changed and degraded:
            log.warning("redis is away, state is kept in memory", cause=cause)
        elif changed:
            log.info("redis is back")


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
