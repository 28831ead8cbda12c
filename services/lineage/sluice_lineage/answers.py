"""Answers as the dictionaries of the contract, for those that fit into one message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final, Protocol, TypeVar

import numpy as np
from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.table.v1 import table_pb2

from sluice_lineage.errors import AncestryTooLarge
from sluice_lineage.families import NODE_TYPES
from sluice_lineage.genealogy import Neighbours, SplitAncestors, SplitDescendants
from sluice_lineage.graph import Arcs, Nodes, Pairs
from sluice_lineage.kinship import EDGE_TYPES, MERGE, REWORK, SPLIT, WAFER, ForwardTree, FullGenealogy, Kin

_ENTRY_BYTES: Final = 12
"""What one entry of an answer needs on the wire beside its texts, at most."""
_ID_BYTES: Final = 18
"""An id in a list, with its tag and length."""


class _Message(Protocol):
    def ByteSize(self) -> int: ...


Made = TypeVar("Made", bound=_Message)


class Answers:
    """Makes messages.

    Args:
        max_size_bytes: most that one may need on the wire.
    """

    def __init__(self, *, max_size_bytes: int) -> None:
        self._max_size_bytes = max_size_bytes

    def split_ancestors(self, found: SplitAncestors, receipt: table_pb2.Receipt) -> pb.ResolveSplitAncestorsResponse:
        """Return child to parent, and names."""
        self._expect(len(found.family) * (2 * _ID_BYTES + _ENTRY_BYTES))
        ids = found.family.ids()
        children = np.flatnonzero(found.parents >= 0)
        answer = pb.ResolveSplitAncestorsResponse(
            child_to_parent=_entries(ids, children, found.parents[children]),
            container_names=_names(found, np.flatnonzero(found.read)),
            not_found_ids=_taken(ids, found.seeds[found.missing]),
            truncated_ids=_taken(ids, found.cut),
            receipt=receipt,
        )
        return self._checked(answer)

    def split_descendants(
        self, found: SplitDescendants, receipt: table_pb2.Receipt
    ) -> pb.ResolveSplitDescendantsResponse:
        """Return parent to children, and names."""
        self._expect(len(found.family) * (2 * _ID_BYTES + _ENTRY_BYTES))
        ids = found.family.ids()
        answer = pb.ResolveSplitDescendantsResponse(
            container_names=_names(found, np.arange(len(found.family))),
            not_found_ids=_taken(ids, found.seeds[found.missing]),
            truncated_ids=_taken(ids, found.cut),
            receipt=receipt,
        )
        _put_arcs(answer.children_map, ids, found.children)
        return self._checked(answer)

    def merge_sources(self, found: Neighbours, receipt: table_pb2.Receipt) -> pb.ResolveMergeSourcesResponse:
        """Return combined lot to its sources."""
        self._expect(len(found.pairs) * _ID_BYTES)
        answer = pb.ResolveMergeSourcesResponse(receipt=receipt)
        _put_pairs(answer.merge_sources, found)
        return self._checked(answer)

    def merge_targets(self, found: Neighbours, receipt: table_pb2.Receipt) -> pb.ResolveMergeTargetsResponse:
        """Return lot to the combined lots it went into."""
        self._expect(len(found.pairs) * _ID_BYTES)
        answer = pb.ResolveMergeTargetsResponse(receipt=receipt)
        _put_pairs(answer.merge_targets, found)
        return self._checked(answer)

    def leaf_serials(self, found: Neighbours, receipt: table_pb2.Receipt) -> pb.ResolveLeafSerialsResponse:
        """Return container to its serials."""
        self._expect(len(found.pairs) * _ENTRY_BYTES)
        answer = pb.ResolveLeafSerialsResponse(receipt=receipt)
        owners = _taken(found.family.ids(), found.seeds)
        _put_serials(answer.leaf_serials, owners, found.family.store.serials(found.pairs.nodes), found.pairs)
        return self._checked(answer)

    def full_genealogy(self, found: FullGenealogy, receipt: table_pb2.Receipt) -> pb.ResolveFullGenealogyResponse:
        """Return ancestors, parents, roots, nodes and edges."""
        self._expect((len(found.pairs) + 3 * len(found.edges.tails) + 3 * len(found.family)) * _ID_BYTES)
        size = len(found.family)
        ids = found.family.ids()
        seed_ids = _taken(ids, found.seeds)
        names = found.family.texts().column("container_name").to_pylist()
        answer = pb.ResolveFullGenealogyResponse(
            container_names=_names(found, np.arange(size)),
            nodes=_nodes(found, ids),
            edges=_edges(found, ids),
            not_found_ids=_taken(ids, found.seeds[found.missing]),
            truncated_ids=_taken(ids, found.cut),
            merge_hop_count=found.hop_count,
            receipt=receipt,
        )
        for seed, group in zip(seed_ids, _groups(len(seed_ids), found.pairs), strict=True):
            answer.ancestors[seed].container_ids.extend(_taken(ids, group))
        for seed, root in zip(seed_ids, found.roots.tolist(), strict=True):
            answer.seed_roots[seed] = names[root] or ids[root].as_py()
        _put_arcs(answer.parent_map, ids, found.edges.back(size, SPLIT, MERGE, WAFER, REWORK))
        _put_arcs(answer.merge_edges, ids, found.edges.back(size, MERGE))
        return self._checked(answer)

    def forward_tree(self, found: ForwardTree, receipt: table_pb2.Receipt) -> pb.ResolveForwardTreeResponse:
        """Return roots, children, serials of leaves, nodes and edges."""
        self._expect((3 * len(found.edges.tails) + 3 * len(found.family)) * _ID_BYTES)
        size = len(found.family)
        ids = found.family.ids()
        answer = pb.ResolveForwardTreeResponse(
            roots=_taken(ids, found.roots),
            container_names=_names(found, np.arange(size)),
            total_nodes=size,
            nodes=_nodes(found, ids),
            edges=_edges(found, ids),
            not_found_ids=_taken(ids, found.seeds[found.missing]),
            truncated_ids=_taken(ids, found.cut),
            receipt=receipt,
        )
        _put_arcs(answer.children_map, ids, found.edges.arcs(size, SPLIT, WAFER, REWORK))
        serials = found.family.store.serials(found.serials.nodes)
        _put_serials(answer.leaf_serials, _taken(ids, found.leaves), serials, found.serials)
        return self._checked(answer)

    def _expect(self, least_bytes: int) -> None:
        # Known to be too large before a Python object is made for each entry.
        if least_bytes > 2 * self._max_size_bytes:
            raise AncestryTooLarge(self._max_size_bytes, least_bytes)

    def _checked(self, answer: Made) -> Made:
        if answer.ByteSize() > self._max_size_bytes:
            raise AncestryTooLarge(self._max_size_bytes, answer.ByteSize())
        return answer


def _taken(ids: Any, positions: Any) -> list[str]:
    taken: list[str] = ids.take(positions).to_pylist()
    return taken


def _entries(ids: Any, keys: Any, values: Any) -> Mapping[str, str]:
    return dict(zip(_taken(ids, keys), _taken(ids, values), strict=True))


def _names(found: SplitAncestors | SplitDescendants | Kin, positions: Any) -> Mapping[str, str]:
    named = found.family.texts().column("container_name").take(positions).to_pylist()
    pairs = zip(_taken(found.family.ids(), positions), named, strict=True)
    return {container_id: name for container_id, name in pairs if name is not None}


def _nodes(found: Kin, ids: Any) -> Mapping[str, pb.Node]:
    texts = found.family.texts()
    columns = [texts.column(name).to_pylist() for name in ("container_name", "mfgorder_name", "first_name")]
    rows = zip(ids.to_pylist(), *columns, found.types.tolist(), strict=True)
    return {
        container_id: pb.Node(
            container_id=container_id,
            container_name=name or "",
            mfgorder_name=order or "",
            wafer_lot=wafer or "",
            node_type=NODE_TYPES[kind],
        )
        for container_id, name, order, wafer, kind in rows
    }


def _edges(found: Kin, ids: Any) -> Iterable[pb.Edge]:
    rows = zip(_taken(ids, found.edges.tails), _taken(ids, found.edges.heads), found.edges.types.tolist(), strict=True)
    return [pb.Edge(from_cid=tail, to_cid=head, edge_type=_PROTO_TYPES[kind]) for tail, head, kind in rows]


_PROTO_TYPES: Final = tuple(pb.EdgeType.Value(f"EDGE_TYPE_{name.upper()}") for name in EDGE_TYPES)


def _groups(owner_count: int, pairs: Pairs) -> Iterator[Nodes]:
    bounds = np.searchsorted(pairs.owners, np.arange(owner_count + 1))
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield pairs.nodes[start:end]


def _put_arcs(target: MutableMapping[str, pb.ContainerIds], ids: Any, arcs: Arcs) -> None:
    tails = np.flatnonzero(np.diff(arcs.offsets))
    for tail, container_id in zip(tails.tolist(), _taken(ids, tails), strict=True):
        heads = arcs.heads[arcs.offsets[tail] : arcs.offsets[tail + 1]]
        target[container_id].container_ids.extend(_taken(ids, heads))


def _put_pairs(target: MutableMapping[str, pb.ContainerIds], found: Neighbours) -> None:
    ids = found.family.ids()
    owners = _taken(ids, found.seeds)
    for owner, group in zip(owners, _groups(len(owners), found.pairs), strict=True):
        if len(group):
            target[owner].container_ids.extend(_taken(ids, group))


def _put_serials(target: MutableMapping[str, pb.SerialNumbers], owners: list[str], texts: Any, pairs: Pairs) -> None:
    for owner, text in zip(pairs.owners.tolist(), texts.to_pylist(), strict=True):
        target[owners[owner]].serial_numbers.append(text)
