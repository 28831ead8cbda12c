"""Whether a warehouse answers, without making whoever wants to know wait for one that does not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import Clock

log = structlog.get_logger()

REST_S: Final = 3.0
"""How long an answer counts; every page that shows it is asked for by several people and machines."""
PATIENCE_S: Final = 0.8
"""How long one look waits for the warehouse, below the second within which details are promised."""


@dataclass(frozen=True)
class Beat:
    """What is known of the warehouse at one moment."""

    reachable: bool
    check_time: datetime | None
    """When it last answered or was found away; None before the first time."""


class Pulse:
    """Asks the warehouse when somebody looks, one question at a time, on a thread of its own.

    Args:
        ping: returns if the warehouse answers, raises a ServiceError if it does not.
        clock: how long an answer counts, and when it was.
        patience_s: how long one look waits.
    """

    def __init__(self, ping: Callable[[], None], clock: Clock, *, patience_s: float = PATIENCE_S) -> None:
        self._ping = ping
        self._clock = clock
        self._patience_s = patience_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pulse")
        # Guards what follows; nothing is waited for under it.
        self._lock = threading.Lock()
        self._asked: Future[None] | None = None
        self._last = Beat(reachable=False, check_time=None)
        self._fresh_until = 0.0

    def read(self) -> Beat:
        """Return how the warehouse is; one that is still silent after the patience counts as away."""
        with self._lock:
            if self._clock.monotonic() < self._fresh_until:
                return self._last
            if self._asked is None:
                self._asked = self._thread.submit(self._ask)
            asked = self._asked
        wait([asked], self._patience_s)
        with self._lock:
            return self._last if asked.done() else Beat(reachable=False, check_time=self._last.check_time)

    def close(self) -> None:
        """Ask no more; a question under way ends by its own time-out."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ask(self) -> None:
        reachable = False
        try:
            self._ping()
            reachable = True
        except ServiceError as error:
            log.debug("warehouse does not answer", reason=error.reason)
        finally:
            with self._lock:
                self._last = Beat(reachable, self._clock.now())
                self._fresh_until = self._clock.monotonic() + REST_S
                self._asked = None
