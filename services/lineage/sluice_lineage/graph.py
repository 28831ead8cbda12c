"""Pure walks over a forest that may have cycles, as arrays: each node has at most one parent.

Nodes are numbers; no Python object per edge is made here. Where ids come from and go to is not its business.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Nodes: TypeAlias = npt.NDArray[np.int32]

NO_PARENT: Final = -1


def walk_up(parents: Nodes, seeds: Nodes, max_depth: int) -> npt.NDArray[np.int32]:
    """Return the walks from each seed towards its root, one row per depth, one column per seed.

    Row 0 is the seeds. A walk ends, and -1 follows, at a node without a parent and before a node it has seen.

    Args:
        parents: the parent of each node, -1 for none; a node may be its own.
        seeds: where walks start.
        max_depth: rows of the longest walk, at least 1.
    """
    walks = np.full((max_depth, len(seeds)), NO_PARENT, dtype=np.int32)
    walks[0] = seeds
    for depth in range(1, max_depth):
        following = _parents_of(parents, walks[depth - 1])
        following[_seen(walks[:depth], following)] = NO_PARENT
        if not (following >= 0).any():
            break
        walks[depth] = following
    return walks


def cut_ends(parents: Nodes, walks: npt.NDArray[np.int32]) -> Nodes:
    """Return the last nodes of those walks that only their length ended, each once, in node order.

    Args:
        parents: as given to `walk_up`.
        walks: as returned by it.
    """
    last = walks[-1]
    following = _parents_of(parents, last)
    following[_seen(walks, following)] = NO_PARENT
    return np.unique(last[following >= 0])


def _parents_of(parents: Nodes, nodes: Nodes) -> Nodes:
    # -1 reads the last entry, which `where` then throws away; an empty forest has no entry to read.
    if not len(parents):
        return np.full_like(nodes, NO_PARENT)
    return np.where(nodes >= 0, parents[nodes], np.int32(NO_PARENT)).astype(np.int32)


def _seen(walks: npt.NDArray[np.int32], nodes: Nodes) -> npt.NDArray[np.bool_]:
    seen: npt.NDArray[np.bool_] = (walks == nodes).any(axis=0)
    return seen
