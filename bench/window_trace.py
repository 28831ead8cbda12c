"""A seeded trace of people who slide windows over holds, and what any cache would have to read for it.

Nothing here asks a warehouse or an engine: the trace is drawn, and rows are counted over arrays of their times.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

WINDOW_DAYS = (30, 60, 90)
_WORKDAY_COUNT = 5
_OPENS, _CLOSES = 8 * 60, 17 * 60
_MOST_LOOKS = 4
_MOST_DAYS_BACK = 7

Instants = NDArray[np.datetime64]
OPEN = np.datetime64("9999-01-01")
"""Stands for the release of a hold that has none."""


@dataclass(frozen=True)
class Look:
    """One request of one user: at `minute` of the trace, for both dates and all days between."""

    minute: int
    user: int
    start_date: date
    end_date: date


def draw_trace(seed: int, *, users: int, working_days: int, first_end: date) -> list[Look]:
    """Return looks in the order of time; the same seed draws the same trace.

    On each working day each user looks one to four times between 08:00 and 17:00: first at a window that ends on that
    day's newest date, then at the same window slid back by one to seven days, or at another width of 30, 60 or 90 days.
    The newest date is `first_end` on the first day and moves with the calendar, weekends included.
    """
    drawn = random.Random(seed)
    looks = []
    for number in range(working_days):
        day = number // _WORKDAY_COUNT * 7 + number % _WORKDAY_COUNT
        for user in range(users):
            width, end = drawn.choice(WINDOW_DAYS), first_end + timedelta(days=day)
            for minute in sorted(drawn.sample(range(_OPENS, _CLOSES), drawn.randint(1, _MOST_LOOKS))):
                looks.append(Look(day * 24 * 60 + minute, user, end - timedelta(days=width - 1), end))
                if drawn.random() < 0.5:
                    width = drawn.choice(WINDOW_DAYS)
                else:
                    end -= timedelta(days=drawn.randint(1, _MOST_DAYS_BACK))
    return sorted(looks, key=lambda look: (look.minute, look.user))


class Holds:
    """Times of all holds, as a window needs them.

    Args:
        held: when held, one per row, in ascending order.
        until: when released, in the same order; `OPEN` while on hold.
    """

    def __init__(self, held: Instants, until: Instants) -> None:
        self.held = held
        self.until = until
        self.open = until >= OPEN

    def wanted(self, start: datetime, end: datetime) -> NDArray[np.intp]:
        """Return the rows of the answer for `[start, end)`: those of the slice, and those carried in."""
        first, after = np.searchsorted(self.held, [np.datetime64(start), np.datetime64(end)])
        carried = np.flatnonzero(self.until[:first] >= np.datetime64(start))
        return np.concatenate([carried, np.arange(first, after)])


class NeededRows:
    """Counts the rows that a perfect cache of single rows would read.

    It reads a row when an answer needs it and none of its lives lasts, never sooner and never twice in one life. A life
    begins with the read and lasts as long as the freshness rule lets that row alone be used again.

    Args:
        holds: all rows.
        life_minutes: of each row.
    """

    def __init__(self, holds: Holds, life_minutes: NDArray[np.float64]) -> None:
        self._life = life_minutes
        self._until = np.full(len(holds.held), -np.inf)
        self.count = 0
        self.again_count = 0
        """Those of `count` that were read before, in a life that has ended."""

    def look(self, minute: int, rows: NDArray[np.intp]) -> None:
        """Note that an answer needs these rows."""
        dead = rows[self._until[rows] <= minute]
        self.count += len(dead)
        self.again_count += int(np.isfinite(self._until[dead]).sum())
        self._until[dead] = minute + self._life[dead]


class WholeQueryKeys:
    """Counts the rows that a cache reads whose key is the pair of dates, each key with all rows of its answer.

    Args:
        life_minutes: of each row; a key lives as long as its shortest-lived row.
    """

    def __init__(self, life_minutes: NDArray[np.float64]) -> None:
        self._life = life_minutes
        self._until: dict[tuple[date, date], float] = {}
        self.count = 0
        self.key_read_count = 0

    def look(self, look: Look, rows: NDArray[np.intp]) -> None:
        """Note a request."""
        key = (look.start_date, look.end_date)
        if self._until.get(key, -np.inf) <= look.minute:
            self.count += len(rows)
            self.key_read_count += 1
            self._until[key] = look.minute + float(self._life[rows].min())
