"""How many second attempts this process has left, so that an outage is not answered with twice the load."""

from __future__ import annotations

import threading
from typing import Final

_PER_SUCCESS: Final = 0.1
"""What a success gives back: in the long run at most one statement in ten is a second attempt."""


class RetryBudget:
    """A bucket of second attempts: each takes one, ten successes give one back.

    Args:
        size: attempts in a full bucket; it starts full. 0 allows none.
    """

    def __init__(self, size: int) -> None:
        self._size = float(size)
        self._left = float(size)
        # Guards what is left.
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take one attempt; False when none is left."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True

    def succeeded(self) -> None:
        """Note a success."""
        with self._lock:
            self._left = min(self._size, self._left + _PER_SUCCESS)
