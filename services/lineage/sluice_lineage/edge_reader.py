"""Edges for one request: those that are kept, else read from the warehouse in batches of a thousand keys and kept.

Each batch is one statement under one permit of the slow lane. What cannot be looked up by an index is read whole beyond
a few batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import structlog
from sluice_rpc.errors import Internal, Unavailable
from sluice_rpc.ports import Clock
from sluice_warehouse import Bind, Statement, Tag
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.statements import MAX_ID_COUNT, expand_ids, id_binds, load

from sluice_lineage import graph
from sluice_lineage.callers import Caller
from sluice_lineage.edges import (
    CONTAINER_SCHEMA,
    MERGE_SCHEMA,
    SPLIT_EDGE_SCHEMA,
    EdgeBatch,
    EdgeStore,
    Relation,
)
from sluice_lineage.graph import Flags, Nodes

log = structlog.get_logger()

MAX_DEPTH: Final = 20
"""Longest walk, in rows; the warehouse's own people never saw a longer true chain."""

_ID_WIDTH: Final = 16
"""Ids are CHAR(16): Oracle compares a bind without padding it, so a shorter id is padded here."""
_PROGRESS_EVERY: Final = 5
_WALKS: Final = ("split_ancestors", "split_descendants")
_LOOK_UPS: Final = ("containers", "lots_by_name", "merge_sources", "merge_targets", "split_edges", "merge_edges")


def load_statements(walk: str) -> dict[str, Statement]:
    """Return the statements of lineage by name; those that walk in the text `connect_by` or `recursive_with`."""
    folder = Path(__file__).parent / "sql"
    walks = {name: load(folder / f"{name}.sql", alternative=walk) for name in _WALKS}
    return {**walks, **{name: load(folder / f"{name}.sql") for name in _LOOK_UPS}}


def walk_binds(ids: list[str], max_depth: int) -> Mapping[str, Bind]:
    """Return the values of the statement that `expand_ids` made of a walk."""
    return {**id_binds("ids", _padded(ids)), "max_depth": max_depth}


@dataclass
class Gap:
    """A part of an answer that is missing because it failed."""

    part: str
    id_count: int
    code: str


@dataclass
class Cost:
    """What a request took, and how good it is."""

    statement_count: int = 0
    """Statements that ran."""
    row_count: int = 0
    """Rows they yielded."""
    reused_count: int = 0
    """Look-ups that found keys kept from before."""
    oldest_s: float = np.inf
    """When the oldest edge used was read, in seconds since 1970; infinity when none was."""
    stale: bool = False
    """Whether edges were used past their time because the warehouse was away."""
    gaps: list[Gap] = field(default_factory=list)
    """What failed."""

    def of_others(self) -> Cost:
        """Return the cost of an answer that somebody else had found: none but what it rests on."""
        found_count = self.statement_count + self.reused_count
        return Cost(reused_count=found_count, oldest_s=self.oldest_s, stale=self.stale, gaps=self.gaps)


@dataclass(frozen=True)
class Sources:
    """Where edges come from, for all requests."""

    lane: SlowLane
    statements: Mapping[str, Statement]
    store: Callable[[], EdgeStore]
    """The store that requests shall use from now on."""
    clock: Clock
    shared_batch_count: int
    """More batches than this, and a table without an index is read whole."""


class EdgeReader:
    """Reads edges for one request.

    Args:
        sources: where edges come from.
        caller: for whom.
    """

    def __init__(self, sources: Sources, caller: Caller) -> None:
        self.store = sources.store()
        self.cost = Cost()
        self._sources = sources
        self._caller = caller
        self._now_s = sources.clock.now().timestamp()
        self._since_s = self._now_s if caller.refresh else 0.0
        self._away: Unavailable | None = None

    def climb(self, starts: Nodes, row_count: int, admit: Callable[[Nodes], Nodes]) -> Nodes:
        """Return the containers met on the way up from the starts through at most `row_count` rows, starts included.

        The parent named by a last row is among them, though its own row was not read.
        """
        layer, met = graph.distinct(starts), graph.distinct(starts)
        for level in range(row_count):
            rows_left = row_count - level
            self._ensure(Relation.LOTS, layer, partial(self._read_upwards, rows_left))
            above = graph.distinct(self.store.parents(layer))
            layer = admit(graph.without(above[above >= 0], met))
            if not len(layer):
                break
            met = graph.union(met, layer)
        return met

    def descend(self, starts: Nodes, row_count: int, admit: Callable[[Nodes], Nodes]) -> tuple[Nodes, Nodes]:
        """Return the containers met on the way down through at most `row_count` rows, and those among them, in the last
        rows, of which it was not read what was split from them."""
        layer, met = graph.distinct(starts), graph.distinct(starts)
        for level in range(row_count - 1):
            rows_left = row_count - level
            self._ensure(Relation.CHILDREN, layer, partial(self._read_downwards, rows_left))
            below = graph.distinct(self.store.neighbours(Relation.CHILDREN, layer).nodes)
            layer = admit(graph.without(below, met))
            if not len(layer):
                break
            met = graph.union(met, layer)
        return met, layer

    def know(self, nodes: Nodes) -> None:
        """Make sure that the rows of these containers were read."""
        self._ensure(Relation.LOTS, nodes, partial(self._read_keys, "containers", Relation.LOTS))

    def know_named(self, names: Nodes) -> None:
        """Make sure that the lots of these names were read."""
        self._ensure(Relation.NAMED, names, partial(self._read_keys, "lots_by_name", Relation.NAMED))

    def know_merges(self, relation: Relation, nodes: Nodes) -> None:
        """Make sure that the merge sources, or targets, of these containers were read."""
        self._ensure(relation, nodes, partial(self._read_merges, relation))

    @contextmanager
    def optional(self, part: str, id_count: int) -> Iterator[None]:
        """Let what runs within fail: the answer is then partial. A deadline that passed ends the whole call."""
        try:
            yield
        except (Unavailable, Internal) as error:
            log.warning("a part of a genealogy is missing", part=part, id_count=id_count, code=error.reason)
            self.cost.gaps.append(Gap(part, id_count, error.reason))

    def _ensure(self, relation: Relation, keys: Nodes, read: Callable[[Nodes], None]) -> None:
        unknown = self._unknown(relation, keys)
        if unknown.any() and not self._caller.refresh and self.store.fill(relation, keys[unknown], self._now_s):
            unknown = self._unknown(relation, keys)
        # What this request has read itself is not older than it.
        if self.store.oldest(relation, keys[~unknown]) < self._now_s:
            self.cost.reused_count += 1
        if unknown.any():
            self._read_or_reuse(relation, keys[unknown], read)
        self.cost.oldest_s = min(self.cost.oldest_s, self.store.oldest(relation, keys))

    def _unknown(self, relation: Relation, keys: Nodes) -> Flags:
        return self.store.unknown(relation, keys, self._now_s, since_s=self._since_s)

    def _read_or_reuse(self, relation: Relation, keys: Nodes, read: Callable[[Nodes], None]) -> None:
        try:
            if self._away is not None:
                raise self._away
            read(keys)
        except Unavailable as error:
            # What is away once is not asked again by the same request: each try may wait for a minute.
            self._away = error
            if self._caller.refresh or self.store.unknown(relation, keys, self._now_s, stale=True).any():
                raise
            self.cost.stale = True

    def _read_upwards(self, row_count: int, keys: Nodes) -> None:
        for number, batch, count in _batches(keys):
            ids = self.store.ids(batch)
            rows = self._run("split_ancestors", ids, CONTAINER_SCHEMA, f"{number}/{count}", row_count)
            self._keep(Relation.LOTS, rows, ids)

    def _read_downwards(self, row_count: int, keys: Nodes) -> None:
        if self._is_shared(keys):
            rows = self._run("split_edges", None, SPLIT_EDGE_SCHEMA, "whole")
            self._keep(Relation.CHILDREN, rows, None)
            return
        for number, batch, count in _batches(keys):
            ids = self.store.ids(batch)
            rows = self._run("split_descendants", ids, CONTAINER_SCHEMA, f"{number}/{count}", row_count)
            nodes = self.store.number(rows.column("container_id").combine_chunks())
            parents = self.store.number(rows.column("parent_id").combine_chunks())
            # Of the containers in the last rows it was not read what was split from them.
            covered = _within(batch, parents, nodes, row_count - 2)
            self._keep(Relation.CHILDREN, rows, self.store.ids(covered))

    def _read_merges(self, relation: Relation, keys: Nodes) -> None:
        if self._is_shared(keys):
            self._keep(relation, self._run("merge_edges", None, MERGE_SCHEMA, "whole"), None)
            return
        name = "merge_sources" if relation is Relation.SOURCES else "merge_targets"
        self._read_keys(name, relation, keys)

    def _read_keys(self, name: str, relation: Relation, keys: Nodes) -> None:
        schema = CONTAINER_SCHEMA if relation in (Relation.LOTS, Relation.NAMED) else MERGE_SCHEMA
        texts = self.store.serials if relation is Relation.NAMED else self.store.ids
        for number, batch, count in _batches(keys):
            asked = texts(batch)
            self._keep(relation, self._run(name, asked, schema, f"{number}/{count}"), asked)

    def _is_shared(self, keys: Nodes) -> bool:
        return len(keys) > self._sources.shared_batch_count * MAX_ID_COUNT

    def _keep(self, relation: Relation, rows: Any, keys: Any) -> None:
        self.store.add(EdgeBatch(relation, rows, keys, self._sources.clock.now().timestamp()))

    def _run(self, name: str, keys: Any, schema: pa.Schema, action: str, row_count: int | None = None) -> Any:
        statement = self._sources.statements[name]
        binds: dict[str, Bind] = {}
        if keys is not None:
            texts = keys.to_pylist()
            statement = expand_ids(statement, "ids", len(texts))
            binds |= id_binds("ids", texts if name == "lots_by_name" else _padded(texts))
        if row_count is not None:
            binds["max_depth"] = row_count
        caller = self._caller
        with (
            self._sources.lane.read(
                statement,
                binds,
                schema=schema,
                deadline_s=caller.left_s,
                tag=Tag("sluice-lineage", f"{name} {action}", caller.client_id),
                withdrawn=caller.withdrawal.event,
            ) as reading,
            caller.withdrawal.cancels(reading),
        ):
            rows = pa.Table.from_batches(list(reading), schema)
        self.cost.statement_count += 1
        self.cost.row_count += rows.num_rows
        return rows


def _batches(keys: Nodes) -> Iterator[tuple[int, Nodes, int]]:
    count = -(-len(keys) // MAX_ID_COUNT)
    for number in range(1, count + 1):
        yield number, keys[(number - 1) * MAX_ID_COUNT : number * MAX_ID_COUNT], count
        if count > _PROGRESS_EVERY and number % _PROGRESS_EVERY == 0:
            log.info("edges read", batch=number, batch_count=count)


def _padded(ids: list[str]) -> list[str]:
    return [container_id.ljust(_ID_WIDTH) for container_id in ids]


def _within(starts: Nodes, parents: Nodes, nodes: Nodes, step_count: int) -> Nodes:
    """The nodes at most so many steps below the starts."""
    numbers, local = np.unique(np.concatenate([starts, parents[parents >= 0], nodes]), return_inverse=True)
    size = len(numbers)
    tails = np.full(len(parents), graph.NO_NODE, np.int32)
    tails[parents >= 0] = local[len(starts) : len(local) - len(nodes)]
    arcs = graph.arcs_of(tails, local[len(local) - len(nodes) :].astype(np.int32), size)
    met, _ = graph.reach(arcs, local[: len(starts)].astype(np.int32), step_count)
    return numbers[met]
