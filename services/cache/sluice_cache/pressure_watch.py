"""Watches the memory of the process: says so, gives up what can be made again, refuses new work before it is late."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import structlog
from sluice_rpc.ports import Clock

from sluice_cache.errors import MemoryPressure
from sluice_cache.memory_readings import MemoryReadings
from sluice_cache.pressure import Level, Reading, Thresholds, step

log = structlog.get_logger()

STALE_S: Final = 0.05
"""A reading costs 30 µs; new work asks for a fresh one, but a burst of it shares one."""


@dataclass(frozen=True)
class Pressure:
    """Where the ladder stands, and what it has done since the process started."""

    level: Level
    reading: Reading
    eviction_count: int
    refusal_count: int


class PressureWatch:
    """The ladder of this process.

    Args:
        readings: of memory, now.
        thresholds: of the rungs.
        evict: called on the rung `EVICT` and above; each gives up what can be made again.
        clock: measures pauses.
        interval_s: seconds between two looks while nobody asks for anything.
        evict_pause_s: least seconds between two evictions; one that did not help is not repeated at each reading.
    """

    def __init__(
        self,
        readings: MemoryReadings,
        thresholds: Thresholds,
        evict: Sequence[Callable[[], object]],
        clock: Clock,
        *,
        interval_s: float,
        evict_pause_s: float,
    ) -> None:
        self._readings = readings
        self._thresholds = thresholds
        self._evict = evict
        self._clock = clock
        self._interval_s = interval_s
        self._evict_pause_s = evict_pause_s
        # Guards the fields below; nothing is logged or evicted under it.
        self._lock = threading.Lock()
        self._stands = Pressure(Level.NORMAL, Reading(), 0, 0)
        self._read_s = float("-inf")
        self._evicted_s = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def start(self) -> None:
        """Look now and go on in the background."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def pressure(self) -> Pressure:
        """Return how things stand, by a reading of now."""
        self.look()
        with self._lock:
            return self._stands

    def admit(self) -> None:
        """Let new work begin, or refuse it.

        Raises:
            MemoryPressure: the process is on the last rung.
        """
        with self._lock:
            fresh = self._clock.monotonic() - self._read_s < STALE_S
        if not fresh:
            self.look()
        with self._lock:
            stands = self._stands
            refused = stands.level is Level.REFUSE
            if refused:
                self._stands = _counted(stands, refusals=1)
        if refused:
            raise MemoryPressure

    def look(self) -> None:
        """Take a reading, step, and do what the rung asks for."""
        reading, now = self._readings.read(), self._clock.monotonic()
        with self._lock:
            before = self._stands.level
            level = step(before, reading, self._thresholds)
            evicts = level >= Level.EVICT and now - self._evicted_s >= self._evict_pause_s
            self._read_s = now
            self._evicted_s = now if evicts else self._evicted_s
            stands = self._stands
            self._stands = Pressure(level, reading, stands.eviction_count + evicts, stands.refusal_count)
        if level is not before:
            said = log.warning if level > before else log.info
            said("memory pressure", level=level.name.lower(), before=before.name.lower(), **_told(reading))
        if evicts:
            self._give_up()

    def _give_up(self) -> None:
        for evict in self._evict:
            evict()
        gc.collect()
        pa.default_memory_pool().release_unused()
        with suppress(OSError, AttributeError):
            # What was freed in small pieces stays with the process otherwise; other libraries than glibc have no such.
            ctypes.CDLL("libc.so.6").malloc_trim(0)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.look()


def _counted(stands: Pressure, refusals: int) -> Pressure:
    return Pressure(stands.level, stands.reading, stands.eviction_count, stands.refusal_count + refusals)


def _told(reading: Reading) -> dict[str, float]:
    return {
        "own_bytes": reading.own_bytes,
        "limit_bytes": reading.limit_bytes,
        "system_used_ratio": round(reading.system_used_ratio, 3),
    }
