"""A full genealogy as JSON, put together from its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
from sluice.lineage.v1 import lineage_service_pb2 as pb


def genealogy_json(tables: Mapping[int, pa.Table]) -> dict[str, object]:
    """Return the fields of a genealogy from all its tables."""
    edges = tables[pb.GENEALOGY_TABLE_EDGES].to_pylist()
    nodes = tables[pb.GENEALOGY_TABLE_NODES].to_pylist()
    seeds = tables[pb.GENEALOGY_TABLE_SEEDS].to_pylist()
    ancestors: dict[str, list[str]] = {seed["seed_id"]: [] for seed in seeds}
    for pair in tables[pb.GENEALOGY_TABLE_ANCESTORS].to_pylist():
        ancestors[pair["seed_id"]].append(pair["ancestor_id"])
    return {
        "ancestors": ancestors,
        "cid_to_name": {node["container_id"]: node["container_name"] for node in nodes if node["container_name"]},
        "parent_map": _parents(edges),
        "merge_edges": _parents([edge for edge in edges if edge["edge_type"] == "merge_source"]),
        "seed_roots": {seed["seed_id"]: seed["root_name"] or seed["root_id"] for seed in seeds},
        "nodes": {node["container_id"]: node for node in nodes},
        "edges": edges,
        "not_found_ids": [seed["seed_id"] for seed in seeds if not seed["found"]],
        "truncated_ids": tables[pb.GENEALOGY_TABLE_TRUNCATED].column("container_id").to_pylist(),
    }


def _parents(edges: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the containers that each came from, each once, in id order."""
    found: dict[str, set[str]] = {}
    for edge in edges:
        found.setdefault(edge["to_cid"], set()).add(edge["from_cid"])
    return {child: sorted(parents) for child, parents in found.items()}
