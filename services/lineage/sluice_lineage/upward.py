"""The ways up from each node over splits and merges, arranged once so that walks need not look where they end.

Of each node it is known how many splits and how many merges lie above it at most, cycles told from long ways. A walk
whose limits lie beyond that cannot be cut, and what it meets can be put together from what its neighbours meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from sluice_lineage.graph import NO_NODE, Arcs, Flags, Nodes

ENDLESS: Final = 1 << 20
"""Splits or merges above a node that is in a cycle or below one, or so many that they were not counted."""
MOST_SPLITS: Final = 1023
MOST_TURNS: Final = 48
"""More of them one upon the other are not told from endless; no request may follow more than twenty."""


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

    def unlimited(self, seeds: Nodes, step_count: int, hop_count: int) -> Flags:
        """Which walks no limit of so many splits in a row and so many merges can cut, and no cycle lead back."""
        splits = self.longest.take(seeds) <= min(step_count, MOST_SPLITS)
        enough: Flags = splits & (self.merges.take(seeds) <= hop_count)
        return enough


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
