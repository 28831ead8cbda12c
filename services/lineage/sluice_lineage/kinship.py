"""Families with edges of all types: the full genealogy of seeds, and the forward tree from their roots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice_lineage import graph
from sluice_lineage.ancestry import ancestry
from sluice_lineage.callers import Caller
from sluice_lineage.edge_reader import EdgeReader
from sluice_lineage.edges import Relation
from sluice_lineage.families import NODE_TYPES, Admission, Family, is_rework, node_types
from sluice_lineage.genealogy import Found, Genealogy, Wanted, children_of, serials_of
from sluice_lineage.graph import NO_NODE, Arcs, Flags, Ints, Nodes, Pairs
from sluice_lineage.upward import Upward

EDGE_TYPES: Final = ("split_from", "merge_source", "wafer_origin", "gd_rework_source")
SPLIT, MERGE, WAFER, REWORK = range(4)


@dataclass(frozen=True)
class Edges:
    """Edges between positions, from the older to the newer, each once, by from, to, type."""

    tails: Nodes
    heads: Nodes
    types: Ints

    @staticmethod
    def of(parts: Sequence[tuple[int, Nodes, Nodes]], node_count: int) -> Edges:
        """Return all edges of parts `(type, tails, heads)`, without those that miss an end or lead to themselves."""
        tails = np.concatenate([tails for _, tails, _ in parts]).astype(np.int64)
        heads = np.concatenate([heads for _, _, heads in parts]).astype(np.int64)
        types = np.repeat([kind for kind, _, _ in parts], [len(tails) for _, tails, _ in parts])
        kept = (tails >= 0) & (heads >= 0) & (tails != heads)
        size = max(node_count, 1)
        keys = graph.distinct((tails[kept] * size + heads[kept]) * len(EDGE_TYPES) + types[kept])
        pairs, kinds = np.divmod(keys, len(EDGE_TYPES))
        older, newer = np.divmod(pairs, size)
        return Edges(older.astype(np.int32), newer.astype(np.int32), kinds)

    def arcs(self, node_count: int, *kinds: int) -> Arcs:
        """Return those of these types as arcs from the older to the newer."""
        kept = np.isin(self.types, kinds)
        return graph.arcs_of(self.tails[kept], self.heads[kept], node_count)

    def back(self, node_count: int, *kinds: int) -> Arcs:
        """Return those of these types as arcs from the newer to the older."""
        kept = np.isin(self.types, kinds)
        return graph.arcs_of(self.heads[kept], self.tails[kept], node_count)


@dataclass(frozen=True)
class Kin(Found):
    """Containers with edges of all types."""

    edges: Edges
    types: Ints
    """Of each container the position of its type in `NODE_TYPES`."""
    cut: Nodes
    """Where a limit ended a walk that would go on."""


@dataclass(frozen=True)
class FullGenealogy(Kin):
    """Everything that seeds came from."""

    pairs: Pairs
    """Positions in the seeds and their ancestors, by seed, then id."""
    roots: Nodes
    """Of each seed its root."""
    hop_count: int
    """Merges that a way back could pass at most."""


@dataclass(frozen=True)
class ForwardTree(Kin):
    """The families of seeds."""

    roots: Nodes
    """Containers of the tree without a parent in it."""
    leaves: Nodes
    """Containers from which nothing was split."""
    serials: Pairs
    """Positions in the leaves, and serials, in text order."""


@dataclass(frozen=True)
class _Origins:
    """Wafer lots and rework sources of containers, as numbers of the store."""

    wafer_of: Nodes
    source_of: Nodes

    def numbers(self) -> Nodes:
        both = np.concatenate([self.wafer_of, self.source_of])
        return graph.distinct(both[both >= 0])


def full_genealogy(genealogy: Genealogy, wanted: Wanted, caller: Caller) -> FullGenealogy:
    """Return everything that the seeds came from; `max_depth` counts splits from a seed, or from a merge source again.

    Raises:
        Everything that `SlowLane.read` and its readings raise while split ancestors are read.
    """
    reader = genealogy.reader(caller)
    store = reader.store
    numbers = store.number(pa.array(wanted.container_ids, pa.string()))
    nodes = _read_back(reader, numbers, wanted)
    origins = _read_origins(reader, nodes)
    family = Family(store, graph.union(nodes, origins.numbers()))
    seeds = family.positions(numbers)
    parents, edges, outside = _edges_back(family, nodes, origins)
    size = len(family)
    upward = Upward.of(parents, edges.back(size, MERGE))
    walked = ancestry(upward, seeds, wanted.max_depth, wanted.hop_count)
    pairs = _with_origins(walked.pairs, seeds, edges.back(size, WAFER, REWORK), size)
    texts = family.texts()
    types = node_types(texts, _wafers(family, origins))
    roots = _roots(pairs, seeds, edges.back(size, *range(len(EDGE_TYPES))), types, texts)
    cut = graph.union(walked.cut, outside)
    missing = ~store.exists(numbers)
    return FullGenealogy(family, seeds, missing, reader.cost, edges, types, cut, pairs, roots, wanted.hop_count)


def forward_tree(genealogy: Genealogy, wanted: Wanted, caller: Caller) -> ForwardTree:
    """Return the families of the seeds; `max_depth` counts splits up from a seed, and down from a root.

    Raises:
        Everything that `SlowLane.read` and its readings raise while splits are read.
    """
    reader = genealogy.reader(caller)
    store = reader.store
    numbers = store.number(pa.array(wanted.container_ids, pa.string()))
    max_depth = wanted.max_depth
    admission = Admission(store, wanted.node_limit, numbers)
    climbed = reader.climb(numbers, max_depth, admission.admit)
    tops, cut_above = _tops(Family(store, climbed), numbers, max_depth)
    met, last = reader.descend(graph.union(tops, numbers), max_depth + 1, admission.admit)
    tree = graph.union(climbed, met)
    merges = _read_merges(reader, tree)
    origins = _read_origins(reader, tree)
    beside = [store.neighbours(relation, tree).nodes for relation in merges]
    family = Family(store, graph.distinct(np.concatenate([tree, origins.numbers(), *beside])))
    with reader.optional("containers", len(family)):
        reader.know(family.numbers)
    here = family.positions(tree)
    children, outside = children_of(family, graph.without(met, last))
    split = [(SPLIT, *_arc_pairs(children)), (SPLIT, family.positions(store.parents(tree)), here)]
    others = [*_merge_parts(reader, family, tree, merges), *_origin_parts(family, here, origins)]
    edges = _without_split_merges(Edges.of([*split, *others], len(family)), len(family))
    types = node_types(family.texts(), _wafers(family, origins))
    childless = np.diff(edges.arcs(len(family), SPLIT).offsets) == 0
    cut = graph.distinct(np.concatenate([family.positions(last), outside, family.positions(cut_above)]))
    leaves = graph.without(graph.distinct(here[childless[here]]), cut)
    serials = serials_of(store, family.numbers[leaves]) if Relation.TARGETS in merges else _nothing()
    return ForwardTree(
        family,
        family.positions(numbers),
        ~store.exists(numbers),
        reader.cost,
        edges,
        types,
        cut,
        _tree_roots(edges, here, family, origins),
        leaves,
        serials,
    )


def _read_back(reader: EdgeReader, numbers: Nodes, wanted: Wanted) -> Nodes:
    """All containers on the ways back over splits and merges, with what is needed to see where a limit ended one."""
    admission = Admission(reader.store, wanted.node_limit, numbers)
    fresh = nodes = reader.climb(numbers, wanted.max_depth, admission.admit)
    # Once more than there are hops: whether a merge was not followed has to be said.
    for hop in range(wanted.hop_count + 1):
        with reader.optional("merge_sources", len(fresh)):
            reader.know_merges(Relation.SOURCES, fresh)
        if hop == wanted.hop_count:
            break
        merged = admission.admit(graph.distinct(reader.store.neighbours(Relation.SOURCES, fresh).nodes))
        if not len(merged):
            break
        climbed = reader.climb(merged, wanted.max_depth, admission.admit)
        fresh = graph.without(climbed, nodes)
        nodes = graph.union(nodes, climbed)
    with reader.optional("containers", len(nodes)):
        reader.know(nodes)
    return nodes


def _edges_back(family: Family, nodes: Nodes, origins: _Origins) -> tuple[Nodes, Edges, Nodes]:
    """The split parent of each container, all edges, and the containers from which edges lead beyond those walked."""
    store, here = family.store, family.positions(nodes)
    parent_numbers = store.parents(nodes)
    parents = np.full(len(family), NO_NODE, np.int32)
    parents[here] = family.positions(parent_numbers)
    merged = store.neighbours(Relation.SOURCES, nodes)
    sources = family.positions(merged.nodes)
    # A source outside of the walked nodes may be in the family as somebody's wafer or rework source.
    unwalked = (parent_numbers >= 0) & ~graph.contains(nodes, parent_numbers)
    outside = np.concatenate([here[unwalked], here[merged.owners[~graph.contains(nodes, merged.nodes)]]])
    parts = [(SPLIT, parents[here], here), (MERGE, sources, here[merged.owners])]
    return parents, Edges.of([*parts, *_origin_parts(family, here, origins)], len(family)), outside


def _origin_parts(family: Family, here: Nodes, origins: _Origins) -> list[tuple[int, Nodes, Nodes]]:
    return [
        (WAFER, family.positions(origins.wafer_of), here),
        (REWORK, family.positions(origins.source_of), here),
    ]


def _read_merges(reader: EdgeReader, nodes: Nodes) -> list[Relation]:
    """The directions in which merges of these containers could be read."""
    known = []
    for relation, part in ((Relation.SOURCES, "merge_sources"), (Relation.TARGETS, "merge_targets")):
        with reader.optional(part, len(nodes)):
            reader.know_merges(relation, nodes)
            known.append(relation)
    return known


def _read_origins(reader: EdgeReader, nodes: Nodes) -> _Origins:
    """The wafer lot and the rework source of each container, and the rows of these."""
    store = reader.store
    nothing = np.full(len(nodes), NO_NODE, np.int32)
    origins = _Origins(nothing, nothing)
    with reader.optional("origins", len(nodes)):
        reader.know(nodes)
        texts = store.texts(nodes)
        wafer_of = _named(reader, texts.column("first_name").combine_chunks())
        source = store.origins(nodes)
        source = np.where(source >= 0, source, store.parents(nodes))
        origins = _Origins(wafer_of, np.where(is_rework(texts), source, NO_NODE).astype(np.int32))
        reader.know(origins.numbers())
    return origins


def _named(reader: EdgeReader, names: pa.Array) -> Nodes:
    """The lot of each name, the first by id where several have it; -1 for none."""
    store = reader.store
    wanted = store.number_names(names)
    distinct, back = np.unique(wanted, return_inverse=True)
    known = distinct[distinct >= 0]
    reader.know_named(known)
    found = store.neighbours(Relation.NAMED, known)
    # Written from the last id to the first, so that the first stays.
    order = store.order(found.nodes)[::-1]
    lots = np.full(len(distinct), NO_NODE, np.int32)
    lots[found.owners[order] + len(distinct) - len(known)] = found.nodes[order]
    return lots[back]


def _wafers(family: Family, origins: _Origins) -> Flags:
    wafers = np.zeros(len(family), np.bool_)
    wafers[family.positions(graph.distinct(origins.wafer_of[origins.wafer_of >= 0]))] = True
    return wafers


def _with_origins(pairs: Pairs, seeds: Nodes, origins: Arcs, node_count: int) -> Pairs:
    """Ancestors together with their wafer lots and rework sources, and those of the seeds, by seed, then node."""
    own = Pairs(np.arange(len(seeds)), seeds)
    both = Pairs(np.concatenate([own.owners, pairs.owners]), np.concatenate([own.nodes, pairs.nodes]))
    found = graph.step(origins, both).keys(node_count)
    keys = graph.distinct(np.concatenate([pairs.keys(node_count), found]))
    others = np.ones(len(keys), np.bool_)
    own_keys = own.keys(node_count)
    at = np.searchsorted(keys, own_keys)
    met = np.flatnonzero(at < len(keys))
    at = at[met][keys[at[met]] == own_keys[met]]
    others[at] = False
    return Pairs.of_keys(keys[others], node_count)


def _roots(pairs: Pairs, seeds: Nodes, parents: Arcs, types: Ints, texts: pa.Table) -> Nodes:
    """Of each seed the first ancestor without parents: wafers first, then by name, then by id; itself without any."""
    if not len(types):
        return seeds
    named = pc.rank(texts.column("container_name"), "ascending", tiebreaker="first").to_numpy()
    has_parents = np.diff(parents.offsets) > 0
    order = np.lexsort((named, types != NODE_TYPES.index("WAFER"), has_parents))
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    best = np.full(len(seeds), len(order))
    np.minimum.at(best, pairs.owners, ranks[pairs.nodes])
    return np.where(best < len(order), order[np.minimum(best, len(order) - 1)], seeds).astype(np.int32)


def _tops(climbed: Family, numbers: Nodes, max_depth: int) -> tuple[Nodes, Nodes]:
    """Where the walks up from the containers end, and where a limit ended them, as numbers."""
    store = climbed.store
    parents = climbed.positions(store.parents(climbed.numbers))
    seeds = climbed.positions(numbers)
    walked, cut = graph.climb(parents, seeds, max_depth)
    ends = seeds.copy()
    # Pairs come by distance, so the last one of a walk stays.
    ends[walked.owners] = walked.nodes
    outside = climbed.numbers[(parents == NO_NODE) & (store.parents(climbed.numbers) >= 0)]
    return graph.distinct(climbed.numbers[ends]), graph.union(climbed.numbers[cut], outside)


def _arc_pairs(arcs: Arcs) -> tuple[Nodes, Nodes]:
    return np.repeat(np.arange(arcs.node_count), np.diff(arcs.offsets)).astype(np.int32), arcs.heads


def _merge_parts(
    reader: EdgeReader, family: Family, tree: Nodes, relations: Sequence[Relation]
) -> list[tuple[int, Nodes, Nodes]]:
    here = family.positions(tree)
    parts = []
    for relation in relations:
        found = reader.store.neighbours(relation, tree)
        ends = here[found.owners], family.positions(found.nodes)
        parts.append((MERGE, *(ends if relation is Relation.TARGETS else ends[::-1])))
    return parts


def _without_split_merges(edges: Edges, node_count: int) -> Edges:
    """The edges without merges of pairs that a split links already."""
    keys = edges.tails.astype(np.int64) * node_count + edges.heads
    kept = (edges.types != MERGE) | ~np.isin(keys, keys[edges.types == SPLIT])
    return Edges(edges.tails[kept], edges.heads[kept], edges.types[kept])


def _tree_roots(edges: Edges, here: Nodes, family: Family, origins: _Origins) -> Nodes:
    """The containers of the tree, its wafers and rework sources included, to which no edge but merges leads."""
    above = np.diff(edges.back(len(family), SPLIT, WAFER, REWORK).offsets)
    members = graph.union(here, family.positions(origins.numbers()))
    roots: Nodes = members[above[members] == 0]
    return roots


def _nothing() -> Pairs:
    return Pairs(np.empty(0, np.int64), np.empty(0, np.int32))
