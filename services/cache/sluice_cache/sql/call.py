"""Time and caller of one request, and the thread that stops what either has left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import duckdb
from sluice_rpc.errors import Cancelled, QueryTimeout
from sluice_rpc.ports import Clock

STOP_PAUSE_S: Final = 0.05
"""Between two attempts to stop the same statement: DuckDB forgets an interrupt that comes between two of its steps."""


class Stopped(Exception):
    """The process that a statement ran in was ended on our word."""


@dataclass
class _Entry:
    stop: Callable[[], None]
    end: float


class Watch:
    """Stops what has run past its end; one thread for all statements, which ends with `close`."""

    def __init__(self) -> None:
        # Guards the entries, and that nothing is stopped that was taken off before.
        self._changed = threading.Condition()
        self._watched: dict[int, _Entry] = {}
        self._number = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="statement-watch", daemon=True)
        self._thread.start()

    def add(self, stop: Callable[[], None], timeout_s: float) -> int:
        """Have `stop` called from `timeout_s` seconds on, again and again, until taken off."""
        with self._changed:
            self._number += 1
            self._watched[self._number] = _Entry(stop, time.monotonic() + timeout_s)
            self._changed.notify()
            return self._number

    def hurry(self, number: int) -> None:
        """Begin stopping now; harmless once taken off."""
        with self._changed:
            entry = self._watched.get(number)
            if entry is not None:
                entry.end = 0.0
                self._changed.notify()

    def take_off(self, number: int) -> None:
        """Stop it no more."""
        with self._changed:
            self._watched.pop(number, None)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for entry in self._watched.values():
                    if entry.end <= now:
                        entry.stop()
                        entry.end = now + STOP_PAUSE_S
                ends = [entry.end for entry in self._watched.values()]
                self._changed.wait(max(0.0, min(ends) - now) if ends else None)


class Call:
    """Time and caller of one request; what runs for it is stopped when either is gone."""

    def __init__(self, clock: Clock, watch: Watch, timeout_s: float) -> None:
        self._clock = clock
        self._watch = watch
        self._end = clock.monotonic() + timeout_s
        self._cancelled = threading.Event()
        # Guards the numbers of what runs.
        self._lock = threading.Lock()
        self._running: set[int] = set()

    def left_s(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self._end - self._clock.monotonic())

    def cancel(self) -> None:
        """Stop what runs for this call; harmless once it has ended."""
        self._cancelled.set()
        with self._lock:
            running = list(self._running)
        for number in running:
            self._watch.hurry(number)

    def check(self) -> None:
        """Raise when nobody waits any more or time is up."""
        if self._cancelled.is_set():
            raise Cancelled("the caller went away")
        if self.left_s() <= 0.0:
            raise QueryTimeout("the statement ran out of time")

    @contextmanager
    def bounding(self, stop: Callable[[], None]) -> Iterator[None]:
        """Have `stop` called when time is up or the caller leaves.

        Raises:
            Cancelled, QueryTimeout: it was.
        """
        number = self._watch.add(stop, self.left_s())
        with self._lock:
            self._running.add(number)
        try:
            self.check()
            yield
        except (duckdb.InterruptException, Stopped):
            self.check()
            raise QueryTimeout("the statement was interrupted") from None
        finally:
            with self._lock:
                self._running.discard(number)
            self._watch.take_off(number)
