"""Lists of ancestors that are put together from one another: each node's from those of its parent or its sources.

A list stands in one array with all others; behind it stands its own node, so that the list of a child begins with a
plain copy. Only where lots were combined can a node come twice: those lists are put in order and freed of repetitions,
in rows of like length, since short rows sort in a tenth of the time that one long array takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from sluice_lineage.graph import Ints, Nodes, Pairs
from sluice_lineage.upward import MOST_SPLITS, Upward

_SPLIT_BITS: Final = MOST_SPLITS.bit_length()


@dataclass(frozen=True)
class Lists:
    """Lists of nodes in one array; parts of it may belong to none, or to several."""

    nodes: Nodes
    starts: Ints
    """Where each list begins."""
    counts: Ints
    """How many nodes it has."""

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, position: int) -> Nodes:
        start = self.starts[position]
        return self.nodes[start : start + self.counts[position]]

    def pairs(self) -> Pairs:
        """Return positions of lists and their nodes, by list."""
        return Pairs(np.repeat(np.arange(len(self)), self.counts), self.nodes.take(_ranges(self.starts, self.counts)))

    @staticmethod
    def of(pairs: Pairs, list_count: int) -> Lists:
        """Return the lists of pairs that are in the order of their owners."""
        counts = np.bincount(pairs.owners, minlength=list_count)
        return Lists(pairs.nodes, np.cumsum(counts) - counts, counts)


def shared_lists(upward: Upward, seeds: Nodes) -> Lists:
    """Return all ancestors of each seed, none twice, in no meaningful order.

    Args:
        upward: the ways up.
        seeds: where walks begin; none may lead into a cycle.
    """
    nodes, at = _met(upward, seeds)
    made = _Made(upward, nodes, at)
    for start, end in _turns(upward, nodes):
        made.add(start, end)
    wanted = at.take(seeds)
    return Lists(made.nodes, made.starts.take(wanted), made.counts.take(wanted) - 1)


def _met(upward: Upward, seeds: Nodes) -> tuple[Nodes, Nodes]:
    """All nodes on the ways up, seeds included, so that each stands behind its parent and sources; and where it does.

    Nodes below fewer combined lots come first, then those of fewer splits.
    """
    parents, combined, sources = upward.parents, upward.combined, upward.sources
    at = np.empty(len(parents), np.int32)
    met = np.zeros(len(parents), np.bool_)
    met[-1] = True
    layer, layers = seeds, [np.empty(0, np.int32)]
    while len(layer):
        # Of a node that comes more than once the last one stays.
        places = np.arange(len(layer), dtype=np.int32)
        at[layer] = places
        layer = layer.compress(at.take(layer) == places)
        met[layer] = True
        layers.append(layer)
        lots = layer.compress(combined.take(layer))
        starts = sources.offsets.take(lots)
        merged = sources.heads.take(_ranges(starts, sources.offsets.take(lots + 1) - starts))
        above = np.concatenate([parents.take(layer, mode="wrap"), merged])
        layer = above.compress(~met.take(above, mode="wrap"))
    nodes = np.concatenate(layers)
    nodes = nodes.take(np.argsort(_turn(upward, nodes), kind="stable"))
    at[nodes] = np.arange(len(nodes), dtype=np.int32)
    return nodes, at


def _turn(upward: Upward, nodes: Nodes) -> Any:
    # Numbers of sixteen bits are sorted by counting them.
    return ((upward.turns.take(nodes) << _SPLIT_BITS) | upward.splits.take(nodes)).astype(np.uint16)


def _turns(upward: Upward, nodes: Nodes) -> Iterator[tuple[int, int]]:
    """Ranges of nodes whose lists do not need one another."""
    turn = _turn(upward, nodes)
    bounds = [0, *(np.flatnonzero(turn[1:] != turn[:-1]) + 1).tolist(), len(turn)]
    return pairwise(bounds)


class _Made:
    """Lists made so far, each with its own node behind it."""

    def __init__(self, upward: Upward, members: Nodes, at: Nodes) -> None:
        self._upward = upward
        self._members = members
        self._at = at
        self._buffer = np.empty(1 << 16, np.int32)
        self._used = 0
        self.starts = np.zeros(len(members), np.int64)
        self.counts = np.zeros(len(members), np.int64)

    @property
    def nodes(self) -> Nodes:
        """All lists."""
        return self._buffer[: self._used]

    def add(self, start: int, end: int) -> None:
        """Make the lists of a range of members; those above them are there."""
        members = self._members[start:end]
        combined = self._upward.combined.take(members)
        if combined.any():
            self._combine(start + np.flatnonzero(combined))
        if not combined.all():
            self._follow(start + np.flatnonzero(~combined))

    def _follow(self, places: Ints) -> None:
        """Make the lists of members that have a parent or nothing."""
        members = self._members.take(places)
        parents = self._upward.parents.take(members)
        above = np.where(parents >= 0, self._at.take(parents, mode="wrap"), 0)
        counts = np.where(parents >= 0, self.counts.take(above), 0)
        starts = self.starts.take(above)
        ends = self._room(places, counts + 1)
        here = self._buffer[self._used : int(ends[-1])]
        if _alike(starts, counts):
            # Lists of one length stand like rows of a table, and rows are copied whole.
            rows = here.reshape(len(members), -1)
            rows[:, :-1] = _rows_at(self._buffer, starts, rows.shape[1] - 1)
            rows[:, -1] = members
        else:
            here[:] = self._buffer.take(_ranges(starts, counts + 1), mode="wrap")
            self._buffer[ends - 1] = members
        self._used += len(here)

    def _combine(self, places: Ints) -> None:
        """Make the lists of combined lots."""
        members = self._members.take(places)
        lots, rows = _arranged(*self._raw(members))
        # Nodes are at least 0, so what fills rows up comes first, and once.
        kept = np.empty(len(rows), np.bool_)
        kept[0] = True
        np.not_equal(rows[1:], rows[:-1], out=kept[1:])
        kept[lots.starts] = True
        kept &= rows >= 0
        counts = np.add.reduceat(kept, lots.starts, dtype=np.int64)
        places, members = places.take(lots.order), members.take(lots.order)
        ends = self._room(places, counts + 1)
        here = self._buffer[self._used : self._used + int(counts.sum()) + len(counts)]
        inner = np.ones(len(here), np.bool_)
        inner[ends - 1 - self._used] = False
        here[inner] = rows.compress(kept)
        here[~inner] = members
        self._used += len(here)

    def _raw(self, members: Nodes) -> tuple[Ints, Nodes]:
        """How many nodes the lists above each combined lot have, and these nodes, repetitions included."""
        sources, parents = self._upward.sources, self._upward.parents.take(members)
        starts = sources.offsets.take(members)
        arc_counts = sources.offsets.take(members + 1) - starts
        above = self._at.take(sources.heads.take(_ranges(starts, arc_counts)))
        owners = np.repeat(np.arange(len(members)), arc_counts)
        split = np.flatnonzero(parents >= 0)
        if len(split):
            above = np.concatenate([above, self._at.take(parents.take(split))])
            owners = np.concatenate([owners, split])
            order = np.argsort(owners, kind="stable")
            above, owners = above.take(order), owners.take(order)
        counts = self.counts.take(above)
        lots = np.bincount(owners, counts, len(members)).astype(np.int64)
        return lots, self._buffer.take(_ranges(self.starts.take(above), counts))

    def _room(self, places: Ints, counts: Ints) -> Ints:
        """Give these members room behind what is used, one after the other; return where each ends."""
        ends = self._used + np.cumsum(counts)
        self.counts[places] = counts
        self.starts[places] = ends - counts
        needed = int(ends[-1]) if len(ends) else self._used
        if needed > len(self._buffer):
            grown = np.empty(max(needed, 2 * len(self._buffer)), np.int32)
            grown[: self._used] = self._buffer[: self._used]
            self._buffer = grown
        return ends


@dataclass(frozen=True)
class _Rows:
    order: Ints
    """Which row belongs to whom."""
    starts: Ints
    """Where rows begin."""


def _arranged(counts: Ints, nodes: Nodes) -> tuple[_Rows, Nodes]:
    """Put each lot's nodes into a row that holds them, sorted, behind as many -1 as there is room."""
    widths = np.int64(1) << np.ceil(np.log2(np.maximum(counts, 8))).astype(np.int64)
    order = np.argsort(widths, kind="stable")
    ordered = widths.take(order)
    ends = np.cumsum(ordered)
    starts = np.empty(len(counts), np.int64)
    starts[order] = ends - ordered
    rows = np.full(int(ends[-1]), -1, np.int32)
    rows[_ranges(starts, counts)] = nodes
    bounds = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(ordered)]
    for first, last in pairwise(bounds):
        width = int(ordered[first])
        begin = int(ends[first]) - width
        rows[begin : int(ends[last - 1])].reshape(-1, width).sort(axis=1)
    return _Rows(order, ends - ordered), rows


def _alike(starts: Ints, counts: Ints) -> bool:
    """Whether lists have one length and stand a multiple of it apart."""
    count = int(counts[0])
    if count == 0 or int(counts.min()) != count or int(counts.max()) != count:
        return False
    return not ((starts - starts.min()) % count).any()


def _rows_at(buffer: Nodes, starts: Ints, count: int) -> Nodes:
    first = int(starts.min())
    rows = buffer[first : int(starts.max()) + count].reshape(-1, count)
    found: Nodes = rows.take((starts - first) // count, axis=0)
    return found


def _ranges(starts: Any, counts: Any) -> Ints:
    """The numbers of all ranges of so many from these starts, one after the other."""
    ends = np.cumsum(counts)
    ranges: Ints = np.repeat(starts - (ends - counts), counts)
    ranges += np.arange(len(ranges))
    return ranges
