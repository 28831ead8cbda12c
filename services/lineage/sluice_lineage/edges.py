"""Edges of the genealogy that were read, as whoever walks them needs them: the port, and what is put into it.

Containers and serials are numbers here; the store gives them out and knows their texts. A number means the same as long
as the store lives.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from sluice_warehouse.schema import parse_schema

from sluice_lineage.graph import Flags, Nodes, Pairs

CONTAINER_SCHEMA: Final = parse_schema(
    {
        "container_id": "string",
        "parent_id": "string",
        "container_name": "string",
        "mfgorder_name": "string",
        "object_type": "string",
        "first_name": "string",
        "original_id": "string",
    }
)
"""A container with the lot it was split from."""
SPLIT_EDGE_SCHEMA: Final = parse_schema({"container_id": "string", "parent_id": "string"})
"""A lot that was split from another."""
MERGE_SCHEMA: Final = parse_schema({"target_id": "string", "source_id": "string", "serial_number": "string"})
"""A lot inside a combined lot."""


class Relation(StrEnum):
    """What is asked of a key; each has its own knowledge of which keys were read."""

    LOTS = "lots"
    """Of a container: whether there is one, what it was split from, its texts."""
    CHILDREN = "children"
    """Of a container: what was split from it."""
    SOURCES = "sources"
    """Of a combined lot: what was merged into it."""
    TARGETS = "targets"
    """Of a lot: what it was merged into, and its serials."""
    NAMED = "named"
    """Of a name: the lots that have it."""


@dataclass(frozen=True)
class EdgeBatch:
    """What one statement, or several alike, read."""

    relation: Relation
    rows: Any
    """Arrow table: merges (`MERGE_SCHEMA`) for sources and targets, else containers (`CONTAINER_SCHEMA`); split edges
    (`SPLIT_EDGE_SCHEMA`) where all children were read."""
    keys: Any
    """Arrow text: keys of which these are all rows; a key without rows has none. None: of every key there is."""
    read_s: float
    """When, in seconds since 1970."""


class EdgeStore(Protocol):
    """Keeps edges; may be used from several threads at once.

    Numbers are of containers, but for `NAMED`, whose keys are numbers of `number_names`.
    """

    def number(self, container_ids: Any) -> Nodes:
        """Return the numbers of ids in an Arrow text array; -1 for NULL."""
        ...

    def number_names(self, names: Any) -> Nodes:
        """Return the numbers of names in an Arrow text array; -1 for NULL."""
        ...

    def ids(self, nodes: Nodes) -> Any:
        """Return the ids of containers as Arrow text; NULL for -1."""
        ...

    def serials(self, numbers: Nodes) -> Any:
        """Return the texts of serials or names as Arrow text; NULL for -1."""
        ...

    def order(self, nodes: Nodes) -> Any:
        """Return the positions that put containers in id order."""
        ...

    def unknown(
        self, relation: Relation, keys: Nodes, now_s: float, *, since_s: float = 0.0, stale: bool = False
    ) -> Flags:
        """Return which keys have to be read: never read, before `since_s`, or too long ago unless `stale` will do."""
        ...

    def fill(self, relation: Relation, keys: Nodes, now_s: float) -> int:
        """Get what others have read since, where keys are unknown; return how many sets of edges that were."""
        ...

    def oldest(self, relation: Relation, keys: Nodes) -> float:
        """Return when the oldest of these known keys was read, in seconds since 1970; infinity for no key."""
        ...

    def add(self, batch: EdgeBatch) -> None:
        """Take in what was read; it replaces what was known of its keys."""
        ...

    def exists(self, nodes: Nodes) -> Flags:
        """Return which containers the warehouse knows, as far as read."""
        ...

    def parents(self, nodes: Nodes) -> Nodes:
        """Return what each container was split from; -1 for nothing, or not read."""
        ...

    def origins(self, nodes: Nodes) -> Nodes:
        """Return the original container of each; -1 for none, or not read."""
        ...

    def texts(self, nodes: Nodes) -> Any:
        """Return name, work order, object type and wafer lot of each container as an Arrow table; NULL if not read."""
        ...

    def neighbours(self, relation: Relation, keys: Nodes) -> Pairs:
        """Return what a relation leads to, owned by positions in `keys`; the same one may come twice."""
        ...

    def serials_of(self, nodes: Nodes) -> Pairs:
        """Return the serial numbers of containers whose targets were read, owned by positions in `nodes`."""
        ...
