"""The link to a Redis that may be away: it gives up quickly, and then does not try for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar, cast

import redis
import structlog
from redis.backoff import NoBackoff
from redis.connection import PythonRespSerializer
from redis.retry import Retry
from sluice_rpc.ports import Clock

from sluice_cache.tiers import TierAway

log = structlog.get_logger()

CONNECT_TIMEOUT_S: Final = 0.25
CALL_TIMEOUT_S: Final = 1.0
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 5.0
CONNECTION_COUNT: Final = 16
"""More than ever speak at once, and few enough for a server that many processes share."""

_COPIED_BYTES: Final = 6_000
"""Arguments up to this length are joined into one packet, as redis-py itself has it."""

Result = TypeVar("Result")
Script = Callable[..., object]


class RedisLink:
    """A Redis that may be away: calls fail at once for a while after one has failed, and only one call probes.

    Args:
        url: `redis://host:port/db`.
        prefix: put before every key.
        clock: measures the pauses.
    """

    def __init__(self, url: str, prefix: str, clock: Clock) -> None:
        self.prefix = prefix
        self._clock = clock
        # No retries here: a cache that waits for its second tier is slower than none. But whoever finds every
        # connection in use waits for one: that they are in use says nothing against Redis.
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTION_COUNT,
            timeout=CALL_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=CALL_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        # A value of 2 MiB is sent as it lies; hiredis, which reads the answers, would copy it twice first.
        packer = PythonRespSerializer(_COPIED_BYTES, pool.get_encoder().encode)
        pool.connection_kwargs["command_packer"] = packer
        self._client: redis.Redis = redis.Redis.from_pool(pool)
        # Guards the fields below.
        self._lock = threading.Lock()
        self._pause_s = 0.0
        self._closed_until = 0.0
        self.reason = ""

    @property
    def available(self) -> bool:
        """False from a failed call until one succeeds again."""
        return not self.reason

    def call(self, work: Callable[[redis.Redis], Result]) -> Result:
        """Return what `work` returns.

        Raises:
            TierAway: Redis is away or refused.
        """
        with self._lock:
            now = self._clock.monotonic()
            if now < self._closed_until:
                raise TierAway(self.reason)
            if self.reason:
                # This call probes; until it has ended the others go on without Redis.
                self._closed_until = now + CONNECT_TIMEOUT_S + CALL_TIMEOUT_S
        try:
            result = work(self._client)
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            self._failed(type(error).__name__)
            raise TierAway(self.reason) from error
        except redis.RedisError as error:
            # It is there and refuses (memory, read-only): this call is lost, the next may go well.
            self._answered()
            raise TierAway(str(error)) from error
        self._answered()
        return result

    def script(self, name: str) -> Script:
        """Return a script of `lua/` as something that `run` takes; the server is not asked yet."""
        text = (Path(__file__).parent / "lua" / f"{name}.lua").read_text(encoding="utf-8")
        return cast(Script, self._client.register_script(text))

    def run(self, script: Script, keys: Sequence[str], *given: str | int) -> object:
        """Return what a script returns. Raises as `call` does."""
        return self.call(lambda client: script(keys=keys, args=given, client=client))

    def close(self) -> None:
        self._client.close()

    def _failed(self, reason: str) -> None:
        with self._lock:
            if not self.reason:
                log.warning("redis is away", reason=reason)
            self.reason = f"Redis does not answer ({reason})"
            self._pause_s = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, 2 * self._pause_s))
            self._closed_until = self._clock.monotonic() + self._pause_s

    def _answered(self) -> None:
        with self._lock:
            if self.reason:
                log.info("redis is back")
            self.reason = ""
            self._pause_s = 0.0
            self._closed_until = 0.0
