"""Which ids live chunks already cover, and which are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sluice_query_engine.planning.packed_ids import PackedIds


@dataclass(frozen=True)
class IdExtent:
    """A chunk of a batch of ids that is there, or is being read just now, and may be used by a new query.

    Args:
        part: the part whose rows it holds.
        ids: all ids it was read for, those without rows included; a plan leaves them out beside those it shows.
        frame_id: its frame; empty while it is still being read.
        read_time: when its rows were read, UTC; None while they are.
        fresh_until_time: until when a new query may use it, UTC; None while it is being read.
        truncated: a row limit cut it, so it covers nothing.
        row_count: its rows.
    """

    part: str
    ids: frozenset[str]
    frame_id: str
    read_time: datetime | None = None
    fresh_until_time: datetime | None = None
    truncated: bool = False
    row_count: int = 0


@dataclass(frozen=True)
class IdSlice:
    """The ids of which a query reads an extent's rows."""

    extent: IdExtent
    ids: PackedIds


@dataclass(frozen=True)
class IdCoverage:
    """Disjoint slices and the ids that no extent covers; together exactly what was wanted."""

    slices: tuple[IdSlice, ...]
    missing: PackedIds


def cover_ids(wanted: Iterable[str], extents: Sequence[IdExtent]) -> IdCoverage:
    """Return how the extents cover the wanted ids, each id at most once.

    The extents that cover most go first, which gives few slices; between equals, the one read last.
    """
    known, missing = PackedIds.of(wanted).parted(frozenset[str]().union(*(extent.ids for extent in extents)))
    left = set(known)
    slices = []
    for extent in sorted(extents, key=lambda item: _worth(item, left), reverse=True):
        shown = left & extent.ids
        if shown:
            slices.append(IdSlice(extent, PackedIds.of(shown)))
            left -= shown
    return IdCoverage(tuple(slices), missing)


def _worth(extent: IdExtent, wanted: set[str]) -> tuple[int, float, str]:
    read = extent.read_time.timestamp() if extent.read_time else 0.0
    return len(wanted & extent.ids), read, extent.frame_id
