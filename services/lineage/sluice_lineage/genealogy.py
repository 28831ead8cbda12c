"""Where lots come from: split ancestors, read from the warehouse in batches of a thousand ids.

Each batch is one statement under one permit of the slow lane. Walks themselves are `graph`'s.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import structlog
from sluice_warehouse import Bind, Reading, Tag
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import MAX_ID_COUNT, Statement, expand_ids, id_binds, load

from sluice_lineage import graph
from sluice_lineage.errors import AncestryTooLarge
from sluice_lineage.withdrawal import Withdrawal

log = structlog.get_logger()

MAX_DEPTH: Final = 20
"""Longest walk, in rows; the warehouse's own people never saw a longer true chain."""

_ID_WIDTH: Final = 16
"""Ids are CHAR(16): Oracle compares a bind without padding it, so a shorter id is padded here."""

SPLIT_SCHEMA: Final = parse_schema({"container_id": "string", "parent_id": "string", "container_name": "string"})
_PROGRESS_EVERY: Final = 5
_ENTRY_OVERHEAD_BYTES: Final = 12
"""What one map entry of the answer needs on the wire beside its key and value, at most."""


@dataclass
class SplitAncestors:
    """The ancestry of the containers asked for."""

    child_to_parent: dict[str, str] = field(default_factory=dict)
    """Each container found to the lot it was split from; none is its own parent."""
    container_names: dict[str, str] = field(default_factory=dict)
    """Each container found that has a name."""
    found_ids: set[str] = field(default_factory=set)
    """Each container that has a row."""
    not_found_ids: list[str] = field(default_factory=list)
    """Asked for and without a row, in the order asked."""
    truncated_ids: list[str] = field(default_factory=list)
    """Where the depth limit ended a walk that names a further parent, in id order."""
    statement_count: int = 0
    """Statements it took."""
    row_count: int = 0
    """Rows they yielded."""
    size_bytes: int = 0
    """Upper bound of what the answer needs on the wire."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in rows; the first row of a container counts."""
        self.row_count += batch.num_rows
        columns = (batch.column(name).to_pylist() for name in SPLIT_SCHEMA.names)
        for container_id, parent_id, name in zip(*columns, strict=True):
            if container_id is None or container_id in self.found_ids:
                continue
            self.found_ids.add(container_id)
            if parent_id is not None and parent_id != container_id:
                self.child_to_parent[container_id] = parent_id
                self.size_bytes += len(container_id) + len(parent_id) + _ENTRY_OVERHEAD_BYTES
            if name is not None:
                self.container_names[container_id] = name
                self.size_bytes += len(container_id) + len(name.encode()) + _ENTRY_OVERHEAD_BYTES


class Genealogy:
    """Resolves ancestry over the slow lane.

    Args:
        lane: where statements run.
        split_ancestors: the statement, in the alternative that the warehouse understands.
        max_size_bytes: most that one answer may need on the wire.
    """

    def __init__(self, lane: SlowLane, split_ancestors: Statement, *, max_size_bytes: int) -> None:
        self._lane = lane
        self._split_ancestors = split_ancestors
        self._max_size_bytes = max_size_bytes

    def resolve_split_ancestors(
        self,
        container_ids: Sequence[str],
        *,
        max_depth: int,
        deadline_s: float,
        client_id: str,
        withdrawal: Withdrawal,
    ) -> SplitAncestors:
        """Return the containers and all lots they were split from, at most `max_depth` rows up.

        Args:
            container_ids: wanted, trimmed, none twice; empty answers empty without a statement.
            max_depth: rows of a walk, the container itself included, 1 to 20.
            deadline_s: seconds from now for all statements and waits together.
            client_id: for whom, as the DBA sees it.
            withdrawal: ends the wait for a permit and the running statement.

        Raises:
            AncestryTooLarge: the answer would be larger than a message may be.
            Everything that `SlowLane.read` and its readings raise.
        """
        until = time.monotonic() + deadline_s
        found = SplitAncestors()
        batches = _batches(container_ids)
        for number, ids in enumerate(batches, start=1):
            tag = Tag("lineage", f"split_ancestors {number}/{len(batches)}", client_id)
            with self._reading(ids, max_depth, max(0.0, until - time.monotonic()), tag, withdrawal) as reading:
                self._take(reading, found)
            found.statement_count += 1
            if len(batches) > _PROGRESS_EVERY and number % _PROGRESS_EVERY == 0:
                log.info("split ancestors", batch=number, batch_count=len(batches), row_count=found.row_count)
        found.not_found_ids = [container_id for container_id in container_ids if container_id not in found.found_ids]
        found.truncated_ids = _truncated(found.child_to_parent, container_ids, max_depth)
        listed = (*found.not_found_ids, *found.truncated_ids)
        found.size_bytes += sum(len(listed_id.encode()) + _ENTRY_OVERHEAD_BYTES for listed_id in listed)
        self._check_size(found)
        return found

    @contextmanager
    def _reading(
        self, ids: Sequence[str], max_depth: int, deadline_s: float, tag: Tag, withdrawal: Withdrawal
    ) -> Iterator[Reading]:
        statement = expand_ids(self._split_ancestors, "ids", len(ids))
        binds = split_binds(ids, max_depth)
        with (
            self._lane.read(
                statement, binds, schema=SPLIT_SCHEMA, deadline_s=deadline_s, tag=tag, withdrawn=withdrawal.event
            ) as reading,
            withdrawal.cancels(reading),
        ):
            yield reading

    def _take(self, batches: Iterable[pa.RecordBatch], found: SplitAncestors) -> None:
        for batch in batches:
            found.add(batch)
            self._check_size(found)

    def _check_size(self, found: SplitAncestors) -> None:
        if found.size_bytes > self._max_size_bytes:
            raise AncestryTooLarge(self._max_size_bytes, found.size_bytes)


def load_split_ancestors(alternative: str) -> Statement:
    """Return the statement of split ancestors in one of its texts, `connect_by` or `recursive_with`."""
    return load(Path(__file__).parent / "sql" / "split_ancestors.sql", alternative=alternative)


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + MAX_ID_COUNT] for start in range(0, len(ids), MAX_ID_COUNT)]


def split_binds(ids: Sequence[str], max_depth: int) -> Mapping[str, Bind]:
    """Return the values of the statement that `expand_ids` made of split ancestors."""
    return {**id_binds("ids", [container_id.ljust(_ID_WIDTH) for container_id in ids]), "max_depth": max_depth}


def _truncated(child_to_parent: Mapping[str, str], seeds: Sequence[str], max_depth: int) -> list[str]:
    nodes = sorted({*child_to_parent, *child_to_parent.values()})
    number_of = {node: number for number, node in enumerate(nodes)}
    parents = np.full(len(nodes), graph.NO_PARENT, dtype=np.int32)
    children = np.fromiter((number_of[child] for child in child_to_parent), np.int32, len(child_to_parent))
    parents[children] = np.fromiter(
        (number_of[parent] for parent in child_to_parent.values()), np.int32, len(child_to_parent)
    )
    starts = np.array([number_of[seed] for seed in seeds if seed in number_of], dtype=np.int32)
    return [nodes[number] for number in graph.cut_ends(parents, graph.walk_up(parents, starts, max_depth))]
