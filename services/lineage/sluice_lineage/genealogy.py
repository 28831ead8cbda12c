"""Where lots come from and where they went: which edges an answer needs, and what the answer is.

Edges are read by `edge_reader`, walked by `graph`. Nodes of an answer are positions in id order, so the same question
has the same answer whatever was read before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sluice_lineage import graph
from sluice_lineage.callers import Caller
from sluice_lineage.edge_reader import Cost, EdgeReader, Sources
from sluice_lineage.edges import EdgeStore, Relation
from sluice_lineage.families import Admission, Family
from sluice_lineage.graph import NO_NODE, Arcs, Flags, Nodes, Pairs


@dataclass(frozen=True)
class Wanted:
    """What is asked for."""

    container_ids: Sequence[str]
    """The seeds, trimmed, none twice."""
    max_depth: int
    """Most splits of a walk; of plain split walks most rows, which is one more than splits."""
    node_limit: int
    """Most containers, the seeds not counted against it."""
    hop_count: int = 1
    """Most merges on a way back."""


@dataclass(frozen=True)
class Found:
    """What every answer has."""

    family: Family
    """Its containers."""
    seeds: Nodes
    """Those asked for, in the order asked, as positions."""
    missing: Flags
    """Which seeds the warehouse does not know."""
    cost: Cost
    """What it took."""


@dataclass(frozen=True)
class SplitAncestors(Found):
    """Split ancestry."""

    parents: Nodes
    """Of each container whose row was read the one it was split from, -1 for none."""
    read: Flags
    """Of which containers the row was read."""
    cut: Nodes
    """Where the depth limit ended a walk that would go on."""


@dataclass(frozen=True)
class SplitDescendants(Found):
    """Split families."""

    children: Arcs
    """What was split from each container."""
    cut: Nodes
    """Where a limit ended a walk."""


@dataclass(frozen=True)
class Neighbours(Found):
    """One relation of each seed."""

    pairs: Pairs
    """Positions in the seeds, and containers or serial numbers, in text order, each once."""


class Genealogy:
    """Resolves genealogy for one request after the other.

    Args:
        sources: where edges come from.
        max_node_count: most containers in one answer, besides those asked for.
    """

    def __init__(self, sources: Sources, *, max_node_count: int) -> None:
        self._sources = sources
        self._max_node_count = max_node_count

    def node_limit(self, asked: int) -> int:
        """Return how many containers an answer may have where a caller asks for this limit; 0 asks for none."""
        return min(asked or self._max_node_count, self._max_node_count)

    def reader(self, caller: Caller) -> EdgeReader:
        """Return what reads edges for one request."""
        return EdgeReader(self._sources, caller)

    def split_ancestors(self, container_ids: Sequence[str], max_depth: int, caller: Caller) -> SplitAncestors:
        """Return the containers and all lots they were split from, at most `max_depth` rows up.

        Args:
            container_ids: wanted, trimmed, none twice; empty answers empty without a statement.
            max_depth: rows of a walk, the container itself included.
            caller: for whom.

        Raises:
            Everything that `SlowLane.read` and its readings raise.
        """
        reader = self.reader(caller)
        store = reader.store
        numbers = store.number(pa.array(container_ids, pa.string()))
        family = Family(store, reader.climb(numbers, max_depth, _everything))
        seeds = family.positions(numbers)
        parents = family.positions(store.parents(family.numbers))
        climbed, cut = graph.climb(parents, seeds, max_depth - 1)
        read = np.zeros(len(family), np.bool_)
        read[seeds] = True
        read[climbed.nodes] = True
        read &= store.exists(family.numbers)
        parents[~read | (parents == np.arange(len(family)))] = NO_NODE
        return SplitAncestors(family, seeds, ~store.exists(numbers), reader.cost, parents, read, cut)

    def split_descendants(self, wanted: Wanted, caller: Caller) -> SplitDescendants:
        """Return the containers and all lots split from them.

        Raises:
            Everything that `SlowLane.read` and its readings raise.
        """
        reader = self.reader(caller)
        numbers = reader.store.number(pa.array(wanted.container_ids, pa.string()))
        admission = Admission(reader.store, wanted.node_limit, numbers)
        met, last = reader.descend(numbers, wanted.max_depth, admission.admit)
        with reader.optional("containers", len(met)):
            reader.know(met)
        family = Family(reader.store, met)
        children, outside = children_of(family, graph.without(met, last))
        cut = graph.union(family.positions(last), outside)
        missing = ~reader.store.exists(numbers)
        cut = graph.without(cut, graph.distinct(family.positions(numbers[missing])))
        return SplitDescendants(family, family.positions(numbers), missing, reader.cost, children, cut)

    def merges(self, relation: Relation, container_ids: Sequence[str], caller: Caller) -> Neighbours:
        """Return the merge sources or targets of each container, without itself."""
        reader = self.reader(caller)
        store = reader.store
        numbers = store.number(pa.array(container_ids, pa.string()))
        reader.know_merges(relation, numbers)
        found = store.neighbours(relation, numbers)
        family = Family(store, graph.union(numbers, found.nodes))
        seeds = family.positions(numbers)
        nodes = family.positions(found.nodes)
        kept = nodes != seeds[found.owners]
        keys = graph.distinct(Pairs(found.owners[kept], nodes[kept]).keys(len(family)))
        missing = np.zeros(len(numbers), np.bool_)
        return Neighbours(family, seeds, missing, reader.cost, Pairs.of_keys(keys, len(family)))

    def leaf_serials(self, container_ids: Sequence[str], caller: Caller) -> Neighbours:
        """Return the serials of each container."""
        reader = self.reader(caller)
        numbers = reader.store.number(pa.array(container_ids, pa.string()))
        reader.know_merges(Relation.TARGETS, numbers)
        family = Family(reader.store, numbers)
        pairs = serials_of(reader.store, numbers)
        return Neighbours(family, family.positions(numbers), np.zeros(len(numbers), np.bool_), reader.cost, pairs)


def serials_of(store: EdgeStore, numbers: Nodes) -> Pairs:
    """Return the serials of containers, by position, then text, each once."""
    pairs = store.serials_of(numbers)
    distinct, codes = np.unique(pairs.nodes, return_inverse=True)
    texts: Any = store.serials(distinct.astype(np.int32))
    order = np.argsort(np.array(texts.to_pylist(), dtype=object)) if len(distinct) else np.empty(0, np.int64)
    ranks = np.empty(len(distinct), np.int64)
    ranks[order] = np.arange(len(distinct))
    keys = graph.distinct(pairs.owners * max(len(distinct), 1) + ranks[codes])
    owners, rank = np.divmod(keys, max(len(distinct), 1))
    return Pairs(owners, distinct[order[rank]].astype(np.int32))


def children_of(family: Family, covered: Nodes) -> tuple[Arcs, Nodes]:
    """Return what was split from the covered containers, as arcs over the family, and who has children outside."""
    found = family.store.neighbours(Relation.CHILDREN, covered)
    tails = family.positions(covered)[found.owners]
    heads = family.positions(found.nodes)
    return graph.arcs_of(tails, heads, len(family)), graph.distinct(tails[heads == NO_NODE])


def _everything(candidates: Nodes) -> Nodes:
    return candidates
