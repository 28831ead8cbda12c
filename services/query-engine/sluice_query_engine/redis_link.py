"""The engine's one connection to Redis: bounded in time, left alone for a moment after it failed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from sluice_rpc.ports import Clock

log = structlog.get_logger()

_Answer = TypeVar("_Answer")

REDIS_TIMEOUT_S: Final = 0.5
"""Redis stands beside us; when it needs longer, the work goes on without it."""
REST_S: Final = 1.0
"""How long Redis is left alone after it failed, so that a dead one does not slow every write."""
_AGAIN: Final = 1
"""A restarted server closed every connection we keep; the first command on each finds that out and is sent again. So
whatever is asked here must be harmless when it is done twice."""


class RedisAway(Exception):
    """Redis did not answer; whoever asked knows how to go on without it."""


class RedisLink:
    """Connections to Redis for all that this process keeps there.

    The change to away and back is logged once each.

    Args:
        url: `redis://...`.
        clock: for rests.
        prefix: put before every key; the deployment's own.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(self, url: str, clock: Clock, *, prefix: str = "") -> None:
        self.redis = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            max_connections=64,
            retry=Retry(NoBackoff(), _AGAIN, supported_errors=(redis.ConnectionError,)),
        )
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

    def key(self, name: str) -> str:
        """Return the key as it stands in Redis."""
        return self._prefix + name

    def ask(self, call: Callable[[], _Answer]) -> _Answer:
        """Return what `call` returns.

        Raises:
            RedisAway: it failed, or something did a moment ago.
        """
        if self._clock.monotonic() < self._rest_until:
            raise RedisAway
        try:
            answer = call()
        except redis.RedisError as error:
            self._note(degraded=True, cause=type(error).__name__)
            raise RedisAway from error
        self._note(degraded=False, cause="")
        return answer

    def answers(self) -> bool:
        """Return whether Redis answers now."""
        try:
            self.ask(self.redis.ping)
        except RedisAway:
            return False
        return True

    def close(self) -> None:
        """Free connections."""
        self.redis.close()

    def _note(self, *, degraded: bool, cause: str) -> None:
        with self._lock:
            changed = degraded != self._degraded
            self._degraded = degraded
            if degraded:
                self._rest_until = self._clock.monotonic() + REST_S
        if changed and degraded:
            log.warning("redis is away, state and single flight are kept in this process", cause=cause)
        elif changed:
            log.info("redis is back")
