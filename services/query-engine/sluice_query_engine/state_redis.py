"""The state in Redis, for people and other processes to see, over a copy in memory for when Redis is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from sluice_rpc.ports import Clock

from sluice_query_engine.redis_link import RedisAway, RedisLink
from sluice_query_engine.state import MemoryState, Signal, chunk_key, progress_key, query_key, signal_key

_Answer = TypeVar("_Answer")


class RedisState:
    """State that outlives the process while Redis is there, and goes on in memory while it is not.

    Every write goes to both, so that losing Redis loses nothing this process knows.

    Args:
        link: the connection; closed by whoever made it.
        clock: for the lives of the copy.
    """

    def __init__(self, link: RedisLink, clock: Clock) -> None:
        self._link = link
        self._redis = link.redis
        self._local = MemoryState(clock)

    def write_progress(self, dataset: str, query_id: str, fields: Mapping[str, str], ttl_s: float) -> None:
        self._local.write_progress(dataset, query_id, fields, ttl_s)
        key = self._link.key(progress_key(dataset, query_id))

        def write() -> None:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(key, items=[text for pair in fields.items() for text in pair])
                pipe.pexpire(key, _milliseconds(ttl_s))
                pipe.execute()

        self._ask(write, None)

    def read_progress(self, dataset: str, query_id: str) -> dict[str, str] | None:
        key = self._link.key(progress_key(dataset, query_id))
        nothing: dict[str, str] = {}
        # The stubs of redis do not tell its two clients apart.
        found = self._ask(lambda: cast("dict[str, str]", self._redis.hgetall(key)), nothing)
        return found or self._local.read_progress(dataset, query_id)

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

    def send(self, query_id: str, signal: Signal, ttl_s: float) -> None:
        key = self._link.key(signal_key(query_id, signal))

        def send() -> None:
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.incr(key)
                pipe.pexpire(key, _milliseconds(ttl_s))
                pipe.execute()

        self._ask(send, None)

    def heard(self, query_id: str) -> dict[Signal, int]:
        def take() -> list[object]:
            with self._redis.pipeline(transaction=True) as pipe:
                for signal in Signal:
                    pipe.getdel(self._link.key(signal_key(query_id, signal)))
                return list(pipe.execute())

        nothing: list[object] = [None] * len(Signal)
        counts = self._ask(take, nothing)
        return {signal: int(str(count or 0)) for signal, count in zip(Signal, counts, strict=True)}

    def close(self) -> None:
        self._local.close()

    def _write(self, key: str, value: str, ttl_s: float) -> None:
        self._ask(lambda: self._redis.set(self._link.key(key), value, px=_milliseconds(ttl_s)), None)

    def _read(self, key: str) -> str | None:
        value = self._ask(lambda: self._redis.get(self._link.key(key)), None)
        return value if isinstance(value, str) else None

    def _ask(self, call: Callable[[], _Answer], otherwise: _Answer) -> _Answer:
        try:
            return self._link.ask(call)
        except RedisAway:
            return otherwise


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
