"""What a plan is, and how it is said in a sentence; how it comes about is the planner's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa

from sluice_query_engine.planning.extents import Extent
from sluice_query_engine.planning.id_extents import IdExtent
from sluice_query_engine.planning.packed_ids import PackedIds
from sluice_query_engine.planning.time_range import TimeRange, bound_text

_DAY = timedelta(days=1)
NO_IDS: Final = PackedIds(pa.nulls(0, pa.string()))
"""Of what is not cut by ids."""


@dataclass(frozen=True)
class PlannedChunk:
    """One chunk of a query, in execution order: of a time range, of a start, or of a batch of ids.

    Args:
        index: position in the plan, from 0.
        part: the part it belongs to.
        start: first instant, plant-local; None for a batch of ids.
        end: first instant after it; None for a batch of ids and for a part that depends on the start only.
        extent: the chunk that answers it already, if any; only `[start, end)`, or the ids, of it are read.
        reason: why it is cut where it is, for people.
        ids: the batch; empty for all other chunks.
        cut: it is a piece of something longer that is missing.
        stage_id_count: of a table that lineage computes, of how many ids; which they are is not kept: a year's lots are
            170,000 for each such table.
        whole: of a batch of ids that is there, every id that it was read for is in `ids`.
    """

    index: int
    part: str
    start: datetime | None
    end: datetime | None
    extent: Extent | IdExtent | None
    reason: str
    ids: PackedIds = NO_IDS
    cut: bool = False
    stage_id_count: int = 0
    whole: bool = True

    @property
    def id_count(self) -> int:
        """Its ids; 0 for what is of a time range or of a start."""
        return len(self.ids) or self.stage_id_count

    @property
    def days(self) -> int:
        """Its length in days, rounded up; 0 for batches of ids and for a part that depends on the start only."""
        return 0 if self.end is None or self.start is None else -((self.start - self.end) // _DAY)

    @property
    def start_text(self) -> str:
        """Its start as it travels; empty for a batch of ids."""
        return bound_text(self.start)

    @property
    def end_text(self) -> str:
        """Its end as it travels; empty where it has none."""
        return bound_text(self.end)


@dataclass(frozen=True)
class Plan:
    """The chunks of a query; those that are missing are to be read.

    Args:
        range: what was asked for; None for a dataset without a range.
        read_from: start of the chunks; earlier than the range where an older carry-in is used again.
        chunks: by part in declaration order, then in time order; batches of ids last.
        renewed: ids by position of a chunk that was read before: its rows of these ids may have changed since, so they
            are left out, and batches of the plan bring them as they are now.
    """

    range: TimeRange | None
    read_from: datetime | None
    chunks: tuple[PlannedChunk, ...]
    renewed: Mapping[int, frozenset[str]] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[PlannedChunk, ...]:
        """Chunks that must be read."""
        return tuple(chunk for chunk in self.chunks if chunk.extent is None)


def describe_plan(plan: Plan) -> str:
    """Return one sentence for people on what a run would find and read, and whether and why that is cut."""
    return outcome_sentence(len(plan.chunks), plan.missing, ())


def outcome_sentence(
    total_count: int,
    read: Sequence[PlannedChunk],
    failed: Sequence[PlannedChunk],
    waiting: Sequence[PlannedChunk] = (),
    *,
    unended: bool = False,
) -> str:
    """Return one sentence for people, for example `12 of 13 chunks were there; 1 × 7 days read`."""
    there = total_count - len(read) - len(failed) - len(waiting)
    parts = [f"{there} of {total_count} chunks were there"]
    parts.append(f"{_amounts(read)} read" if read else "nothing read")
    if failed:
        parts.append(f"{_amounts(failed)} failed")
    if waiting:
        parts.append(f"{_amounts(waiting)} still to come")
    elif unended:
        parts.append("more is still to come")
    parts += dict.fromkeys(chunk.reason for chunk in (*read, *failed) if chunk.cut)
    return "; ".join(parts)


def _amounts(chunks: Sequence[PlannedChunk]) -> str:
    words = Counter(_length_words(chunk) for chunk in chunks)
    return ", ".join(f"{count} × {word}" for word, count in words.items())


def _length_words(chunk: PlannedChunk) -> str:
    if chunk.id_count:
        return "1 id" if chunk.id_count == 1 else f"{chunk.id_count} ids"
    if chunk.end is None:
        return chunk.part
    return "1 day" if chunk.days == 1 else f"{chunk.days} days"
