"""Everything that seeds came from over splits and merges, as one list of nodes for each seed.

Where no limit can cut a walk, lists are put together from those of the nodes above: a node's ancestors are its parent's
and its parent. What is left, walks through cycles or up to a limit, goes step by step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sluice_lineage.graph import Arcs, Flags, Ints, Nodes, Pairs, climb, contains, distinct, step
from sluice_lineage.shared_lists import Lists, shared_lists
from sluice_lineage.upward import Upward

_FEW_SEEDS: Final = 4
_FEW_NODES: Final = 2_000
"""Walks that meet no more than these take less time node by node than the setting up of arrays does."""
_NOWHERE: Final[Nodes] = np.empty(0, np.int32)


# Not frozen, as `Lists`.
@dataclass(slots=True)
class Ancestry:
    """What the seeds came from over splits and merges."""

    lists: Lists
    """The ancestors of each seed, none twice, in no meaningful order; no seed is its own ancestor."""
    cut: Nodes
    """Nodes at which a limit ended a walk that would go on, in node order."""

    @property
    def pairs(self) -> Pairs:
        """Seed positions and ancestors, by seed."""
        return self.lists.pairs()


def ancestry(upward: Upward, seeds: Nodes, step_count: int, hop_count: int) -> Ancestry:
    """Return everything that each seed came from, over at most `hop_count` merges.

    From a seed, and from each merge source on the way again, at most `step_count` splits are climbed. What one seed
    came from never depends on which others are asked for.

    Args:
        upward: the ways up.
        seeds: where walks begin.
        step_count: most splits from a seed or a merge source.
        hop_count: most merges.
    """
    if len(seeds) <= _FEW_SEEDS:
        few = _node_by_node(upward, seeds.tolist(), step_count, hop_count)
        if few is not None:
            return Ancestry(few, _NOWHERE)
    free = upward.unlimited(seeds, step_count, hop_count)
    if free.all():
        return Ancestry(shared_lists(upward, seeds), _NOWHERE)
    limited, cut = _limited(upward, seeds[~free], step_count, hop_count)
    if not free.any():
        return Ancestry(limited, cut)
    return Ancestry(_woven(free, shared_lists(upward, seeds[free]), limited), cut)


def _node_by_node(upward: Upward, seeds: list[int], step_count: int, hop_count: int) -> Lists | None:
    """The lists of a few seeds without any array work; None where a limit is near or there is too much to meet."""
    parents, combined, offsets, heads, longest, merges = upward.plain
    nodes: list[int] = []
    starts, counts = [], []
    for seed in seeds:
        if longest[seed] > step_count or merges[seed] > hop_count:
            return None
        starts.append(len(nodes))
        if not merges[seed]:
            # One way leads up, and none of it twice.
            node = parents[seed]
            while node >= 0:
                nodes.append(node)
                node = parents[node]
            counts.append(len(nodes) - starts[-1])
            continue
        met = {seed}
        ways = [seed]
        for way in ways:
            node = way
            while True:
                if combined[node]:
                    fresh = [head for head in heads[offsets[node] : offsets[node + 1]] if head not in met]
                    met.update(fresh)
                    ways += fresh
                node = parents[node]
                if node < 0 or node in met:
                    break
                met.add(node)
            if len(met) > _FEW_NODES:
                return None
        met.remove(seed)
        counts.append(len(met))
        nodes += met
    return Lists(np.array(nodes, np.int32), np.array(starts, np.int64), np.array(counts, np.int64))


def _woven(free: Flags, shared: Lists, limited: Lists) -> Lists:
    """The lists of all seeds, those of the free ones from `shared`."""
    starts, counts = np.empty(len(free), np.int64), np.empty(len(free), np.int64)
    starts[free], counts[free] = shared.starts, shared.counts
    starts[~free], counts[~free] = limited.starts + len(shared.nodes), limited.counts
    return Lists(np.concatenate([shared.nodes, limited.nodes]), starts, counts)


def _limited(upward: Upward, seeds: Nodes, step_count: int, hop_count: int) -> tuple[Lists, Nodes]:
    """The lists of seeds whose walks a limit may cut, and where it did."""
    parents, sources, size = upward.parents[:-1], upward.sources, upward.node_count
    own = np.arange(len(seeds)) * size + seeds
    climbed, cut = climb(parents, seeds, step_count)
    cuts = [cut]
    known = fresh = np.concatenate([own, climbed.keys(size)])
    for _ in range(hop_count):
        merged = step(sources, Pairs.of_keys(fresh, size))
        if not len(merged):
            break
        climbed, cut = climb(parents, merged.nodes, step_count)
        cuts.append(cut)
        above = merged.owners[climbed.owners] * size + climbed.nodes
        known, fresh = _joined(known, np.concatenate([merged.keys(size), above]))
    else:
        cuts.append(_unfollowed(sources, Pairs.of_keys(fresh, size), np.sort(known)))
    # Each seed is met by itself and by nobody else under its owner, so one position is left out for each.
    if fresh is known:
        # No merge was met, so nothing has put it in order yet.
        known = np.sort(known)
    others = np.ones(len(known), np.bool_)
    others[np.searchsorted(known, own)] = False
    return Lists.of(Pairs.of_keys(known[others], size), len(seeds)), distinct(np.concatenate(cuts))


def _joined(known: Ints, found: Ints) -> tuple[Ints, Ints]:
    """Return what is known now, in order, and what of it was not known; `found` may repeat itself."""
    # One sort does it all: the lowest bit tells where a key comes from and puts the known one first.
    marked = np.sort(np.concatenate([known << 1, found << 1 | 1]))
    keys = marked >> 1
    first = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return keys[first], keys[first & ((marked & 1) == 1)]


def _unfollowed(sources: Arcs, last: Pairs, known: Ints) -> Nodes:
    """The nodes of the last hop whose merge sources were not followed though they are new to their seed."""
    counts = sources.offsets[last.nodes + 1] - sources.offsets[last.nodes]
    fresh = ~contains(known, step(sources, last).keys(sources.node_count))
    cut: Nodes = distinct(np.repeat(last.nodes, counts)[fresh])
    return cut
