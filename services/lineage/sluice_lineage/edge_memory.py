"""Edges in the memory of this process: arrays over numbered containers, grown as statements and frames bring rows."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice_lineage import graph
from sluice_lineage.edge_runs import EdgeRuns
from sluice_lineage.edges import EdgeBatch, Relation
from sluice_lineage.graph import NO_NODE, Flags, Nodes, Pairs
from sluice_lineage.numbering import Numbering

_MERGE_KEYS: Final = {Relation.SOURCES: "target_id", Relation.TARGETS: "source_id"}
"""By which column merges are asked for."""
_TEXT_COLUMNS: Final = ("container_name", "mfgorder_name", "object_type", "first_name")
_MOST_TABLES: Final = 64
"""Small tables of texts are put together before there are more: taking rows from many is slow."""


@dataclass(frozen=True)
class Lifetimes:
    """How long what was read may be reused, in seconds."""

    settled_s: float
    """A container that is there, with the lot it was split from: neither ever changes."""
    moving_s: float
    """What was split from a lot or merged, and that there is no such container."""


class MemoryEdges:
    """An `EdgeStore` that forgets everything with the process.

    Args:
        lifetimes: when keys have to be read again.
    """

    def __init__(self, lifetimes: Lifetimes) -> None:
        self._lifetimes = lifetimes
        # Guards everything below; held for array work only, never while somebody else is asked.
        self._lock = threading.RLock()
        self._containers = Numbering()
        self._names = Numbering()
        self._lots = _Lots()
        self._runs: dict[Relation, EdgeRuns] = {relation: EdgeRuns() for relation in Relation}
        self._serials = EdgeRuns()
        # Merges that were read whole: only what somebody asks of them is numbered and goes to the runs.
        self._all_merges: _AllMerges | None = None

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        with self._lock:
            runs = (*self._runs.values(), self._serials)
            texts = self._containers.nbytes + self._names.nbytes
            merges = 0 if self._all_merges is None else self._all_merges.nbytes
            return texts + self._lots.nbytes + merges + sum(run.nbytes for run in runs)

    def number(self, container_ids: Any) -> Nodes:
        with self._lock:
            numbers = self._containers.number(container_ids)
            self._lots.grow(len(self._containers))
            return numbers

    def number_names(self, names: Any) -> Nodes:
        with self._lock:
            return self._names.number(names)

    def ids(self, nodes: Nodes) -> Any:
        with self._lock:
            return self._containers.texts(nodes)

    def serials(self, numbers: Nodes) -> Any:
        with self._lock:
            return self._names.texts(numbers)

    def order(self, nodes: Nodes) -> Any:
        with self._lock:
            return self._containers.order(nodes)

    def unknown(
        self, relation: Relation, keys: Nodes, now_s: float, *, since_s: float = 0.0, stale: bool = False
    ) -> Flags:
        with self._lock:
            read_s = self._read_s(relation, keys)
            life_s = np.full(len(keys), self._lifetimes.moving_s, np.float64)
            if relation is Relation.LOTS:
                life_s[self._lots.exists[keys]] = self._lifetimes.settled_s
        if stale:
            life_s[:] = np.inf
        unknown: Flags = (read_s == 0.0) | (read_s < since_s) | (read_s + life_s <= now_s)
        return unknown

    def fill(self, relation: Relation, keys: Nodes, now_s: float) -> int:
        # Nobody else reads into this memory.
        return 0

    def oldest(self, relation: Relation, keys: Nodes) -> float:
        with self._lock:
            return float(self._read_s(relation, keys).min(initial=np.inf))

    def add(self, batch: EdgeBatch) -> None:
        with self._lock:
            if batch.relation in (Relation.SOURCES, Relation.TARGETS):
                self._add_merges(batch)
            else:
                self._add_containers(batch)

    def exists(self, nodes: Nodes) -> Flags:
        with self._lock:
            return self._lots.exists[nodes]

    def parents(self, nodes: Nodes) -> Nodes:
        with self._lock:
            return self._lots.parents[nodes]

    def origins(self, nodes: Nodes) -> Nodes:
        with self._lock:
            return self._lots.origins[nodes]

    def texts(self, nodes: Nodes) -> Any:
        with self._lock:
            return self._lots.texts(nodes)

    def neighbours(self, relation: Relation, keys: Nodes) -> Pairs:
        with self._lock:
            self._take_merges(relation, keys)
            return self._runs[relation].neighbours(keys)

    def serials_of(self, nodes: Nodes) -> Pairs:
        with self._lock:
            self._take_merges(Relation.TARGETS, nodes)
            return self._serials.neighbours(nodes)

    def _read_s(self, relation: Relation, keys: Nodes) -> Any:
        if relation is Relation.LOTS:
            return self._lots.read_s[keys]
        read_s = self._runs[relation].read_s(keys)
        whole = self._all_merges
        return read_s if whole is None or relation not in _MERGE_KEYS else np.maximum(read_s, whole.read_s)

    def _add_merges(self, batch: EdgeBatch) -> None:
        if batch.keys is None:
            if self._all_merges is None or self._all_merges.read_s <= batch.read_s:
                self._all_merges = _AllMerges(batch.rows, batch.read_s)
            return
        self._number_merges(batch.relation, self.number(_flat(batch.keys)), batch.rows, batch.read_s)

    def _take_merges(self, relation: Relation, keys: Nodes) -> None:
        """Let the runs have what the merges that were read whole know better of these keys."""
        whole = self._all_merges
        if whole is None or relation not in _MERGE_KEYS:
            return
        keys = graph.distinct(keys[keys >= 0])
        keys = keys[self._runs[relation].read_s(keys) < whole.read_s]
        if len(keys):
            self._number_merges(relation, keys, whole.rows_of(relation, self._containers.texts(keys)), whole.read_s)

    def _number_merges(self, relation: Relation, keys: Nodes, rows: Any, read_s: float) -> None:
        targets, sources = (self.number(_flat(rows.column(name))) for name in ("target_id", "source_id"))
        if relation is Relation.SOURCES:
            self._runs[relation].add(keys, targets, sources, read_s)
            return
        self._runs[relation].add(keys, sources, targets, read_s)
        self._serials.add(keys, sources, self._names.number(_flat(rows.column("serial_number"))), read_s)

    def _add_containers(self, batch: EdgeBatch) -> None:
        rows = batch.rows
        nodes, parents = (self.number(_flat(rows.column(name))) for name in ("container_id", "parent_id"))
        if batch.relation is Relation.CHILDREN and batch.keys is None:
            self._runs[Relation.CHILDREN].add(None, parents, nodes, batch.read_s)
            return
        self._lots.add(nodes, parents, self.number(_flat(rows.column("original_id"))), rows, batch.read_s)
        if batch.relation is Relation.NAMED:
            names = self._names.number(_flat(rows.column("container_name")))
            self._runs[Relation.NAMED].add(self._names.number(_flat(batch.keys)), names, nodes, batch.read_s)
            return
        keys = self.number(_flat(batch.keys))
        self._lots.add_absent(graph.without(keys, graph.distinct(nodes)), batch.read_s)
        if batch.relation is Relation.CHILDREN:
            inside = np.isin(parents, keys)
            self._runs[Relation.CHILDREN].add(keys, parents[inside], nodes[inside], batch.read_s)


@dataclass(frozen=True)
class _AllMerges:
    """All merges there are, as they were read: to number them takes a hundred times as long as to look through them."""

    rows: Any
    read_s: float

    @property
    def nbytes(self) -> int:
        return int(self.rows.nbytes)

    def rows_of(self, relation: Relation, container_ids: Any) -> Any:
        """The rows of these sources or targets."""
        return self.rows.filter(pc.is_in(self.rows.column(_MERGE_KEYS[relation]), value_set=container_ids))


class _Lots:
    """What is known of each container, by its number."""

    def __init__(self) -> None:
        self.exists: Flags = np.zeros(0, np.bool_)
        self.read_s = np.zeros(0, np.float64)
        self.parents: Nodes = np.zeros(0, np.int32)
        self.origins: Nodes = np.zeros(0, np.int32)
        self._rows: Nodes = np.zeros(0, np.int32)
        self._tables: list[Any] = []
        self._row_count = 0

    @property
    def nbytes(self) -> int:
        arrays = (self.exists, self.read_s, self.parents, self.origins, self._rows)
        return int(sum(array.nbytes for array in arrays)) + sum(int(table.nbytes) for table in self._tables)

    def grow(self, size: int) -> None:
        missing = size - len(self.exists)
        if missing <= 0:
            return
        missing = max(missing, len(self.exists), 1024)
        self.exists = np.pad(self.exists, (0, missing))
        self.read_s = np.pad(self.read_s, (0, missing))
        self.parents, self.origins, self._rows = (
            np.pad(array, (0, missing), constant_values=NO_NODE) for array in (self.parents, self.origins, self._rows)
        )

    def add(self, nodes: Nodes, parents: Nodes, origins: Nodes, rows: Any, read_s: float) -> None:
        # Written backwards, so that of several rows of one container the first counts.
        order = np.flatnonzero((nodes >= 0) & (self.read_s[nodes] <= read_s))[::-1]
        nodes = nodes[order]
        self.exists[nodes] = True
        self.read_s[nodes] = read_s
        self.parents[nodes] = parents[order]
        self.origins[nodes] = origins[order]
        self._rows[nodes] = self._row_count + order
        self._tables.append(rows.select(list(_TEXT_COLUMNS)))
        self._row_count += rows.num_rows
        if len(self._tables) > _MOST_TABLES:
            self._tables = [pa.concat_tables(self._tables).combine_chunks()]

    def add_absent(self, nodes: Nodes, read_s: float) -> None:
        nodes = nodes[nodes >= 0]
        nodes = nodes[self.read_s[nodes] <= read_s]
        self.exists[nodes] = False
        self.read_s[nodes] = read_s
        for array in (self.parents, self.origins, self._rows):
            array[nodes] = NO_NODE

    def texts(self, nodes: Nodes) -> Any:
        rows = self._rows[nodes]
        if not self._tables:
            return pa.table({name: pa.nulls(len(nodes), pa.string()) for name in _TEXT_COLUMNS})
        taken = pa.concat_tables(self._tables).take(pa.array(rows, mask=rows < 0))
        return taken.combine_chunks()


def _flat(values: Any) -> Any:
    """One plain text array of a column, an array, or a dictionary of texts."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], pa.string())
    return pc.cast(values, pa.string())
