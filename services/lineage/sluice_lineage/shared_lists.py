"""Lists of everything that nodes came from, for walks that no limit cuts and no cycle leads back.

Above a node is the way up over parents to the first combined lot, and what is above that one. Ways up meet no node
twice, so they are copied as they are, and a way that is the end of another is that end. Only above a combined lot can a
node come twice: its list is put in order and freed of repetitions once, and copied to all who come from it. All is
copied in stretches of several nodes: what is above a lot fills its last ones to the end and a way fills its first ones
from the beginning, so that the two meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from sluice_lineage.graph import Arcs, Ints, Nodes, Pairs, ranges
from sluice_lineage.upward import STRETCH, Upward, stretches_of_ways

_STRETCHES_PER_SEED: Final = 4
"""A sheet has room for so many at first; what is not written takes no memory."""


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
        return Pairs(np.repeat(np.arange(len(self)), self.counts), self.nodes.take(ranges(self.starts, self.counts)))

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
    places = seeds.astype(np.int64)
    heads, step_counts, near = (each.take(places) for each in (upward.parents, upward.steps, upward.near))
    starts, counts = np.zeros(len(seeds), np.int64), step_counts.astype(np.int64)
    sheet = _Sheet(upward, _STRETCHES_PER_SEED * len(seeds))
    lone = np.flatnonzero((near < 0) & (step_counts > 0))
    starts[lone] = _lone(sheet, heads.take(lone).astype(np.int64))
    led = np.flatnonzero(near >= 0)
    lots = _CombinedLots(sheet, near.take(led))
    over = lots.at.take(near.take(led))
    starts[led] = lots.starts.take(over)
    counts[led] += lots.counts.take(over)
    below = np.flatnonzero(step_counts.take(led))
    split = led.take(below)
    starts[split] = _led(sheet, lots, over.take(below), heads.take(split).astype(np.int64))
    return Lists(sheet.nodes, starts, counts)


def _lone(sheet: _Sheet, heads: Ints) -> Ints:
    """Write the ways up from these nodes to their ends; return where each one's begins."""
    parents = sheet.upward.parents
    last = np.empty(len(parents), np.bool_)
    last[heads] = True
    last[parents.take(heads).astype(np.int64)] = False
    # What stands on the way of another begins there.
    firsts = heads.compress(last.take(heads))
    begins, _ = sheet.ways(firsts.take(_first_of_each(sheet, firsts)))
    first = int(begins.min(initial=len(sheet)))
    written = sheet.rows[first : len(sheet)].reshape(-1)
    sheet.at[written.astype(np.int64)] = np.arange(first * STRETCH, len(sheet) * STRETCH)
    return sheet.at.take(heads)


def _led(sheet: _Sheet, lots: _CombinedLots, over: Ints, heads: Ints) -> Ints:
    """Write what is above these lots, and the ways up to them from these nodes; return where each one's begins."""
    once = _first_of_each(sheet, heads)
    own, over = heads.take(once), over.take(once)
    begins, widths = sheet.ways(own)
    counts = lots.counts.take(over)
    lot_widths = _widths(counts)
    starts = np.stack([lots.ends.take(over) - lot_widths, begins], 1).reshape(-1)
    both = np.stack([lot_widths, widths], 1).reshape(-1)
    first = sheet.copy(sheet.rows[: len(sheet)], ranges(starts, both))
    seams = np.cumsum(both)[::2] + first
    sheet.at[own] = seams * STRETCH - counts
    return sheet.at.take(heads)


def _first_of_each(sheet: _Sheet, nodes: Ints) -> Ints:
    """Positions at which each of these nodes comes once."""
    every = np.arange(len(nodes))
    sheet.at[nodes] = every
    return np.flatnonzero(sheet.at.take(nodes) == every)


class _Sheet:
    """Stretches one behind the other, in which all lists stand.

    Args:
        upward: the ways up.
        room: for how many there is room at first.
    """

    def __init__(self, upward: Upward, room: int) -> None:
        self.upward = upward
        self.rows: Nodes = np.empty((room, STRETCH), np.int32)
        self._count = 0
        self.at: Ints = np.empty(len(upward.parents), np.int64)
        """Of a node what was last written; of others nothing that means anything."""

    def __len__(self) -> int:
        return self._count

    @property
    def nodes(self) -> Nodes:
        """All nodes that stand here."""
        return self.rows[: self._count].reshape(-1)

    def room(self, count: int) -> int:
        """Make room for so many stretches; return where it begins."""
        first, self._count = self._count, self._count + count
        if self._count > len(self.rows):
            self.rows = np.concatenate([self.rows[:first], np.empty((2 * self._count - first, STRETCH), np.int32)])
        return first

    def copy(self, rows: Nodes, numbers: Nodes | Ints) -> int:
        """Add those of these stretches; return where they begin."""
        first = self.room(len(numbers))
        # Any mode but the default writes where it is told without a copy.
        rows.take(numbers, axis=0, out=self.rows[first : self._count], mode="wrap")
        return first

    def ways(self, heads: Ints) -> tuple[Ints, Nodes]:
        """Add the ways up from these nodes, themselves included; return where each begins and how many it has."""
        stretches = self.upward.stretches
        widths = self.upward.steps.take(heads) // STRETCH + 1
        numbers, firsts = stretches_of_ways(stretches.onward, heads, widths)
        return firsts + self.copy(stretches.rows, numbers), widths


class _CombinedLots:
    """What is above each combined lot, in stretches: its nodes in order, before them as many -1 as there is room.

    Args:
        sheet: where it is written.
        positions: of lots; these and all that lie above them are made.
    """

    def __init__(self, sheet: _Sheet, positions: Nodes) -> None:
        self._sheet = sheet
        upward = sheet.upward
        self._above, self._over = upward.stretches.above, upward.stretches.over
        lots = _met(upward, positions)
        self.at = np.empty(len(upward.lots), np.int64)
        """Where each lot stands in what follows."""
        self.at[lots] = np.arange(len(lots))
        self.counts, self.ends = (np.empty(len(lots), np.int64) for _ in range(2))
        """How many nodes are above each, and behind which stretch they end."""
        for _, first, last in _runs(upward.turns.take(lots)):
            self._make(lots[first:last])

    @property
    def starts(self) -> Ints:
        """At which node of the sheet the list of each begins."""
        return self.ends * STRETCH - self.counts

    def _make(self, lots: Ints) -> None:
        """Write what is above these lots; what is above those that are above them is there."""
        # Those as wide as each other stand like rows of a table.
        widths = _spans(self._above, lots)[1] + self._nested(lots)[0]
        order = _by_kind(widths)
        lots, widths = lots.take(order), widths.take(order)
        ends = np.cumsum(widths)
        begin = self._fill(lots, ends)
        rows = self._sheet.rows[begin : len(self._sheet)]
        tables = [
            rows[ends[first] - width : ends[last - 1]].reshape(-1, width * STRETCH)
            for width, first, last in _runs(widths)
        ]
        at = self.at.take(lots)
        self.counts[at], self.ends[at] = _put_in_order(rows, ends - widths, tables), begin + ends

    def _fill(self, lots: Ints, ends: Ints) -> int:
        """Copy the stretches of these lots, those of each behind each other; return where the first begins."""
        sheet, every = self._sheet, self._sheet.upward.stretches.rows
        starts, own = _spans(self._above, lots)
        numbers = self._above.heads.take(ranges(starts, own))
        sums, nested, widths = self._nested(lots)
        if not len(nested):
            return sheet.copy(every, numbers)
        begin = sheet.room(int(ends[-1]))
        rows = sheet.rows[begin:]
        rows[ranges(ends - sums - own, own)] = every.take(numbers, axis=0)
        rows[ranges(ends - sums, sums)] = sheet.rows.take(ranges(nested - widths, widths), axis=0)
        return begin

    def _nested(self, lots: Ints) -> tuple[Ints, Ints, Ints]:
        """How many stretches of others these lots need, and of each of those the end and how many it has."""
        starts, counts = _spans(self._over, lots)
        over = self.at.take(self._over.heads.take(ranges(starts, counts)))
        widths = _widths(self.counts.take(over))
        sums = np.bincount(np.repeat(np.arange(len(lots)), counts), widths, len(lots)).astype(np.int64)
        return sums, self.ends.take(over), widths


def _met(upward: Upward, positions: Nodes) -> Ints:
    """These combined lots and all that lie above them, each behind those above it."""
    over = upward.stretches.over
    met = np.zeros(len(upward.lots), np.bool_)
    met[positions] = True
    layer = np.flatnonzero(met)
    while len(layer := layer.compress(upward.turns.take(layer) > 1)):
        fresh = np.zeros(len(met), np.bool_)
        fresh[over.heads.take(ranges(*_spans(over, layer)))] = True
        layer = np.flatnonzero(fresh & ~met)
        met[layer] = True
    lots = np.flatnonzero(met)
    return lots.take(_by_kind(upward.turns.take(lots)))


def _put_in_order(rows: Nodes, firsts: Ints, tables: list[Nodes]) -> Ints:
    """Sort what stands in rows of tables and make -1 of what stands there twice, so that it comes first.

    Args:
        rows: the stretches of all tables.
        firsts: the first stretch of each row of a table.
        tables: the same as tables.

    Returns:
        How many nodes are left in each row.
    """
    for table in tables:
        table.sort(axis=1)
    flat, begins = rows.reshape(-1), firsts * STRETCH
    heads = flat.take(begins)
    flat[1:] |= -(flat[1:] == flat[:-1]).view(np.int8)
    # The first of a row was compared with the last of another.
    flat[begins] = heads
    for table in tables:
        table.sort(axis=1)
    # Eight answers, those of a stretch, are one word.
    there = np.bitwise_count((flat >= 0).view(np.uint64))
    counts: Ints = np.add.reduceat(there, firsts, dtype=np.int64)
    return counts


def _widths(counts: Any) -> Any:
    """How many stretches so many nodes need."""
    return (counts + (STRETCH - 1)) // STRETCH


def _spans(arcs: Arcs, nodes: Ints) -> tuple[Ints, Ints]:
    """Where the arcs of each node begin, and how many they are."""
    starts = arcs.offsets.take(nodes)
    return starts, arcs.offsets.take(nodes + 1) - starts


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
