"""The ways up from each node over splits and merges, arranged once so that walks need not look where they end.

Of each node it is known how many splits and how many merges lie above it at most, cycles told from long ways. A walk
whose limits lie beyond that cannot be cut, and what it meets can be put together from what its neighbours meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from sluice_lineage.graph import NO_NODE, Arcs, Flags, Ints, Nodes, arcs_of, ranges

ENDLESS: Final = 1 << 20
"""Splits or merges above a node that is in a cycle or below one, or so many that they were not counted."""
MOST_SPLITS: Final = 1023
MOST_TURNS: Final = 48
"""More of them one upon the other are not told from endless; no request may follow more than twenty."""
STRETCH: Final = 8
"""Nodes of a stretch: thirty-two bytes are the most that numpy copies as if they were one number."""


@dataclass(frozen=True)
class Upward:
    """Parents and sources of nodes. Arrays have one entry more than there are nodes: -1 leads to it, and it to -1."""

    parents: Nodes
    """The split parent of each node, -1 for none; a node is not its own."""
    sources: Arcs
    """What was merged into each node."""
    combined: Flags
    """Which nodes have sources."""
    lots: Nodes
    """The nodes that have sources: the combined lots."""
    near: Nodes
    """The first combined lot on each node's way up over splits alone, itself included, as its position in `lots`; -1
    for none."""
    steps: Nodes
    """Splits on that way up to it, or to where the way ends."""
    longest: Nodes
    """Most splits in a row on any way up from each node."""
    merges: Nodes
    """Most merges on any way up from each node."""
    turns: Nodes
    """Most combined lots one above another on any way up from each combined lot, itself included, by `lots`."""

    @property
    def node_count(self) -> int:
        """How many nodes there are."""
        return len(self.parents) - 1

    @staticmethod
    def of(parents: Nodes, sources: Arcs) -> Upward:
        """Arrange these.

        Args:
            parents: the split parent of each node, -1 for none; a node may be its own.
            sources: what was merged into each node.
        """
        own = np.where(parents == np.arange(len(parents)), NO_NODE, parents).astype(np.int32)
        parents = np.append(own, np.int32(NO_NODE))
        combined = np.append(np.diff(sources.offsets) > 0, False)
        splits = _splits_above(parents)
        near = _nearest_combined(parents, combined, splits)
        steps = np.where(near >= 0, splits - splits.take(near), splits)
        merges, longest, turns = _merges_above(parents, sources, near, splits)
        lots = np.flatnonzero(combined).astype(np.int32)
        place = np.full(len(parents), NO_NODE, np.int32)
        place[lots] = np.arange(len(lots), dtype=np.int32)
        return Upward(parents, sources, combined, lots, place.take(near), steps, longest, merges, turns.take(lots))

    @cached_property
    def plain(self) -> tuple[Any, ...]:
        """Parents, combined, offsets and heads of sources, longest and merges as views that give plain numbers."""
        arrays = (self.parents, self.combined, self.sources.offsets, self.sources.heads, self.longest, self.merges)
        return tuple(array.data for array in arrays)

    @cached_property
    def stretches(self) -> Stretches:
        """The ways up in pieces of several nodes, for walks from many seeds."""
        return Stretches.of(self)

    def unlimited(self, seeds: Nodes, step_count: int, hop_count: int) -> Flags:
        """Which walks no limit of so many splits in a row and so many merges can cut, and no cycle lead back."""
        splits = self.longest.take(seeds) <= min(step_count, MOST_SPLITS)
        enough: Flags = splits & (self.merges.take(seeds) <= hop_count)
        return enough


@dataclass(frozen=True)
class Stretches:
    """The ways up over splits in stretches of `STRETCH` nodes, each up to the first combined lot, this included.

    Every node has a stretch, which has its number and begins with it; behind the end of the way there are -1.
    """

    rows: Nodes
    """The stretches, one in each row; the last is empty."""
    onward: Nodes
    """Where the way goes on behind each stretch; -1 for nowhere."""
    above: Arcs
    """From each combined lot, by its position, to the stretches from what was merged into it and what it was split
    from. Lots in cycles and below them have none."""
    over: Arcs
    """From each combined lot to those at the ends of these stretches, by their positions."""

    @staticmethod
    def of(upward: Upward) -> Stretches:
        """Lay out these ways."""
        next_ = np.where(upward.combined, NO_NODE, upward.parents).astype(np.int32)
        rows = np.empty((len(next_), STRETCH), np.int32)
        rows[:, 0] = np.arange(len(next_))
        rows[-1] = NO_NODE
        for step in range(1, STRETCH):
            rows[:, step] = next_.take(rows[:, step - 1], mode="wrap")
        onward = next_.take(rows[:, -1], mode="wrap")
        owners, nodes = _right_above(upward)
        counts = upward.steps.take(nodes) // STRETCH + 1
        numbers, firsts = stretches_of_ways(onward, nodes, counts)
        offsets = np.zeros(len(upward.lots) + 1, np.int64)
        np.cumsum(np.bincount(owners, counts, len(upward.lots)), out=offsets[1:])
        heads = numbers.take(ranges(firsts, counts)).astype(np.int32)
        over = arcs_of(owners.astype(np.int32), upward.near.take(nodes), len(upward.lots))
        return Stretches(rows, onward, Arcs(offsets, heads), over)


def stretches_of_ways(onward: Nodes, heads: Nodes | Ints, counts: Nodes) -> tuple[Ints, Ints]:
    """Return the stretches of ways, those of one way behind each other, and at which of them each way begins.

    Args:
        onward: where stretches go on.
        heads: where the ways begin.
        counts: how many stretches each has.
    """
    numbers = np.empty(int(counts.sum()), np.int64)
    firsts = np.zeros(len(heads), np.int64)
    end = 0
    for count in range(1, int(counts.max(initial=0)) + 1):
        # Ways with as many stretches stand like rows of a table.
        members = np.flatnonzero(counts == count)
        if not len(members):
            continue
        begin, end = end, end + count * len(members)
        firsts[members] = np.arange(begin, end, count)
        table = numbers[begin:end].reshape(-1, count)
        here = table[:, 0] = heads.take(members)
        for position in range(1, count):
            here = table[:, position] = onward.take(here)
    return numbers, firsts


def _right_above(upward: Upward) -> tuple[Ints, Nodes]:
    """What was merged into combined lots, and what they were split from, in the order of the lots' positions.

    Nothing stands above lots whose ways do not end.
    """
    lots, sources = upward.lots, upward.sources
    ends = (upward.merges.take(lots) < ENDLESS) & (upward.longest.take(lots) <= MOST_SPLITS)
    kept = np.flatnonzero(ends)
    starts = sources.offsets.take(lots.take(kept))
    counts = sources.offsets.take(lots.take(kept) + 1) - starts
    parents = upward.parents.take(lots.take(kept))
    split = np.flatnonzero(parents >= 0)
    owners = np.concatenate([np.repeat(kept, counts), kept.take(split)])
    above = np.concatenate([sources.heads.take(ranges(starts, counts)), parents.take(split)])
    order = np.argsort(owners, kind="stable")
    return owners.take(order), above.take(order)


def _splits_above(parents: Nodes) -> Nodes:
    """The length of each node's way up over parents; `ENDLESS` where it comes to a cycle."""
    steps = (parents >= 0).astype(np.int32)
    jumps = parents.copy()
    # Each round doubles how far a jump leads: one that still leads on after all of them goes round in a cycle.
    for _ in range(len(parents).bit_length() + 1):
        alive = np.flatnonzero(jumps >= 0)
        if not len(alive):
            return steps
        over = jumps.take(alive)
        further, longer = jumps.take(over), steps.take(alive) + steps.take(over)
        jumps[alive], steps[alive] = further, np.minimum(longer, ENDLESS)
    steps[jumps >= 0] = ENDLESS
    return steps


def _merges_above(parents: Nodes, sources: Arcs, near: Nodes, splits: Nodes) -> tuple[Nodes, Nodes, Nodes]:
    """Of each node most merges on its ways up, most splits in a row on them, and most combined lots one above another.

    The last grows with each round in a cycle and below it, which tells those from ways that end.
    """
    lots = np.flatnonzero(np.diff(sources.offsets) > 0)
    turns, merges, longest = np.zeros(len(parents), np.int32), np.zeros(len(parents), np.int32), splits.copy()
    if not len(lots):
        return merges, longest, turns
    above, over = near.take(parents.take(lots)), near.take(sources.heads)
    splits_over, splits_here = splits.take(sources.heads), splits.take(lots)
    first = sources.offsets.take(lots)
    for _ in range(MOST_TURNS):
        later = 1 + np.maximum(np.maximum.reduceat(turns.take(over), first), turns.take(above))
        more = np.maximum(1 + np.maximum.reduceat(merges.take(over), first), merges.take(above))
        further = np.maximum.reduceat(np.maximum(longest.take(over), splits_over), first)
        longest[lots] = np.maximum(np.maximum(further, splits_here), longest.take(above))
        merges[lots] = more
        if np.array_equal(later, turns.take(lots)):
            break
        turns[lots] = later
    merges[turns >= MOST_TURNS] = ENDLESS
    return merges.take(near), np.maximum(splits, longest.take(near)), turns.take(near)


def _nearest_combined(parents: Nodes, combined: Flags, splits: Nodes) -> Nodes:
    """The first node with sources on each node's way up over parents, itself included; -1 for none."""
    near = np.where(combined, np.arange(len(parents)), NO_NODE).astype(np.int32)
    jumps = parents.copy()
    while True:
        alive = np.flatnonzero((near < 0) & (jumps >= 0) & (splits < ENDLESS))
        if not len(alive):
            return near
        over = jumps.take(alive)
        near[alive] = near.take(over)
        jumps[alive] = jumps.take(over)
