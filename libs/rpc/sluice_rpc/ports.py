"""The outside world as arguments: clock, ids and the process's memory, each real and in memory."""

from __future__ import annotations

import itertools
import secrets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> datetime:
        """Return the present instant in UTC, with its zone."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class FakeClock:
    """A clock that moves only when told to."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both readings forward."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Move only the wall clock, as an operator or NTP would; may go back."""
        self._now += timedelta(seconds=seconds)


class Ids(Protocol):
    """Gives out ids that are never given out twice."""

    def new(self) -> str:
        """Return lower-case letters and digits, at most 32."""
        ...


class RandomIds:
    """128 random bits as hexadecimal."""

    def new(self) -> str:
        return secrets.token_hex(16)


class SequentialIds:
    """0001, 0002, and so on; for tests."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"{next(self._numbers):04d}"


class Memory(Protocol):
    """Says how much memory the process holds now."""

    def rss_bytes(self) -> int:
        """Return current resident bytes; the present figure, not the peak."""
        ...


class SystemMemory:
    """Resident memory as Linux tells it; 0 where it cannot be read, which callers take as "no pressure"."""

    _PAGE_BYTES = 4096

    def rss_bytes(self) -> int:
        try:
            fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
        except OSError:
            return 0
        return int(fields[1]) * self._PAGE_BYTES


class FakeMemory:
    """Memory that is as large as a test says."""

    def __init__(self, rss_bytes: int = 0) -> None:
        self.value = rss_bytes

    def rss_bytes(self) -> int:
        return self.value
