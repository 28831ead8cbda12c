"""For how long a chunk may serve new queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class FreshnessRule:
    """A dataset's rule: when history is settled, and how long settled and unsettled rows stay fresh."""

    ttl: timedelta
    settled_ttl: timedelta
    settles_after: timedelta

    def settled_until(self, plant_now: datetime) -> datetime:
        """Return by when a chunk must end, plant-local, to be settled as soon as it is read."""
        return plant_now - self.settles_after

    def fresh_for(self, last_instant: datetime | None, plant_now: datetime, *, open_rows: bool) -> timedelta:
        """Return for how long after its read a chunk may be reused.

        Settled is a chunk that ends at least `settles_after` before the plant's clock and whose rows can no longer
        change, which a row that is still open can.

        Args:
            last_instant: first instant after the chunk, plant-local; the start for parts that have no end; None for
                ids that are read whatever the time, which may get more rows at any time.
            plant_now: the plant's clock when the chunk was read.
            open_rows: at least one row is still open, and nothing reads the open ones again by themselves.
        """
        settled = not open_rows and last_instant is not None and last_instant <= self.settled_until(plant_now)
        return max(self.settled_ttl, self.ttl) if settled else self.ttl
