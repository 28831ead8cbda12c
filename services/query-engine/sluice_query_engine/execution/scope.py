"""One withdrawal, told to everything that works for the same purpose."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CancelScope:
    """Work that can be withdrawn from any thread; what is attached is told once, at once."""

    def __init__(self) -> None:
        self.withdrawn = threading.Event()
        """Set once nobody wants the work any more."""
        self._callbacks: list[Callable[[], None]] = []
        # Guards the callbacks and the order of setting and attaching; callbacks run outside it.
        self._lock = threading.Lock()

    @property
    def cancelled(self) -> bool:
        """Nobody wants the work any more."""
        return self.withdrawn.is_set()

    def cancel(self) -> None:
        """Withdraw the work; again is harmless."""
        with self._lock:
            self.withdrawn.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    @contextmanager
    def attached(self, callback: Callable[[], None]) -> Iterator[None]:
        """Have `callback` called on withdrawal while inside; at once when it has happened already."""
        with self._lock:
            already = self.withdrawn.is_set()
            if not already:
                self._callbacks.append(callback)
        if already:
            callback()
        try:
            yield
        finally:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)
