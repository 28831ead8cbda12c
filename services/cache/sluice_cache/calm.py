"""Work that somebody waits for, and work that can wait until there is none of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LULL_S: Final = 0.3
"""Between two chunks of a query there is no put for a moment; that is no time to start something long."""


class Calm:
    """Counts urgent work; it is calm while there is none."""

    def __init__(self) -> None:
        # Guards the count; notified when it leaves zero or comes back to it.
        self._changed = threading.Condition()
        self._urgent_count = 0

    @contextmanager
    def disturbed(self) -> Iterator[None]:
        """Count as urgent work until left."""
        with self._changed:
            self._urgent_count += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._urgent_count -= 1
                if self._urgent_count == 0:
                    self._changed.notify_all()

    def wait(self, timeout_s: float, lull_s: float = LULL_S) -> bool:
        """Wait until it has been calm for a while and return True, or return False once the time is over."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while (left_s := until - time.monotonic()) > 0:
                if not self._changed.wait_for(lambda: self._urgent_count == 0, left_s):
                    return False
                if not self._changed.wait_for(lambda: self._urgent_count > 0, lull_s):
                    return True
        return False
