"""Which ranges live chunks already cover, and what is missing between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from sluice_query_engine.planning.time_range import TimeRange


@dataclass(frozen=True)
class Extent:
    """A chunk that is there, or is being read just now, and may be used by a new query.

    Args:
        part: the part whose rows it holds.
        start: first instant; for a part that depends on the start only, that start.
        end: first instant after it; None for a part that depends on the start only.
        frame_id: its frame; empty while it is still being read.
        read_time: when its rows were read, UTC; None while they are.
        fresh_until_time: until when a new query may use it, UTC; None while it is being read.
        truncated: a row limit cut it, so it covers nothing.
        row_count: its rows.
        open_until_time: until when, UTC, its open rows may be taken as they were read; then these are read again by
            their ids, while the others still serve. None where it has no open rows or is read again whole.
    """

    part: str
    start: datetime
    end: datetime | None
    frame_id: str
    read_time: datetime | None = None
    fresh_until_time: datetime | None = None
    truncated: bool = False
    row_count: int = 0
    open_until_time: datetime | None = None

    @property
    def range(self) -> TimeRange | None:
        """The range it covers; None for a part that depends on the start only."""
        return None if self.end is None else TimeRange(self.start, self.end)


@dataclass(frozen=True)
class Slice:
    """The piece of an extent that a query reads."""

    extent: Extent
    range: TimeRange


@dataclass(frozen=True)
class Coverage:
    """Disjoint slices and gaps, each in time order, that together are exactly what was wanted."""

    slices: tuple[Slice, ...]
    gaps: tuple[TimeRange, ...]


class _Lasting(Protocol):
    """What is fresh for a while, unless it was cut."""

    @property
    def truncated(self) -> bool: ...

    @property
    def fresh_until_time(self) -> datetime | None: ...


_Kept = TypeVar("_Kept", bound=_Lasting)


def usable(extents: Iterable[_Kept], now: datetime) -> list[_Kept]:
    """Return the extents that a query composed at `now` (UTC) may count on: neither cut nor stale."""
    return [
        extent
        for extent in extents
        if not extent.truncated and (extent.fresh_until_time is None or extent.fresh_until_time > now)
    ]


def cover(wanted: TimeRange, extents: Sequence[Extent]) -> Coverage:
    """Return how the extents cover `wanted`, each instant at most once.

    Where extents overlap, the one that reaches furthest goes on, which gives the fewest slices; between equals, the
    one read last.
    """
    slices: list[Slice] = []
    gaps: list[TimeRange] = []
    position = wanted.start
    while position < wanted.end:
        best = _furthest(position, extents)
        if best is not None and best.end is not None:
            end = min(best.end, wanted.end)
            slices.append(Slice(best, TimeRange(position, end)))
        else:
            end = min([wanted.end, *(extent.start for extent in extents if position < extent.start)])
            gaps.append(TimeRange(position, end))
        position = end
    return Coverage(tuple(slices), tuple(gaps))


def _furthest(position: datetime, extents: Sequence[Extent]) -> Extent | None:
    reaching = [extent for extent in extents if extent.end is not None and extent.start <= position < extent.end]
    return max(reaching, key=_reach, default=None)


def _reach(extent: Extent) -> tuple[datetime, float]:
    read = extent.read_time.timestamp() if extent.read_time else 0.0
    return (extent.end or datetime.min, read)
