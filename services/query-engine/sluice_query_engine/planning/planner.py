"""Turns a query into chunks: what is there already, what must be read, and why it is cut where it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sluice_query_engine.planning.decompose import cut_range
from sluice_query_engine.planning.extents import Coverage, Extent, cover, usable
from sluice_query_engine.planning.time_range import TimeRange

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class PartShape:
    """How a part may be cut. `time`: anywhere on its time column. `start`: not at all; it depends on the start only."""

    name: str
    cut: Literal["time", "start"]


@dataclass(frozen=True)
class CutRule:
    """When to cut, and how wide the pieces are.

    Cutting has a price: 15 days that took 25 s whole took 118 s in chunks on an earlier system. So a gap is cut only
    above `direct_max_days`.
    """

    direct_max_days: int
    grain_days: int


@dataclass(frozen=True)
class PlannedChunk:
    """One chunk of a query, in execution order.

    Args:
        index: position in the plan, from 0.
        part: the part it belongs to.
        start: first instant, plant-local.
        end: first instant after it; None for a part that depends on the start only.
        extent: the chunk that answers it already, if any; only `[start, end)` of it is read.
        reason: why it is cut where it is, for people.
    """

    index: int
    part: str
    start: datetime
    end: datetime | None
    extent: Extent | None
    reason: str

    @property
    def days(self) -> int:
        """Its length in days, rounded up; 0 for a part that depends on the start only."""
        return 0 if self.end is None else -((self.start - self.end) // _DAY)


@dataclass(frozen=True)
class Plan:
    """The chunks of a query; those that are missing are to be read.

    Args:
        range: what was asked for.
        read_from: start of the chunks; earlier than the range where an older carry-in is used again.
        chunks: by part in declaration order, then in time order.
    """

    range: TimeRange
    read_from: datetime
    chunks: tuple[PlannedChunk, ...]

    @property
    def missing(self) -> tuple[PlannedChunk, ...]:
        """Chunks that must be read."""
        return tuple(chunk for chunk in self.chunks if chunk.extent is None)


def plan_query(
    wanted: TimeRange, parts: Sequence[PartShape], extents: Iterable[Extent], rule: CutRule, now: datetime
) -> Plan:
    """Return the plan that reads least.

    A part that depends on the start only can stand at any earlier start, provided the parts that are cut by time reach
    back to it. Of the starts where it is there, the one is taken up to which the fewest rows are missing, the latest
    of equals, unless reading the part anew takes fewer. It is then read at the earliest start to which chunks that are
    there reach back, so that later queries find it whichever of those starts they have.

    Args:
        wanted: the range of the query, plant-local.
        parts: in declaration order.
        extents: of this series, whatever their state; cut and stale ones are left out here.
        rule: when to cut.
        now: UTC, to tell fresh from stale.
    """
    by_part = _by_part(parts, usable(extents, now))
    read_from, anchors = _anchor(wanted, parts, by_part)
    whole = TimeRange(read_from, wanted.end)
    chunks: list[PlannedChunk] = []
    for part in parts:
        if part.cut == "start":
            chunks.append(_start_chunk(len(chunks), part.name, read_from, anchors.get(part.name)))
        else:
            chunks.extend(_time_chunks(len(chunks), part.name, cover(whole, by_part[part.name]), rule))
    return Plan(wanted, read_from, tuple(chunks))


def describe_plan(plan: Plan) -> str:
    """Return one sentence for people on what a run would find and read."""
    return outcome_sentence(len(plan.chunks), plan.missing, ())


def outcome_sentence(total_count: int, read: Sequence[PlannedChunk], failed: Sequence[PlannedChunk]) -> str:
    """Return one sentence for people, for example `12 of 13 chunks were there; 1 × 7 days read`."""
    there = total_count - len(read) - len(failed)
    parts = [f"{there} of {total_count} chunks were there"]
    parts.append(f"{_amounts(read)} read" if read else "nothing read")
    if failed:
        parts.append(f"{_amounts(failed)} failed")
    return "; ".join(parts)


def _amounts(chunks: Sequence[PlannedChunk]) -> str:
    words = Counter(_length_words(chunk) for chunk in chunks)
    return ", ".join(f"{count} × {word}" for word, count in words.items())


def _length_words(chunk: PlannedChunk) -> str:
    if chunk.end is None:
        return chunk.part
    return "1 day" if chunk.days == 1 else f"{chunk.days} days"


def _by_part(parts: Sequence[PartShape], extents: Sequence[Extent]) -> Mapping[str, list[Extent]]:
    return {part.name: [extent for extent in extents if extent.part == part.name] for part in parts}


def _anchor(
    wanted: TimeRange, parts: Sequence[PartShape], by_part: Mapping[str, list[Extent]]
) -> tuple[datetime, dict[str, Extent]]:
    """Return where the chunks start, and the extents that the start-only parts then have."""
    start_parts = [part.name for part in parts if part.cut == "start"]
    cut_parts = [part.name for part in parts if part.cut == "time"]
    starts = {extent.start for name in start_parts for extent in by_part[name] if extent.start <= wanted.start}
    anew = sum(_start_rows(by_part[name]) for name in start_parts)
    best: tuple[float, datetime, dict[str, Extent]] | None = None
    for start in sorted(starts, reverse=True):
        anchors = _anchors_at(start, start_parts, by_part)
        rows = _rows_between(start, wanted, cut_parts, by_part)
        # Strictly fewer, so that nothing is read in place of a part whose size nobody knows.
        if len(anchors) == len(start_parts) and (rows == 0 or rows < anew) and (best is None or rows < best[0]):
            best = rows, start, anchors
    if best is not None:
        return best[1], best[2]
    start = _reach(wanted, cut_parts, by_part) if start_parts else wanted.start
    return start, _anchors_at(start, start_parts, by_part)


def _start_rows(extents: Sequence[Extent]) -> int:
    """Return the rows that reading a start-only part anew would take, as far as earlier reads tell; else 0."""
    return max((extent.row_count for extent in extents), default=0)


def _rows_between(
    start: datetime, wanted: TimeRange, names: Sequence[str], by_part: Mapping[str, list[Extent]]
) -> float:
    """Return about how many rows are missing from `start` to the range.

    Infinity where nothing tells, and where it is further than the range is long: an answer would then be searched for
    in more than twice its rows.
    """
    if start == wanted.start:
        return 0.0
    rows = 0.0
    for name in names:
        gaps = cover(TimeRange(start, wanted.start), by_part[name]).gaps
        if not gaps:
            continue
        there = [extent for extent in by_part[name] if extent.row_count and extent.range]
        length = sum((extent.range.length for extent in there if extent.range), timedelta(0))
        if not length or wanted.start - start > wanted.length:
            return math.inf
        rows += sum(extent.row_count for extent in there) * (sum((gap.length for gap in gaps), timedelta(0)) / length)
    return rows


def _reach(wanted: TimeRange, names: Sequence[str], by_part: Mapping[str, list[Extent]]) -> datetime:
    """Return the earliest start from which live chunks lead up to the range without a gap.

    A start-only part read there takes about as many rows as one read at the range, and serves every start in between.
    It lies back by no more than the length of the range, for the reason that `_rows_between` gives.
    """
    furthest = wanted.start - min(wanted.length, wanted.start - datetime.min)
    if furthest == wanted.start:
        return wanted.start
    gaps = [gap.end for name in names for gap in cover(TimeRange(furthest, wanted.start), by_part[name]).gaps]
    return max(gaps, default=furthest)


def _anchors_at(start: datetime, names: Sequence[str], by_part: Mapping[str, list[Extent]]) -> dict[str, Extent]:
    found = {}
    for name in names:
        there = [extent for extent in by_part[name] if extent.start == start]
        if there:
            found[name] = max(there, key=lambda extent: extent.read_time.timestamp() if extent.read_time else 0.0)
    return found


def _start_chunk(index: int, part: str, start: datetime, extent: Extent | None) -> PlannedChunk:
    reason = "depends on the start only, so it is one chunk" if extent is None else "was read before"
    return PlannedChunk(index, part, start, None, extent, reason)


def _time_chunks(first_index: int, part: str, coverage: Coverage, rule: CutRule) -> list[PlannedChunk]:
    found: list[tuple[TimeRange, Extent | None, str]] = [
        (piece.range, piece.extent, "was read before") for piece in coverage.slices
    ]
    for gap in coverage.gaps:
        if gap.length <= rule.direct_max_days * _DAY:
            found.append((gap, None, f"up to {rule.direct_max_days} days are read by one statement"))
            continue
        reason = f"a gap above {rule.direct_max_days} days is cut every {rule.grain_days} days"
        found.extend((piece, None, reason) for piece in cut_range(gap, rule.grain_days * _DAY))
    ordered = sorted(found, key=lambda item: item[0])
    return [
        PlannedChunk(first_index + position, part, piece.start, piece.end, extent, reason)
        for position, (piece, extent, reason) in enumerate(ordered)
    ]
