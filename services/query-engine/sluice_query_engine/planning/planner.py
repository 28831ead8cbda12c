"""Turns a query into chunks: what is there already, what must be read, and why it is cut where it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from sluice_query_engine.planning.decompose import cut_range
from sluice_query_engine.planning.extents import Coverage, Extent, cover, usable
from sluice_query_engine.planning.id_extents import IdExtent, cover_ids
from sluice_query_engine.planning.plan import Plan, PlannedChunk
from sluice_query_engine.planning.time_range import TimeRange, instant_text

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class PartShape:
    """How a part may be cut.

    `time`: anywhere on its time column. `start`: not at all; it depends on the start only. `ids`: into any sets of ids.

    Args:
        name: of the part.
        cut: where.
        range: its own range, of a part cut by time that has another than the query; None where it has the query's.
    """

    name: str
    cut: Literal["time", "start", "ids"]
    range: TimeRange | None = None


@dataclass(frozen=True)
class CutRule:
    """When to cut, and how wide the pieces are.

    Cutting has a price: 15 days that took 25 s whole took 118 s in chunks on an earlier system. So a gap is cut only
    above `direct_max_days`, and a set of ids only above `direct_max_ids`. A shorter gap that reaches past
    `settled_until` is cut there in two, for else its settled days would be read again as often as its newest. Of a
    longer one, the newest piece is such a gap as soon as it is stale.

    Args:
        direct_max_days: a gap up to this long is read by one statement.
        grain_days: width of the pieces of a longer gap.
        direct_max_ids: up to so many missing ids are read by one statement.
        id_batch_size: ids of one statement where more are missing.
        settled_until: what ends by then, plant-local, is settled; None where settled rows are kept no longer.
    """

    direct_max_days: int
    grain_days: int
    direct_max_ids: int = 1000
    id_batch_size: int = 1000
    settled_until: datetime | None = None


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
        parts: in declaration order; those cut by ids are left to `with_ids`.
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
        elif part.cut == "time":
            coverage = cover(part.range or whole, by_part[part.name])
            chunks.extend(_time_chunks(len(chunks), part.name, coverage, rule))
    return Plan(wanted, read_from, tuple(chunks))


def to_renew(plan: Plan, now: datetime) -> list[PlannedChunk]:
    """Return the chunks that were read before and whose open rows were read too long ago to be taken as they are."""
    return [
        chunk
        for chunk in plan.chunks
        if isinstance(chunk.extent, Extent)
        and chunk.extent.open_until_time is not None
        and chunk.extent.open_until_time <= now
    ]


@dataclass(frozen=True)
class IdDemand:
    """The ids of one part that a query wants.

    Args:
        part: a part cut by ids.
        ids: none give no batch.
        extents: of the part's series, whatever their state.
    """

    part: str
    ids: Iterable[str]
    extents: Iterable[IdExtent]


def with_ids(plan: Plan, demand: IdDemand, rule: CutRule, now: datetime) -> Plan:
    """Return the plan with the batches of one part's ids: those that are there, then what is missing, packed densely.

    Missing ids are batched in their own order. Ids that a plant gives out one after the other then share a batch, so
    that what is settled is not read again for the sake of a few that are not.

    Args:
        plan: the plan so far.
        demand: which ids.
        rule: when to cut.
        now: UTC, to tell fresh from stale.
    """
    coverage = cover_ids(demand.ids, usable(demand.extents, now))
    first = len(plan.chunks)
    chunks = [
        PlannedChunk(
            first + position,
            demand.part,
            None,
            None,
            _without_ids(piece.extent),
            "was read before",
            piece.ids,
            whole=len(piece.ids) == len(piece.extent.ids),
        )
        for position, piece in enumerate(coverage.slices)
    ]
    cut = len(coverage.missing) > rule.direct_max_ids
    reason = f"up to {rule.direct_max_ids} ids are read by one statement"
    if cut:
        reason = f"more than {rule.direct_max_ids} ids are read {rule.id_batch_size} at a time"
    size = rule.id_batch_size if cut else rule.direct_max_ids
    chunks += [
        PlannedChunk(first + position, demand.part, None, None, None, reason, batch, cut)
        for position, batch in enumerate(coverage.missing.batches(size), len(chunks))
    ]
    return replace(plan, chunks=(*plan.chunks, *chunks))


def _without_ids(extent: IdExtent) -> IdExtent:
    """Return an extent as a plan holds it: those of a year are texts of every id; one that is read is found by them."""
    return replace(extent, ids=frozenset()) if extent.frame_id else extent


def _by_part(parts: Sequence[PartShape], extents: Sequence[Extent]) -> Mapping[str, list[Extent]]:
    return {part.name: [extent for extent in extents if extent.part == part.name] for part in parts}


def _anchor(
    wanted: TimeRange, parts: Sequence[PartShape], by_part: Mapping[str, list[Extent]]
) -> tuple[datetime, dict[str, Extent]]:
    """Return where the chunks start, and the extents that the start-only parts then have."""
    start_parts = [part.name for part in parts if part.cut == "start"]
    # A part with a range of its own is not clipped to the query's, so no start-only part reaches into it.
    cut_parts = [part.name for part in parts if part.cut == "time" and part.range is None]
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
    found: list[tuple[TimeRange, Extent | None, str, bool]] = [
        (piece.range, piece.extent, "was read before", False) for piece in coverage.slices
    ]
    for gap in coverage.gaps:
        if gap.length <= rule.direct_max_days * _DAY:
            reason = f"up to {rule.direct_max_days} days are read by one statement"
            found.extend((half, None, why or reason, bool(why)) for half, why in _settled_apart(gap, rule))
            continue
        reason = f"a gap above {rule.direct_max_days} days is cut every {rule.grain_days} days"
        found.extend((piece, None, reason, True) for piece in cut_range(gap, rule.grain_days * _DAY))
    ordered = sorted(found, key=lambda item: item[0])
    return [
        PlannedChunk(first_index + position, part, piece.start, piece.end, extent, reason, cut=cut)
        for position, (piece, extent, reason, cut) in enumerate(ordered)
    ]


def _settled_apart(gap: TimeRange, rule: CutRule) -> Iterator[tuple[TimeRange, str]]:
    """Yield a gap, in two where that spares reading; the reason is given for what is read apart.

    It is cut between two days, so that all queries of a day cut alike. Less than half of it is not worth a statement
    of its own: as it is, no more than twice of what may change is ever read again for that.
    """
    settled_days = 0 if rule.settled_until is None else (rule.settled_until - gap.start) // _DAY
    edge = gap.start + max(settled_days, 0) * _DAY
    if edge >= gap.end or edge - gap.start < gap.end - edge:
        yield gap, ""
        return
    yield TimeRange(gap.start, edge), ""
    yield TimeRange(edge, gap.end), f"from {instant_text(edge)} on rows may change, so they are read apart"
