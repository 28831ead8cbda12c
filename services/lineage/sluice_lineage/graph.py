"""Pure walks over arrays of nodes: where ids come from and go to is not their business.

Nodes are numbers; no Python object per edge is made here. A split graph is an array of parents, since a lot is split
from one lot at most; other relations are `Arcs`. What a walk finds is `Pairs`. Cycles are legal everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Nodes: TypeAlias = npt.NDArray[np.int32]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

_Number = TypeVar("_Number", bound=np.generic)

NO_NODE: Final = -1


@dataclass(frozen=True)
class Arcs:
    """Edges grouped by the node they leave: those of node n are `heads[offsets[n]:offsets[n + 1]]`."""

    offsets: Ints
    heads: Nodes

    @property
    def node_count(self) -> int:
        """Nodes that may have arcs."""
        return len(self.offsets) - 1


@dataclass(frozen=True)
class Pairs:
    """What was found from where: the walk, by the position of its start, and the node it met."""

    owners: Ints
    nodes: Nodes

    def __len__(self) -> int:
        return len(self.owners)

    def keys(self, node_count: int) -> Ints:
        """One number per pair; their order is that of owners, then nodes."""
        keys: Ints = self.owners * node_count + self.nodes
        return keys

    @staticmethod
    def of_keys(keys: Ints, node_count: int) -> Pairs:
        """The pairs that these numbers stand for."""
        owners, nodes = np.divmod(keys, max(node_count, 1))
        return Pairs(owners, nodes.astype(np.int32))


def arcs_of(tails: Nodes, heads: Nodes, node_count: int, head_count: int | None = None) -> Arcs:
    """Return the arcs from `tails` to `heads`, each once, heads in order. A tail or head below 0 is none.

    Args:
        tails: where they start.
        heads: where they lead, as long as `tails`.
        node_count: tails are below it.
        head_count: heads are below it. None where heads are nodes too: an arc to the node itself is then left out.
    """
    size = node_count if head_count is None else head_count
    kept = (tails >= 0) & (heads >= 0)
    if head_count is None:
        kept &= tails != heads
    keys = distinct(tails[kept].astype(np.int64) * size + heads[kept])
    owners, nodes = np.divmod(keys, max(size, 1))
    offsets = np.zeros(node_count + 1, dtype=np.int64)
    np.cumsum(np.bincount(owners, minlength=node_count), out=offsets[1:])
    return Arcs(offsets, nodes.astype(np.int32))


def step(arcs: Arcs, pairs: Pairs) -> Pairs:
    """Return each pair's neighbours under the same owner; a neighbour of two nodes comes twice."""
    starts = arcs.offsets[pairs.nodes]
    counts = arcs.offsets[pairs.nodes + 1] - starts
    total = int(counts.sum())
    # The position of each neighbour: its node's first arc, and how many came before it within the node.
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return Pairs(np.repeat(pairs.owners, counts), arcs.heads[np.repeat(starts, counts) + within])


def climb(parents: Nodes, starts: Nodes, step_count: int) -> tuple[Pairs, Nodes]:
    """Walk up from each start and return what the walks met beyond it, and the nodes at which the limit ended one.

    A walk ends at a node without a parent and before a node that it has met. Owners are positions in `starts`; a walk
    meets no node twice.

    Args:
        parents: the parent of each node, -1 for none; a node may be its own.
        starts: where walks begin.
        step_count: most steps of a walk, at least 1.
    """
    owners: list[Ints] = []
    nodes: list[Nodes] = []
    owner = np.arange(len(starts))
    path = [starts]
    while True:
        following = parents[path[-1]]
        onward = following >= 0
        for met in path:
            onward &= met != following
        kept = np.flatnonzero(onward)
        if len(path) > step_count or not len(kept):
            break
        if len(kept) < len(owner):
            owner, following = owner[kept], following[kept]
            path = [met[kept] for met in path]
        owners.append(owner)
        nodes.append(following)
        path.append(following)
    if not owners:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int32)), np.empty(0, np.int32)
    return Pairs(np.concatenate(owners), np.concatenate(nodes)), distinct(path[-1][kept])


def reach(arcs: Arcs, starts: Nodes, step_count: int) -> tuple[Nodes, Nodes]:
    """Return all nodes within so many steps of any start, those included, and how many steps the nearest is away.

    Both in the order in which they are met: by distance, then by node.
    """
    distance = np.full(arcs.node_count, NO_NODE, dtype=np.int32)
    layer = distinct(starts)
    layers = []
    steps = 0
    while len(layer):
        distance[layer] = steps
        layers.append(layer)
        if steps == step_count:
            break
        heads = step(arcs, Pairs(np.zeros(len(layer), np.int64), layer)).nodes
        layer = distinct(heads[distance[heads] == NO_NODE])
        steps += 1
    met = np.concatenate(layers) if layers else np.empty(0, np.int32)
    return met, distance[met]


def ranges(starts: Nodes | Ints, counts: Nodes | Ints) -> Ints:
    """Return the numbers of all ranges of so many from these starts, one after the other."""
    ends = np.cumsum(counts, dtype=np.int64)
    numbers: Ints = np.repeat(starts - (ends - counts), counts)
    numbers += np.arange(len(numbers))
    return numbers


def distinct(values: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Return the values in order, each once; `np.unique` hashes, which takes ten times as long on keys like ours."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def union(one: npt.NDArray[_Number], other: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Return the values of both in order, each once."""
    return distinct(np.concatenate([one, other]))


def contains(values: npt.NDArray[_Number], wanted: npt.NDArray[_Number]) -> Flags:
    """Whether each of `wanted` is among `values`, which are in order."""
    if not len(values):
        return np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    found: Flags = values.take(at) == wanted
    return found


def without(values: npt.NDArray[_Number], others: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Return those of `values`, as they come, that are not among `others`, which are in order."""
    return values[~contains(others, values)]
