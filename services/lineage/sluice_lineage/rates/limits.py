"""Requests counted against limits, by the library `limits`: in Redis for all processes, else in this one.

A window begins with its first request and ends after its length; what comes then begins the next. Without Redis each
process counts for itself, so that several allow several times as much: better than none, and it is said.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry
from sluice_rpc.errors import ResourceExhausted
from sluice_rpc.ports import Clock

from sluice_lineage.redis_rest import RedisRest

Counter: TypeAlias = Literal["redis", "process"]

REDIS_TIMEOUT_S: Final = 0.5
_CLIENT_CHARS: Final = 128


@dataclass(frozen=True)
class Rate:
    """A limit.

    Attributes:
        bucket: what its keys and refusals name it.
        max_requests: requests of one client in a window.
        window_s: its length.
    """

    bucket: str
    max_requests: int
    window_s: int


class RateLimited(ResourceExhausted):
    """The client asked more often than its limit allows; the next window begins in `retry_after_s`."""

    reason = "RATE_LIMITED"

    def __init__(self, rate: Rate, retry_after_s: float, counted_in: Counter) -> None:
        super().__init__(
            f"more than {rate.max_requests:,} requests in {rate.window_s:,} s for {rate.bucket}; wait and ask again",
            retry_after_s=retry_after_s,
            limit=rate.max_requests,
            window_s=rate.window_s,
            bucket=rate.bucket,
            counted_in=counted_in,
        )


class RateLimits:
    """Counts requests by name of what is asked for.

    Args:
        rates: the limit of each name; others have none.
        clock: for rests.
        redis_url: where all processes count; empty counts in this process.
        prefix: put before every key; the deployment's own.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(self, rates: Mapping[str, Rate], clock: Clock, *, redis_url: str = "", prefix: str = "") -> None:
        self._rates = {
            name: (rate, RateLimitItemPerSecond(rate.max_requests, rate.window_s)) for name, rate in rates.items()
        }
        self._clock = clock
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._storage = _storage(redis_url, prefix) if redis_url else None
        self._shared = FixedWindowRateLimiter(self._storage) if self._storage else None
        self._rest = RedisRest(clock, "requests are counted in this process")
        # Guards the process's own counts, which the library does not keep whole between threads.
        self._lock = threading.Lock()

    @property
    def shared(self) -> bool:
        """Whether all processes are meant to count together."""
        return self._shared is not None

    @property
    def links(self) -> dict[str, Callable[[], bool]]:
        """What lives in Redis and whether it answers now, for the health of the process; empty without Redis."""
        storage = self._storage
        return {} if storage is None else {"rate_limits": storage.check}

    def take(self, name: str, client: str) -> Counter:
        """Count a request and return where.

        Args:
            name: what is asked for.
            client: by whom.

        Raises:
            RateLimited: it is one too many.
        """
        if name not in self._rates:
            return "process" if self._shared is None else "redis"
        rate, item = self._rates[name]
        key = (rate.bucket, client[:_CLIENT_CHARS])
        if self._shared is not None and not self._rest.resting:
            try:
                allowed, wait_s = _hit(self._shared, item, key, self._clock)
            except StorageError as error:
                self._rest.failed(error.storage_error)
            else:
                self._rest.answered()
                return _taken(allowed, wait_s, rate, "redis")
        with self._lock:
            allowed, wait_s = _hit(self._own, item, key, self._clock)
        return _taken(allowed, wait_s, rate, "process")


def _storage(redis_url: str, prefix: str) -> RedisStorage:
    return RedisStorage(
        redis_url,
        key_prefix=f"{prefix}rate",
        wrap_exceptions=True,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        # A restarted server closed every connection we keep; the first command on each finds that out.
        retry=Retry(NoBackoff(), 1),  # type: ignore[arg-type]  # passed on to redis, which takes it
    )


def _hit(
    limiter: FixedWindowRateLimiter, item: RateLimitItem, key: tuple[str, str], clock: Clock
) -> tuple[bool, float]:
    """Return whether a request is within its limit, and the seconds until the window ends where it is not."""
    if limiter.hit(item, *key):
        return True, 0.0
    reset_time = limiter.get_window_stats(item, *key).reset_time
    return False, max(1.0, reset_time - clock.now().timestamp())


def _taken(allowed: bool, wait_s: float, rate: Rate, counted_in: Counter) -> Counter:
    if not allowed:
        raise RateLimited(rate, min(wait_s, float(rate.window_s)), counted_in)
    return counted_in
