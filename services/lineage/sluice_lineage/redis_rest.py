"""Redis that did not answer is left alone for a moment, and its going and coming back are logged once each."""

from __future__ import annotations

import threading
from typing import Final

import structlog
from sluice_rpc.ports import Clock

log = structlog.get_logger()

REST_S: Final = 1.0
"""How long Redis is left alone after it failed, so that a dead one does not slow every request."""


class RedisRest:
    """Whether Redis may be asked.

    Args:
        clock: for rests.
        without: what goes on without Redis, for the log.
    """

    def __init__(self, clock: Clock, without: str) -> None:
        self._clock = clock
        self._without = without
        # Guards what follows, so that many requests at once log a change once.
        self._lock = threading.Lock()
        self._until = 0.0
        self._away = False

    @property
    def resting(self) -> bool:
        """Whether it failed just now."""
        return self._clock.monotonic() < self._until

    def failed(self, cause: BaseException) -> None:
        """Let it rest."""
        with self._lock:
            self._until = self._clock.monotonic() + REST_S
            changed, self._away = not self._away, True
        if changed:
            log.warning("redis is away", without=self._without, cause=type(cause).__name__)

    def answered(self) -> None:
        """Note that it is there."""
        with self._lock:
            changed, self._away = self._away, False
        if changed:
            log.info("redis is back")
