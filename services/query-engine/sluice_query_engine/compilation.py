"""Compiling a dataset's SQL on zero rows, before anybody asks: columns, binds and relations are checked at load."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import sqlglot

from sluice_query_engine import export, views
from sluice_query_engine.dataset import BindPython, Dataset, Derived, ParameterType
from sluice_query_engine.execution.manifest import clipped
from sluice_query_engine.parts import Part, Stage
from sluice_query_engine.toml_section import CatalogError
from sluice_query_engine.view import ChoiceFilter, Filter, MatchFilter, PatternFilter, SetFilter, SortKey, View

QUERY_BINDS: Final[Mapping[str, BindPython]] = {
    "start_time": datetime(2025, 1, 1),
    "end_time": datetime(2025, 1, 2),
    "start_date": date(2025, 1, 1),
    "end_date": date(2025, 1, 2),
    "as_of_time": datetime(2025, 1, 2),
}
"""Every bind that the manifest of a query with a range always brings, with a sample value of its type; without a range
it brings `as_of_time` alone. Besides these a dataset's SQL may bind its parameters that are no lists of ids and the
`<part>_start_time` and `<part>_end_time` of parts with a range of their own; a view its view parameters; a predicate
the groups of its pattern."""

_PARAMETER_SAMPLES: Final[Mapping[ParameterType, BindPython]] = {
    "date": "2025-01-01",
    "text": "",
    "choice": "",
    "integer": 0,
    "number": 0.5,
    "boolean": False,
    "text_list": [""],
}


def compile_dataset(dataset: Dataset, folder: Path) -> dict[str, pa.Schema]:
    """Return the output columns of each view, and of the main table under its own name.

    Raises:
        CatalogError: a statement does not compile, binds what nobody brings, or yields other columns than declared.
    """
    with _database().cursor() as connection:
        connection.execute("set TimeZone = 'UTC'")
        toml = folder / "dataset.toml"
        brought = query_binds(dataset)
        for part in dataset.tables:
            if part.ids_from:
                _compile_ids(connection, part, toml)
            connection.register(part.name, part.schema.empty_table())
            if dataset.clip and clipped(part):
                _compile(connection, _kept(part.name, dataset.clip), brought, toml, "clip")
        for reference in dataset.references:
            connection.register(reference.name, reference.schema.empty_table())
        derived = dataset.derived
        schema = _compile(connection, derived.sql, brought, folder, "derived")
        _check_columns(toml, "derived.columns", (column.name for column in derived.columns), schema.names)
        _check_division(dataset, folder)
        for name in (*(part.name for part in dataset.tables), *(reference.name for reference in dataset.references)):
            connection.unregister(name)
        connection.register(derived.name, schema.empty_table())
        for item in dataset.filters:
            _compile_filter(connection, dataset, item, toml)
        return {
            derived.name: schema,
            **{view.name: _compile_view(connection, dataset, view, folder) for view in dataset.views},
        }


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    # Opened once: that takes as long as to compile three statements, and a cursor sees no table of another.
    return duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})


def _check_division(dataset: Dataset, folder: Path) -> None:
    """Refuse a way to derive the main table in passes that the cache would refuse, or that would divide nothing."""
    derived, toml = dataset.derived, folder / "dataset.toml"
    if not derived.divide_by:
        if derived.steps:
            raise CatalogError(toml, "derived.divide_by", "is missing; steps are for tables derived in passes")
        return
    tree = _tree(derived.sql, folder / "derive.sql")
    order = tree.args.get("order")
    first = order.expressions[0] if order is not None else None
    if first is None or not _rises_by(first, derived.divide_by):
        raise CatalogError(toml, "derived.divide_by", f"derive.sql does not order by {derived.divide_by} first")
    columns = {name for part in dataset.tables for name in part.schema.names}
    wanted = {"derived": derived.divide_by, **{f"derived.steps.{name}": by for name, by in derived.steps.items()}}
    for where, column in wanted.items():
        # The table itself may be divided by what its steps make of the parts.
        if column not in columns | (_made(tree, derived) if where == "derived" else set()):
            raise CatalogError(toml, f"{where}.divide_by", f"{column} is a column of no part")
    # A step is taken out of the statement itself, so it cannot lie in another step.
    names = {item.alias for item in tree.ctes} if isinstance(tree, sqlglot.exp.Query) else set()
    for name in derived.steps:
        if name not in names:
            raise CatalogError(toml, f"derived.steps.{name}", "is no common table expression of derive.sql")


def _made(tree: sqlglot.exp.Expr, derived: Derived) -> set[str]:
    """Return the columns that the steps of a derived table yield."""
    ctes = tree.ctes if isinstance(tree, sqlglot.exp.Query) else []
    return {item.alias_or_name for cte in ctes if cte.alias in derived.steps for item in cte.this.selects}


def _rises_by(term: sqlglot.exp.Expression, column: str) -> bool:
    """Tell whether a term of an order is a plain column, ascending, with what has no value last: as passes are laid."""
    plain = isinstance(term.this, sqlglot.exp.Column) and term.this.name == column
    return plain and not term.args.get("desc") and not term.args.get("nulls_first")


def _compile_ids(connection: duckdb.DuckDBPyConnection, part: Part | Stage, toml: Path) -> None:
    where = f"parts.{part.name}.ids_from"
    schema = _compile(connection, part.ids_from, {}, toml, where)
    if len(schema) != 1:
        raise CatalogError(toml, where, f"yields {', '.join(schema.names)}; the ids are one column")


def query_binds(dataset: Dataset) -> dict[str, BindPython]:
    """Return a sample of every value that the manifest of a query of this dataset binds."""
    lists = dataset.id_lists
    samples = {item.name: _PARAMETER_SAMPLES[item.type] for item in dataset.parameters if item.name not in lists}
    brought = QUERY_BINDS if dataset.has_range else {"as_of_time": QUERY_BINDS["as_of_time"]}
    for part in dataset.parts:
        if part.own_range:
            samples |= {f"{part.name}_start_time": datetime(2025, 1, 1), f"{part.name}_end_time": datetime(2025, 1, 2)}
    return samples | dict(brought)


def _compile_view(connection: duckdb.DuckDBPyConnection, dataset: Dataset, view: View, folder: Path) -> pa.Schema:
    toml, path = folder / "dataset.toml", folder / "views" / f"{view.name}.sql"
    tree = _tree(view.sql, path)
    if bool(view.filters) != any(table.name == "selected" for table in tree.find_all(sqlglot.exp.Table)):
        raise CatalogError(path, "", "reads `selected` exactly when filters are declared for it")
    if view.paged:
        _compile_orders(connection, dataset, view, toml)
    elif tree.args.get("order") is None:
        raise CatalogError(path, "", "has no order by")
    bound = {item.name for item in tree.find_all(sqlglot.exp.Placeholder)}
    for item in dataset.view_parameters:
        if (item.name in view.parameters) != (item.name in bound):
            raise CatalogError(path, "", f"binds ${item.name} exactly when it is declared for it")
    [statement] = views.compose(dataset, [view.name], {})
    schema = _compile(connection, statement.sql, {**query_binds(dataset), **statement.binds}, path, "")
    _check_columns(toml, f"views.{view.name}.columns", (column.name for column in view.columns), schema.names)
    return schema


def _compile_orders(connection: duckdb.DuckDBPyConnection, dataset: Dataset, view: View, toml: Path) -> None:
    """Compile all sort keys by one statement, since each costs as much as all; who does not compile is then told."""
    keys = view.sort_keys
    whole = replace(keys[0], expression=", ".join(key.expression for key in keys))
    together = replace(dataset, views=(replace(view, sort_keys=(whole,)),))
    try:
        _compile_order(connection, together, view.name, whole, toml)
    except CatalogError:
        for key in keys:
            _compile_order(connection, dataset, view.name, key, toml)
        raise


def _compile_order(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, view: str, key: SortKey, toml: Path
) -> None:
    statement = export.rows_statement(dataset, view, {}, key.name, key.descending)
    binds = {**query_binds(dataset), **statement.binds}
    _compile(connection, statement.sql, binds, toml, f"views.{view}.sort.{key.name}")


def _compile_filter(connection: duckdb.DuckDBPyConnection, dataset: Dataset, item: Filter, toml: Path) -> None:
    binds = query_binds(dataset)
    match item:
        case ChoiceFilter() | SetFilter():
            predicates = dict(item.predicates)
        case MatchFilter():
            predicates = {"column": f"list_contains([''], {item.column})", "keeps": item.keeps}
        case PatternFilter():
            predicates = dict(item.predicates)
            for group, kind in item.groups.items():
                binds[f"{item.name}_{group}"] = date(2025, 1, 1) if kind == "date" else ""
    alone = {value: _kept(dataset.derived.name, predicate) for value, predicate in predicates.items() if predicate}
    for value, sql in alone.items():
        _parsed(sql, binds, toml, f"filters.{item.name}.{value}")
    together = " and ".join(f"({predicate}\n)" for predicate in predicates.values() if predicate)
    try:
        # One statement of all costs hardly more than one of each; who does not compile is then told.
        if together:
            _compile(connection, _kept(dataset.derived.name, together), binds, toml, f"filters.{item.name}")
    except CatalogError:
        for value, sql in alone.items():
            _compile(connection, sql, binds, toml, f"filters.{item.name}.{value}")
        raise


def _kept(table: str, predicate: str) -> str:
    return " ".join(("select count(*) from", table, "where", predicate))


def _compile(
    connection: duckdb.DuckDBPyConnection, sql: str, binds: Mapping[str, BindPython], path: Path, where: str
) -> pa.Schema:
    """Return the columns of the one SELECT that the text must be."""
    statement = _parsed(sql, binds, path, where)
    try:
        given = {name: binds[name] for name in statement.named_parameters}
        return connection.sql(statement, params=given).to_arrow_table().schema
    except duckdb.Error as error:
        raise _uncompiled(error, path, where) from error


def _parsed(sql: str, binds: Mapping[str, BindPython], path: Path, where: str) -> duckdb.Statement:
    """Return the one SELECT that the text must be, after checking that it binds only what is brought."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise _uncompiled(error, path, where) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise CatalogError(path, where, "is not one SELECT")
    unknown = sorted(statements[0].named_parameters - set(binds))
    if unknown:
        raise CatalogError(path, where, f"binds ${unknown[0]}; there are {', '.join(sorted(binds))}")
    return statements[0]


def _uncompiled(error: duckdb.Error, path: Path, where: str) -> CatalogError:
    # The first lines say what and where; the rest points into the text with carets.
    return CatalogError(path, where, f"does not compile: {str(error).splitlines()[0]}")


def _tree(sql: str, path: Path) -> sqlglot.exp.Expr:
    try:
        return sqlglot.parse_one(sql, dialect="duckdb")
    except sqlglot.errors.ParseError as error:
        raise CatalogError(path, "", f"does not compile: {str(error).splitlines()[0]}") from error


def _check_columns(path: Path, where: str, declared: Iterable[str], found: list[str]) -> None:
    names = list(declared)
    if names != found:
        raise CatalogError(path, where, f"declares {', '.join(names)}; the statement yields {', '.join(found)}")
