"""A half-open range of plant-local instants, and how an instant is written; no calendar rules live here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self


@dataclass(frozen=True, order=True)
class TimeRange:
    """`[start, end)` in plant-local time, zone-less, never empty.

    Raises:
        ValueError: the end is not after the start, or an instant carries a zone.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is not None or self.end.tzinfo is not None:
            raise ValueError("plant-local instants carry no zone")
        if self.end <= self.start:
            raise ValueError(f"the range ends at {self.end.isoformat()}, not after {self.start.isoformat()}")

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    def overlap(self, other: TimeRange) -> TimeRange | None:
        """Return what both share, or None where that is nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return TimeRange(start, end) if start < end else None

    @classmethod
    def parse(cls, start: str, end: str) -> Self:
        """Return the range between two instants as `instant_text` writes them."""
        return cls(datetime.fromisoformat(start), datetime.fromisoformat(end))


def instant_text(instant: datetime) -> str:
    """Return the instant as it travels: ISO 8601 to the second, without a zone."""
    return instant.isoformat(timespec="seconds")


def bound_text(instant: datetime | None) -> str:
    """Return the instant as it travels; empty where a chunk has no such bound."""
    return "" if instant is None else instant_text(instant)
