"""Names and types of a result's columns as Oracle describes them, read off the parsed query and its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import pyarrow as pa
from sqlglot import exp

from sluice_twin.oracle_wire.columns import (
    BINARY_DOUBLE,
    COUNT,
    DATE,
    LONGEST_VARCHAR2,
    NOTHING,
    NUMBER,
    TIMESTAMP,
    ColumnType,
    ResultColumn,
    char,
    number,
    type_of_arrow,
    varchar2,
)
from sluice_twin.oracle_wire.protocol import OracleType
from sluice_twin.oracle_wire.schema import ServedSchema, is_star

Known: TypeAlias = "list[tuple[str, ColumnType | None, bool]]"
"""Name, type where it can be told, and nullability of each column of a query."""
Sources: TypeAlias = "dict[str, Known]"

_LARGEST_INTEGER: Final = 38
_FAMILIES: Final[Mapping[OracleType, str]] = {
    OracleType.VARCHAR2: "text",
    OracleType.CHAR: "text",
    OracleType.NUMBER: "number",
    OracleType.BINARY_DOUBLE: "number",
    OracleType.DATE: "time",
    OracleType.TIMESTAMP: "time",
    OracleType.RAW: "bytes",
}
_INTEGER: Final = number(_LARGEST_INTEGER, 0)
_UNSIZED: Final[Mapping[str, ColumnType]] = {
    "INT": _INTEGER,
    "BIGINT": _INTEGER,
    "SMALLINT": _INTEGER,
    "DATE": DATE,
    "TIMESTAMP": TIMESTAMP,
    "DOUBLE": BINARY_DOUBLE,
}


def describe(query: exp.Expr, schema: ServedSchema, fields: Sequence[Any]) -> tuple[ResultColumn, ...]:
    """Return the columns of a result.

    Args:
        query: as the client wrote it.
        schema: declared types of the tables.
        fields: Arrow fields of the result, which decide where the query does not tell.
    """
    known = _columns(query, schema, {})
    quoted = {name.name for name in query.find_all(exp.Identifier) if name.args.get("quoted")}
    fits = known is not None and len(known) == len(fields)
    columns = []
    for position, field in enumerate(fields):
        fallback = type_of_arrow(field.type)
        name, column_type, nullable = known[position] if known is not None and fits else (field.name, None, True)
        if column_type is None or not _agree(column_type, fallback, field.type):
            column_type = fallback
        columns.append(ResultColumn(name if name in quoted else name.upper(), column_type, nullable))
    return tuple(columns)


def _agree(declared: ColumnType, actual: ColumnType, kind: Any) -> bool:
    if declared is NOTHING:
        return bool(pa.types.is_null(kind) or kind == pa.int32())
    return pa.types.is_null(kind) or _FAMILIES[declared.kind] == _FAMILIES[actual.kind]


def _columns(query: exp.Expr, schema: ServedSchema, outer: Sources) -> Known | None:
    """Return what is known of a query's columns; None where not even their number is."""
    named = dict(outer)
    clause = query.args.get("with_")
    for expression in clause.expressions if clause else ():
        made = _columns(expression.this, schema, named)
        if made is not None:
            names = [column.name for column in expression.args["alias"].columns]
            named[expression.alias.upper()] = _renamed(made, names)
    if isinstance(query, exp.SetOperation):
        return _columns(query.left, schema, named)
    if isinstance(query, exp.Subquery):
        return _columns(query.this, schema, named)
    if not isinstance(query, exp.Select):
        return None
    sources = _sources(query, schema, named)
    columns: Known = []
    for projection in query.expressions:
        if is_star(projection):
            stars = _expand(projection, sources)
            if stars is None:
                return None
            columns += stars
        else:
            columns.append(_projected(projection, sources))
    return columns


def _renamed(columns: Known, names: Sequence[str]) -> Known:
    if len(names) != len(columns):
        return columns
    return [(name, kind, nullable) for name, (_, kind, nullable) in zip(names, columns, strict=True)]


def _sources(select: exp.Select, schema: ServedSchema, named: Sources) -> Sources:
    sources: Sources = {}
    joins = select.args.get("joins") or ()
    for clause in [select.args.get("from_"), *joins]:
        source = clause.this if clause is not None else None
        if isinstance(source, exp.Table):
            sources[source.alias_or_name.upper()] = _table(source, schema, named)
        elif isinstance(source, exp.Subquery):
            sources[source.alias.upper()] = _columns(source.this, schema, named) or []
    return sources


def _table(table: exp.Table, schema: ServedSchema, named: Sources) -> Known:
    if not table.db and table.name.upper() in named:
        return named[table.name.upper()]
    served = schema.find(table)
    return [(column.name, column.type, column.nullable) for column in served.columns] if served else []


def _expand(star: exp.Expr, sources: Sources) -> Known | None:
    chosen = [sources.get(star.table.upper(), [])] if isinstance(star, exp.Column) else list(sources.values())
    return [column for columns in chosen for column in columns] if chosen and all(chosen) else None


def _projected(projection: exp.Expr, sources: Sources) -> tuple[str, ColumnType | None, bool]:
    value = projection.unalias()
    if isinstance(value, exp.Column):
        found = _lookup(value, sources)
        kind, nullable = (found[1], found[2]) if found else (None, True)
        return projection.alias_or_name, kind, nullable
    # An expression without a name is called by its text without blanks.
    name = projection.alias or value.sql(dialect="oracle").replace(" ", "")
    return name, _infer(value, sources), True


def _lookup(column: exp.Column, sources: Sources) -> tuple[str, ColumnType | None, bool] | None:
    name = column.name.upper()
    for alias, columns in sources.items():
        if column.table and column.table.upper() != alias:
            continue
        for found in columns:
            if found[0].upper() == name:
                return found
    return None


def _infer(value: exp.Expr, sources: Sources) -> ColumnType | None:
    """Return the type of an expression, None where it takes the values to tell."""
    kind: ColumnType | None = None
    match value:
        case exp.Column():
            found = _lookup(value, sources)
            kind = found[1] if found else None
        case exp.Null():
            kind = NOTHING
        case exp.Count():
            kind = COUNT
        case exp.Literal():
            kind = char(max(1, len(value.this))) if value.is_string else NUMBER
        case exp.Cast():
            kind = _cast(value.to)
        case exp.Window():
            inner = _infer(value.this, sources)
            kind = NUMBER if inner is COUNT else inner
        case exp.Paren() | exp.Prior() | exp.Min() | exp.Max() | exp.Nullif():
            kind = _infer(value.this, sources)
        case exp.Coalesce():
            kind = _merged([value.this, *value.expressions], sources)
        case exp.Case():
            branches = [branch.args["true"] for branch in value.args["ifs"]]
            kind = _merged([*branches, *filter(None, [value.args.get("default")])], sources)
        case exp.Trim() | exp.Upper() | exp.Lower() | exp.Substring():
            inner = _infer(value.this, sources)
            kind = varchar2(inner.size_bytes) if inner and _FAMILIES[inner.kind] == "text" else None
    return kind


def _cast(to: exp.DataType) -> ColumnType | None:
    sizes = [int(size.name) for size in to.expressions if size.name.isdigit()]
    name = to.this.name if hasattr(to.this, "name") else str(to.this)
    fixed = _UNSIZED.get(name)
    if fixed is not None:
        return fixed
    match name:
        case "DECIMAL" | "NUMBER":
            return number(sizes[0], sizes[1] if len(sizes) > 1 else 0) if sizes else NUMBER
        case "VARCHAR" | "NVARCHAR":
            return varchar2(sizes[0] if sizes else LONGEST_VARCHAR2)
        case "CHAR" | "NCHAR":
            return char(sizes[0] if sizes else 1)
    return None


def _merged(values: Sequence[exp.Expr], sources: Sources) -> ColumnType | None:
    """Return one type for alternatives: their own where they agree, else the wider of its family."""
    kinds = [kind for kind in (_infer(value, sources) for value in values) if kind is not NOTHING]
    found = [kind for kind in kinds if kind is not None]
    if not found or len(found) != len(kinds):
        return None
    if all(kind == found[0] for kind in found):
        return found[0]
    families = {_FAMILIES[kind.kind] for kind in found}
    if families == {"text"}:
        return varchar2(max(kind.size_bytes for kind in found))
    return NUMBER if families == {"number"} else None
