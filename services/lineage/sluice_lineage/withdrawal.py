"""When the caller of an RPC goes away: its statements end, and so do its waits for a permit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Cancellable(Protocol):
    """Something that can be told to end, a reading for one."""

    def cancel(self) -> None:
        """End it; from any thread, as often as one likes."""
        ...


class Withdrawal:
    """Whether anybody still wants the answer; set once, from any thread."""

    def __init__(self) -> None:
        self.event = threading.Event()
        # Protects the readings, so that one opened while the caller leaves is cancelled as well.
        self._lock = threading.Lock()
        self._readings: list[Cancellable] = []

    def withdraw(self) -> None:
        """End what runs and let nothing else start."""
        with self._lock:
            self.event.set()
            for reading in self._readings:
                reading.cancel()

    @contextmanager
    def cancels(self, reading: Cancellable) -> Iterator[None]:
        """Tie a reading to this withdrawal for as long as the block runs."""
        with self._lock:
            self._readings.append(reading)
            if self.event.is_set():
                reading.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._readings.remove(reading)
