"""When the caller of an RPC goes away: its statement ends, and so does its wait for a permit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sluice_warehouse import Reading


class Withdrawal:
    """Whether anybody still wants the answer; set once, from any thread."""

    def __init__(self) -> None:
        self.event = threading.Event()
        # Protects the reading, so that one opened while the caller leaves is cancelled as well.
        self._lock = threading.Lock()
        self._reading: Reading | None = None

    def withdraw(self) -> None:
        """End what runs and let nothing else start."""
        with self._lock:
            self.event.set()
            if self._reading is not None:
                self._reading.cancel()

    @contextmanager
    def cancels(self, reading: Reading) -> Iterator[None]:
        """Tie a reading to this withdrawal for as long as the block runs."""
        with self._lock:
            self._reading = reading
            if self.event.is_set():
                reading.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._reading = None
