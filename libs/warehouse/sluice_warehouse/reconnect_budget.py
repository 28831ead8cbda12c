"""How many dead connections may be replaced unseen: a warehouse that drops all of them is to be noticed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

WINDOW_S: Final = 60.0
"""The budget holds for any stretch of this length."""


class ReconnectBudget:
    """Counts what was replaced within the last minute.

    Args:
        count: how many within it.
        clock: monotonic seconds.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        # Protects what follows.
        self._lock = threading.Lock()
        self._taken: deque[float] = deque()

    def take(self) -> bool:
        """Return whether one more may be replaced, and count it if so."""
        with self._lock:
            now = self._clock()
            while self._taken and now - self._taken[0] > WINDOW_S:
                self._taken.popleft()
            if len(self._taken) >= self._count:
                return False
            self._taken.append(now)
            return True
