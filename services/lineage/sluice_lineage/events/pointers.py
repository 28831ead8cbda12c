"""Which frame answers which ids: pointers in Redis, short-lived, and the same in memory."""

from __future__ import annotations

import threading
from typing import Final, Protocol, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sluice_rpc.ports import Clock

from sluice_lineage.redis_rest import RedisRest

_TIMEOUT_S: Final = 0.5
"""Redis stands beside us; when it needs longer, the work goes on without it."""


class PointersAway(Exception):
    """Redis did not answer."""


class Pointers(Protocol):
    """Frame ids by key. Every method raises `PointersAway` when they cannot be asked."""

    def get(self, key: str) -> str | None:
        """Return the frame id, None when there is none or its time is over."""
        ...

    def put(self, key: str, frame_id: str, ttl_s: float) -> None:
        """Point to a frame for so many seconds."""
        ...

    def close(self) -> None:
        """Free connections."""
        ...


class MemoryPointers:
    """Pointers of this process alone; `away` makes every call fail as if Redis were down.

    Args:
        clock: ends their lives.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, tuple[str, float]] = {}
        self.away = False

    def get(self, key: str) -> str | None:
        self._check()
        with self._lock:
            found = self._entries.get(key)
        return found[0] if found is not None and found[1] > self._clock.monotonic() else None

    def put(self, key: str, frame_id: str, ttl_s: float) -> None:
        self._check()
        now = self._clock.monotonic()
        with self._lock:
            self._entries = {name: entry for name, entry in self._entries.items() if entry[1] > now}
            self._entries[key] = (frame_id, now + ttl_s)

    def close(self) -> None:
        """Nothing is open."""

    def _check(self) -> None:
        if self.away:
            raise PointersAway


class RedisPointers:
    """Pointers that all processes share.

    Args:
        url: `redis://...`.
        clock: for rests.
        prefix: put before every key; the deployment's own.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(self, url: str, clock: Clock, *, prefix: str = "") -> None:
        self._redis = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            max_connections=32,
            # A restarted server closed every connection we keep; what is asked here is harmless when asked twice.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        self._rest = RedisRest(clock, "kept events are looked up in the cache itself")
        self._prefix = prefix

    def get(self, key: str) -> str | None:
        self._check()
        try:
            # The stubs of redis do not tell its two clients apart.
            found = cast("str | None", self._redis.get(self._prefix + key))
        except redis.RedisError as error:
            self._rest.failed(error)
            raise PointersAway from error
        self._rest.answered()
        return found

    def put(self, key: str, frame_id: str, ttl_s: float) -> None:
        self._check()
        try:
            self._redis.set(self._prefix + key, frame_id, px=max(1, round(ttl_s * 1000)))
        except redis.RedisError as error:
            self._rest.failed(error)
            raise PointersAway from error
        self._rest.answered()

    def close(self) -> None:
        self._redis.close()

    def _check(self) -> None:
        if self._rest.resting:
            raise PointersAway
