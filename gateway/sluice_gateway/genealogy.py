"""Genealogies as JSON, put together from their tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pyarrow as pa
from sluice.lineage.v1 import lineage_service_pb2 as pb

_MERGE: Final = "merge_source"


def genealogy_json(tables: Mapping[int, pa.Table]) -> dict[str, object]:
    """Return the fields of a full genealogy from all its tables."""
    edges = tables[pb.GENEALOGY_TABLE_EDGES].to_pylist()
    seeds = tables[pb.GENEALOGY_TABLE_SEEDS].to_pylist()
    ancestors: dict[str, list[str]] = {seed["seed_id"]: [] for seed in seeds}
    for pair in tables[pb.GENEALOGY_TABLE_ANCESTORS].to_pylist():
        ancestors[pair["seed_id"]].append(pair["ancestor_id"])
    return {
        "ancestors": ancestors,
        "parent_map": _parents(edges),
        "merge_edges": _parents([edge for edge in edges if edge["edge_type"] == _MERGE]),
        "seed_roots": {seed["seed_id"]: seed["root_name"] or seed["root_id"] for seed in seeds},
        **_kin_json(tables),
    }


def forward_tree_json(tables: Mapping[int, pa.Table]) -> dict[str, object]:
    """Return the fields of a forward tree from all its tables."""
    serials: dict[str, list[str]] = {}
    for row in tables[pb.GENEALOGY_TABLE_SERIALS].to_pylist():
        serials.setdefault(row["container_id"], []).append(row["serial_number"])
    # Merges lead out of the families, so they are among the edges and not in the tree.
    tree = [edge for edge in tables[pb.GENEALOGY_TABLE_EDGES].to_pylist() if edge["edge_type"] != _MERGE]
    older = {edge["from_cid"] for edge in tree} | set(tables[pb.GENEALOGY_TABLE_SEEDS].column("seed_id").to_pylist())
    return {
        "roots": sorted(older - {edge["to_cid"] for edge in tree}),
        "children_map": _children(tree),
        "leaf_serials": serials,
        "total_nodes": tables[pb.GENEALOGY_TABLE_NODES].num_rows,
        **_kin_json(tables),
    }


def _kin_json(tables: Mapping[int, pa.Table]) -> dict[str, object]:
    nodes = tables[pb.GENEALOGY_TABLE_NODES].to_pylist()
    seeds = tables[pb.GENEALOGY_TABLE_SEEDS].to_pylist()
    return {
        "cid_to_name": {node["container_id"]: node["container_name"] for node in nodes if node["container_name"]},
        "nodes": {node["container_id"]: node for node in nodes},
        "edges": tables[pb.GENEALOGY_TABLE_EDGES].to_pylist(),
        "not_found_ids": [seed["seed_id"] for seed in seeds if not seed["found"]],
        "truncated_ids": tables[pb.GENEALOGY_TABLE_TRUNCATED].column("container_id").to_pylist(),
    }


def _parents(edges: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the containers that each came from, each once, in id order."""
    return _grouped((edge["to_cid"], edge["from_cid"]) for edge in edges)


def _children(edges: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the containers that came from each, each once, in id order."""
    return _grouped((edge["from_cid"], edge["to_cid"]) for edge in edges)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for key, value in pairs:
        found.setdefault(key, set()).add(value)
    return {key: sorted(values) for key, values in found.items()}
