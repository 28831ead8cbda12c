"""Nodes of one answer, numbered in id order, and what is known of each: the same whatever was read before it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice_lineage import graph
from sluice_lineage.edges import EdgeStore
from sluice_lineage.graph import NO_NODE, Flags, Ints, Nodes

NODE_TYPES: Final = ("WAFER", "GD", "GC", "GA", "LOT", "UNKNOWN")


class Family:
    """Containers of an answer; position i is the i-th by id.

    Args:
        store: where they are numbered.
        numbers: their numbers in the store, each once, in any order.
    """

    def __init__(self, store: EdgeStore, numbers: Nodes) -> None:
        self.store = store
        self.numbers: Nodes = numbers[store.order(numbers)]
        self._by_number = np.argsort(self.numbers)
        self._sorted = self.numbers[self._by_number]

    def __len__(self) -> int:
        return len(self.numbers)

    def positions(self, numbers: Nodes) -> Nodes:
        """Return the position of each container in the answer; -1 where it is not in it."""
        if not len(self._sorted):
            return np.full(len(numbers), NO_NODE, np.int32)
        at = np.minimum(np.searchsorted(self._sorted, numbers), len(self._sorted) - 1)
        return np.where(self._sorted[at] == numbers, self._by_number[at], NO_NODE).astype(np.int32)

    def ids(self) -> Any:
        """Return all ids as Arrow text."""
        return self._ids

    def texts(self) -> Any:
        """Return name, work order, object type and wafer lot of all as an Arrow table, as they are when first asked."""
        return self._texts

    @cached_property
    def _ids(self) -> Any:
        return self.store.ids(self.numbers)

    @cached_property
    def _texts(self) -> Any:
        return self.store.texts(self.numbers)


class Admission:
    """Lets containers into an answer while there is room.

    Args:
        store: where they are numbered.
        limit: most containers, the first ones not counted against it.
        first: containers that are in anyway.
    """

    def __init__(self, store: EdgeStore, limit: int, first: Nodes) -> None:
        self._store = store
        self._limit = limit
        self.nodes: Nodes = graph.distinct(first)

    def admit(self, candidates: Nodes) -> Nodes:
        """Return those that are in: all that were, and as many others, in id order, as there is room for."""
        fresh = graph.without(candidates, self.nodes)
        room = max(0, self._limit - len(self.nodes))
        if len(fresh) > room:
            refused = graph.distinct(fresh[self._store.order(fresh)[room:]])
            candidates = graph.without(candidates, refused)
            fresh = graph.without(fresh, refused)
        self.nodes = graph.union(self.nodes, fresh)
        return candidates


def is_rework(texts: Any) -> Flags:
    """Which containers are GD: by work order or by name."""
    return _starts_with(texts, "GD")


def node_types(texts: Any, wafers: Flags) -> Ints:
    """Return the position of each container's type in `NODE_TYPES`, the first that holds."""
    lots = pc.fill_null(pc.equal(texts.column("object_type"), "LOT"), False).to_numpy(zero_copy_only=False)
    holds = [wafers, *(_starts_with(texts, prefix) for prefix in ("GD", "GC", "GA")), lots]
    return np.select(holds, list(range(len(holds))), default=len(holds)).astype(np.int64)


def type_column(types: Ints) -> Any:
    """Return these types as Arrow text, encoded by a dictionary."""
    return pa.DictionaryArray.from_arrays(pa.array(types.astype(np.int32)), pa.array(NODE_TYPES))


def _starts_with(texts: Any, prefix: str) -> Flags:
    found = np.zeros(texts.num_rows, np.bool_)
    for name in ("mfgorder_name", "container_name"):
        matches = pc.starts_with(texts.column(name), prefix, ignore_case=True)
        found |= pc.fill_null(matches, False).to_numpy(zero_copy_only=False)
    return found
