"""The stages of a dataset: what a `[parts.*]` table with a `source` says of a table that lineage computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
import sqlglot
from sqlglot import exp

from sluice_query_engine.dataset import Parameter
from sluice_query_engine.parts import Part, Stage
from sluice_query_engine.toml_section import Section

CONTAINERS: Final = "containers"
"""The source that resolves what people type."""
CONTAINER_KINDS: Final = (
    "lot",
    "lot_id",
    "wafer_lot",
    "work_order",
    "gd_work_order",
    "gd_lot",
    "gd_lot_id",
    "serial_number",
)
"""What typed values may be: the values that a `kind_parameter` may have."""

_CONTAINERS_SCHEMA: Final = pa.schema(
    {
        "input_value": pa.string(),
        "container_id": pa.string(),
        "lot_id": pa.string(),
        "spec_name": pa.string(),
        "qty": pa.float64(),
        "match_source": pa.string(),
    }
)
_NODES: Final = {
    name: pa.string() for name in ("container_id", "container_name", "mfgorder_name", "wafer_lot", "node_type")
}
_EDGES: Final = {"from_cid": pa.string(), "to_cid": pa.string(), "edge_type": pa.string()}
LINEAGE_TABLES: Final[Mapping[str, Mapping[str, pa.Schema]]] = {
    "lineage.ancestors": {
        "ancestors": pa.schema({"seed_id": pa.string(), "ancestor_id": pa.string()}),
        "seeds": pa.schema(
            {"seed_id": pa.string(), "found": pa.bool_(), "root_id": pa.string(), "root_name": pa.string()}
        ),
        "edges": pa.schema(_EDGES),
        "nodes": pa.schema(_NODES),
    },
    "lineage.descendants": {
        "edges": pa.schema(_EDGES),
        "nodes": pa.schema(_NODES),
        "seeds": pa.schema({"seed_id": pa.string(), "found": pa.bool_()}),
        "serials": pa.schema({"container_id": pa.string(), "serial_number": pa.string()}),
    },
}
"""Columns of each table of a genealogy; the first table of each is the one meant when none is named."""
_DICTIONARY: Final = frozenset({"input_value", "spec_name", "match_source", "edge_type", "node_type"})
_EVENTS: Final = "events."


def read_stage(
    name: str,
    section: Section,
    before: Mapping[str, Part | Stage],
    parameters: Sequence[Parameter],
    columns: tuple[pa.Schema, tuple[str, ...]] | None,
) -> Stage:
    """Return the stage of a table.

    Args:
        name: its name.
        section: what is declared.
        before: parts and stages written above it.
        parameters: of the dataset.
        columns: what `[parts.<name>.columns]` declares; None where there is no such table.

    Raises:
        CatalogError: a key is missing, unknown or wrong, or ids come from what is not written above.
    """
    source = section.text("source")
    if source == CONTAINERS:
        stage = _containers(name, section, parameters)
    elif source in LINEAGE_TABLES:
        tables = LINEAGE_TABLES[source]
        table = section.optional_text("table") or next(iter(tables))
        if table not in tables:
            raise section.error("table", f"is {table!r}, not one of {', '.join(tables)}")
        schema = tables[table]
        dictionary = tuple(column for column in schema.names if column in _DICTIONARY)
        stage = Stage(name, schema, source, *ids_from(section, before), table, dictionary_columns=dictionary)
    elif source.startswith(_EVENTS) and columns is not None:
        stage = Stage(name, columns[0], source, *ids_from(section, before), dictionary_columns=columns[1])
    else:
        sources = ", ".join((CONTAINERS, *LINEAGE_TABLES, "events.<domain> with [columns]"))
        raise section.error("source", f"is {source!r}, not one of {sources}")
    if columns is not None and not source.startswith(_EVENTS):
        raise section.error("columns", f"are given by the source {source}")
    section.close()
    return stage


def ids_from(section: Section, before: Mapping[str, Part | Stage]) -> tuple[str, tuple[str, ...]]:
    """Return the SELECT of ids and the tables it reads, after checking that these are written above."""
    text = section.text("ids_from")
    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except sqlglot.errors.ParseError as error:
        raise section.error("ids_from", f"does not compile: {str(error).splitlines()[0]}") from error
    sources = _tables_of(tree)
    for table in sources:
        there = before.get(table)
        if there is None or (isinstance(there, Part) and there.renews):
            raise section.error("ids_from", f"{table!r} is not a table written above this one")
    return text, sources


def _tables_of(tree: exp.Expr) -> tuple[str, ...]:
    """Return the names of the tables that a SELECT reads, those it defines itself left out."""
    own = {item.alias for item in tree.find_all(exp.CTE)}
    return tuple(dict.fromkeys(item.name for item in tree.find_all(exp.Table) if item.name not in own))


def _containers(name: str, section: Section, parameters: Sequence[Parameter]) -> Stage:
    by_name = {item.name: item for item in parameters}
    values, kind = section.text("values_parameter"), section.text("kind_parameter")
    if values not in by_name or by_name[values].type != "text_list":
        raise section.error("values_parameter", f"{values!r} is not a text_list among the parameters")
    if kind not in by_name or by_name[kind].type != "choice":
        raise section.error("kind_parameter", f"{kind!r} is not a choice among the parameters")
    for choice in by_name[kind].choices:
        if choice not in CONTAINER_KINDS:
            raise section.error("kind_parameter", f"{choice!r} is not one of {', '.join(CONTAINER_KINDS)}")
    dictionary = tuple(column for column in _CONTAINERS_SCHEMA.names if column in _DICTIONARY)
    return Stage(
        name,
        _CONTAINERS_SCHEMA,
        CONTAINERS,
        values_parameter=values,
        kind_parameter=kind,
        dictionary_columns=dictionary,
    )
