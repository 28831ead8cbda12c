"""Answers as Arrow tables, for those of any size: no Python object per row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from sluice.lineage.v1 import lineage_service_pb2 as pb

from sluice_lineage.families import type_column
from sluice_lineage.kinship import EDGE_TYPES, ForwardTree, FullGenealogy, Kin

_KIN_TABLES = (pb.GENEALOGY_TABLE_EDGES, pb.GENEALOGY_TABLE_NODES)

TABLES = {
    pb.GENEALOGY_KIND_FULL: (
        *_KIN_TABLES,
        pb.GENEALOGY_TABLE_ANCESTORS,
        pb.GENEALOGY_TABLE_SEEDS,
        pb.GENEALOGY_TABLE_TRUNCATED,
    ),
    pb.GENEALOGY_KIND_FORWARD: (
        *_KIN_TABLES,
        pb.GENEALOGY_TABLE_SEEDS,
        pb.GENEALOGY_TABLE_SERIALS,
        pb.GENEALOGY_TABLE_TRUNCATED,
    ),
}
"""The tables that each kind of genealogy has."""


def table_of(found: Kin, table: pb.GenealogyTable.ValueType) -> Any:
    """Return a table of an answer; it has to be one of its kind."""
    ids = found.family.ids()
    if table == pb.GENEALOGY_TABLE_EDGES:
        return _edges(found, ids)
    if table == pb.GENEALOGY_TABLE_NODES:
        return _nodes(found, ids)
    if table == pb.GENEALOGY_TABLE_SEEDS:
        return _seeds(found, ids)
    if table == pb.GENEALOGY_TABLE_ANCESTORS:
        assert isinstance(found, FullGenealogy)
        return _ancestors(found, ids)
    if table == pb.GENEALOGY_TABLE_SERIALS:
        assert isinstance(found, ForwardTree)
        return _serials(found, ids)
    return pa.table({"container_id": ids.take(pa.array(found.cut))})


def _edges(found: Kin, ids: Any) -> Any:
    kinds = pa.array(found.edges.types.astype(np.int32))
    return pa.table(
        {
            "from_cid": ids.take(pa.array(found.edges.tails)),
            "to_cid": ids.take(pa.array(found.edges.heads)),
            "edge_type": pa.DictionaryArray.from_arrays(kinds, pa.array(EDGE_TYPES)),
        }
    )


def _nodes(found: Kin, ids: Any) -> Any:
    texts = found.family.texts()
    return pa.table(
        {
            "container_id": ids,
            "container_name": texts.column("container_name"),
            "mfgorder_name": texts.column("mfgorder_name"),
            "wafer_lot": texts.column("first_name"),
            "node_type": type_column(found.types),
        }
    )


def _ancestors(found: FullGenealogy, ids: Any) -> Any:
    return pa.table(
        {
            "seed_id": ids.take(pa.array(found.seeds[found.pairs.owners])),
            "ancestor_id": ids.take(pa.array(found.pairs.nodes)),
        }
    )


def _seeds(found: Kin, ids: Any) -> Any:
    columns = {"seed_id": ids.take(pa.array(found.seeds)), "found": pa.array(~found.missing)}
    if isinstance(found, FullGenealogy):
        roots = pa.array(found.roots)
        columns["root_id"] = ids.take(roots)
        columns["root_name"] = found.family.texts().column("container_name").take(roots)
    return pa.table(columns)


def _serials(found: ForwardTree, ids: Any) -> Any:
    return pa.table(
        {
            "container_id": ids.take(pa.array(found.leaves[found.serials.owners])),
            "serial_number": found.family.store.serials(found.serials.nodes),
        }
    )
