"""Lists of everything that nodes came from, for walks that no limit cuts and no cycle leads back.

Above a node is the way up over parents to the first combined lot, and what is above that one. Ways up meet no node
twice, so all of them are walked at once. Only above a combined lot can a node come twice: its list is put in order and
freed of repetitions once, and copied to all who come from it. These lists stand in rows of like width, since rows are
sorted and copied in a tenth of the time that one long array takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from sluice_lineage.graph import NO_NODE, Ints, Nodes, Pairs, distinct
from sluice_lineage.upward import Upward

_WIDTH_STEP: Final = 16
"""Rows have a multiple of it for their width, so that few widths serve all; it is a multiple of eight."""


# Not frozen: one is made for each seed that is asked for alone, and freezing triples what that takes.
@dataclass(slots=True)
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
    step_counts = upward.steps.take(seeds)
    heirs = _heirs(upward, seeds, step_counts)
    last = np.flatnonzero(heirs < 0)
    starts, counts = np.empty(len(seeds), np.int64), np.empty(len(seeds), np.int64)
    nodes, starts[last], counts[last] = _written(upward, seeds.take(last), step_counts.take(last))
    _share(starts, counts, heirs, step_counts)
    return Lists(nodes, starts, counts)


def _written(upward: Upward, seeds: Nodes, step_counts: Nodes) -> tuple[Nodes, Ints, Ints]:
    """Lists that have nothing in common: their nodes, where each begins, and how many it has."""
    lots = _CombinedLots(upward, seeds)
    over = lots.over(seeds)
    widths, lot_counts = lots.widths.take(over), lots.counts.take(over)
    order = _by_kind(widths * (int(step_counts.max(initial=0)) + 1) + step_counts)
    strides = (widths + step_counts).take(order)
    ends = np.cumsum(strides)
    starts = np.empty(len(seeds), np.int64)
    starts[order] = ends - strides
    nodes = np.empty(int(ends[-1]) if len(ends) else 0, np.int32)
    for width, first, last in _runs(widths.take(order)):
        members = order[first:last]
        counts = step_counts.take(members)
        ways, _ = _ways(upward, seeds.take(members), counts)
        for count, begin, end in _runs(counts):
            # Those with as wide a row above them and as many steps to it stand like rows of a table.
            start = int(starts[members[begin]])
            table = nodes[start : start + (end - begin) * (width + count)].reshape(end - begin, -1)
            if width:
                table[:, :width] = lots.rows(over.take(members[begin:end]), width)
            table[:, width:] = ways[:count, begin:end][::-1].T
    return nodes, starts + widths - lot_counts, lot_counts + step_counts


def _heirs(upward: Upward, seeds: Nodes, step_counts: Nodes) -> Nodes:
    """Of each seed the position of one that was split from it, -1 for none: its list goes on from the seed's."""
    # Those with steps above them come from a node that is no combined lot or has the same lot above it.
    split = np.flatnonzero(step_counts)
    parents = upward.parents.take(seeds.take(split))
    heir = np.empty(len(upward.parents), np.int32)
    heir[seeds] = NO_NODE
    heir[parents] = split
    return heir.take(seeds)


def _share(starts: Ints, counts: Ints, heirs: Nodes, step_counts: Nodes) -> None:
    """Let the lists of those that have heirs be the beginnings of these' lists, all but the last node."""
    order = np.flatnonzero(heirs >= 0)
    order = order.take(_by_kind(step_counts.take(order)))
    heirs = heirs.take(order)
    for _, first, last in reversed(list(_runs(step_counts.take(order)))):
        here, there = order[first:last], heirs[first:last]
        starts[here] = starts.take(there)
        counts[here] = counts.take(there) - 1


class _CombinedLots:
    """What is above each combined lot: a row of nodes in order, behind as many -1 as there is room.

    Args:
        upward: the ways up.
        starts: all combined lots that lie above these, or are among them, are made.
    """

    def __init__(self, upward: Upward, starts: Nodes) -> None:
        self._upward = upward
        lots, owners, above = _met(upward, starts)
        # Nodes without a combined lot above them have the last position, whose row is empty.
        self._at = np.empty(len(upward.lots) + 1, np.int32)
        self._at[lots] = np.arange(len(lots), dtype=np.int32)
        self._at[-1] = len(lots)
        self.counts, self.widths, self._starts = (np.zeros(len(lots) + 1, np.int64) for _ in range(3))
        self._buffer = np.empty(len(lots) << 6, np.int32)
        self._used = 0
        turns = upward.turns.take(lots)
        bounds = [0, *(np.flatnonzero(turns[1:] != turns[:-1]) + 1).tolist(), len(lots)]
        for first, last in pairwise(bounds):
            begin, end = np.searchsorted(owners, (first, last))
            self._make(first, last, owners[begin:end] - first, above[begin:end])

    def over(self, nodes: Nodes) -> Nodes:
        """Return the position of the first combined lot on the way up from each node, itself included."""
        return self._at.take(self._upward.near.take(nodes), mode="wrap")

    def rows(self, positions: Nodes, width: int) -> Nodes:
        """Return the rows of lots that all have this width."""
        whole = len(self._buffer) // width * width
        rows: Nodes = self._buffer[:whole].reshape(-1, width).take(self._starts.take(positions) // width, axis=0)
        return rows

    def _make(self, first: int, last: int, owners: Ints, above: Nodes) -> None:
        """Make the rows of a range of lots from what is right above each; those that they need are there."""
        over, step_counts = self.over(above), self._upward.steps.take(above)
        lot_counts = self.counts.take(over)
        needed = 1 + step_counts + lot_counts
        sums = np.bincount(owners, needed, last - first).astype(np.int64)
        widths = -(-sums // _WIDTH_STEP) * _WIDTH_STEP
        tables = self._room(first, widths)
        self.widths[first:last] = widths
        before = np.cumsum(needed) - needed
        firsts = np.searchsorted(owners, np.arange(last - first))
        places = self._starts[first:last].take(owners) + before - before.take(firsts).take(owners)
        self._buffer[places] = above
        order = _by_kind(step_counts)
        heads = places.take(order)
        ways, without = _ways(self._upward, above.take(order), step_counts.take(order))
        for step, first_with in enumerate(without):
            self._buffer[heads[first_with:] + step + 1] = ways[step, first_with:]
        nested = np.flatnonzero(lot_counts)
        ends, lot_counts = (self._starts + self.widths).take(over.take(nested)), lot_counts.take(nested)
        found = self._buffer.take(_ranges(ends - lot_counts, lot_counts))
        self._buffer[_ranges((places + needed).take(nested) - lot_counts, lot_counts)] = found
        for rows, members in tables:
            self.counts[first + members] = _put_in_order(rows)

    def _room(self, first: int, widths: Ints) -> list[tuple[Nodes, Ints]]:
        """Give lots from `first` on rows of these widths; return the tables these make, and who is in them."""
        places = []
        order = _by_kind(widths)
        for width, begin, end in _runs(widths.take(order)):
            members = order[begin:end]
            # Rows begin at multiples of their width, so that any rows of a width are those of one table.
            start = -(-self._used // width) * width
            self._starts[first + members] = start + np.arange(len(members)) * width
            self._used = start + width * len(members)
            places.append((start, self._used, width, members))
        if self._used > len(self._buffer):
            self._buffer = np.concatenate([self._buffer, np.empty(2 * self._used - len(self._buffer), np.int32)])
        tables = []
        for start, end, width, members in places:
            table = self._buffer[start:end]
            table[:] = NO_NODE
            tables.append((table.reshape(-1, width), members))
        return tables


def _met(upward: Upward, starts: Nodes) -> tuple[Nodes, Ints, Nodes]:
    """All combined lots above the starts, and among them, each behind those above it; and as `_above` of these."""
    met = np.zeros(len(upward.lots) + 1, np.bool_)
    met[-1] = True
    layers, owned = [np.empty(0, np.int32)], [(np.empty(0, np.int64), np.empty(0, np.int32))]
    count = 0
    layer = upward.near.take(starts)
    while len(layer := distinct(layer.compress(~met.take(layer, mode="wrap")))):
        met[layer] = True
        layers.append(layer)
        owners, above = _above(upward, layer)
        owned.append((owners + count, above))
        count += len(layer)
        layer = upward.near.take(above)
    lots, owners, above = (np.concatenate(each) for each in (layers, *zip(*owned, strict=True)))
    order = _by_kind(upward.turns.take(lots))
    place = np.empty(len(lots), np.int64)
    place[order] = np.arange(len(lots))
    owners = place.take(owners)
    by_owner = _by_kind(owners)
    return lots.take(order), owners.take(by_owner), above.take(by_owner)


def _above(upward: Upward, lots: Nodes) -> tuple[Ints, Nodes]:
    """What was merged into combined lots, and what they were split from, owned by positions in `lots`, in order."""
    sources = upward.sources
    nodes = upward.lots.take(lots)
    starts = sources.offsets.take(nodes)
    counts = sources.offsets.take(nodes + 1) - starts
    owners, above = np.repeat(np.arange(len(lots)), counts), sources.heads.take(_ranges(starts, counts))
    parents = upward.parents.take(nodes)
    split = np.flatnonzero(parents >= 0)
    if not len(split):
        return owners, above
    owners, above = np.concatenate([owners, split]), np.concatenate([above, parents.take(split)])
    order = np.argsort(owners, kind="stable")
    return owners.take(order), above.take(order)


def _ways(upward: Upward, nodes: Nodes, step_counts: Nodes) -> tuple[Nodes, list[int]]:
    """What lies above nodes that are in the order of their steps: a row for each step, the nearest first.

    Beside it how many nodes have no such step: what stands under these in the row is nothing.
    """
    longest = int(step_counts[-1]) if len(step_counts) else 0
    without = np.searchsorted(step_counts, np.arange(1, longest + 1)).tolist()
    ways = np.empty((longest, len(nodes)), np.int32)
    below = nodes
    for step, gone in enumerate(without):
        here = ways[step, gone:]
        # Any mode but the default writes where it is told without a copy.
        upward.parents.take(below[gone:], out=here, mode="wrap")
        below = ways[step]
    return ways, without


def _put_in_order(rows: Nodes) -> Ints:
    """Sort each row and make -1 of what stands in it twice, so that it comes first; return how many nodes are left."""
    rows.sort(axis=1)
    flat, firsts = rows.reshape(-1), rows[:, 0].copy()
    flat[1:] |= -(flat[1:] == flat[:-1]).astype(np.int32)
    # The first of a row was compared with the last of another.
    rows[:, 0] = firsts
    rows.sort(axis=1)
    # A row is a multiple of eight wide, so that eight answers are one word.
    there = np.bitwise_count((rows >= 0).view(np.uint64))
    counts: Ints = there.sum(axis=1, dtype=np.int64)
    return counts


def _by_kind(kinds: Any) -> Ints:
    """The positions that put small numbers in order."""
    # Numbers of sixteen bits are sorted by counting them.
    small = int(kinds.max(initial=0)) < 1 << 16
    return np.argsort(kinds.astype(np.uint16) if small else kinds, kind="stable")


def _runs(ordered: Any) -> Iterator[tuple[int, int, int]]:
    """Each different value of ordered ones, where it begins and where it ends."""
    bounds = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(ordered)]
    for first, last in pairwise(bounds):
        if last > first:
            yield int(ordered[first]), first, last


def _ranges(starts: Any, counts: Any) -> Ints:
    """The numbers of all ranges of so many from these starts, one after the other."""
    ends = np.cumsum(counts)
    ranges: Ints = np.repeat(starts - (ends - counts), counts)
    ranges += np.arange(len(ranges))
    return ranges
