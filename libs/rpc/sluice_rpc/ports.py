"""The outside world as arguments: clock and ids, each real and in memory."""

from __future__ import annotations

import itertools
import secrets
import time
from datetime import UTC, datetime, timedelta
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
