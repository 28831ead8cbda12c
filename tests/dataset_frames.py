"""Any dataset without processes: its parts read or hand-made, clipped, derived and viewed in a plain DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sluice_query_engine import export, views
from sluice_query_engine.catalog import Catalog, load_catalog
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.execution.bound_lists import bound_lists, list_binds, widened
from sluice_query_engine.execution.composer import distinct_ids_sql
from sluice_query_engine.parameters import canonical, date_range, part_range, ranged, time_range
from sluice_query_engine.parts import Part
from sluice_warehouse import Statement, Tag, Warehouse

from tests.compiled_once import compiled_dir

ENGINE = Path(__file__).resolve().parents[1] / "services" / "query-engine"
ALL_ROWS = 1_000_000

Row: TypeAlias = dict[str, Any]


@cache
def load() -> Catalog:
    """Return the catalog of the repository, which is compiled once: nothing changes a catalog."""
    return load_catalog(ENGINE / "datasets", ENGINE / "references", compiled_dir=compiled_dir())


@cache
def _database() -> duckdb.DuckDBPyConnection:
    # Opening one takes eight times as long as a small statement; what a cursor registers is its own.
    return duckdb.connect(config={"threads": 1})


class DatasetFrame:
    """The tables of one query, and its views.

    Args:
        parts: rows by part; a part that is not named is empty.
        given: parameters as a request gives them.
        references: every reference table by name; inline ones need not be named, others are empty then.
    """

    def __init__(
        self,
        dataset: Dataset,
        parts: Mapping[str, pa.Table],
        given: Mapping[str, object],
        as_of: datetime,
        references: Mapping[str, pa.Table],
    ) -> None:
        self.dataset = dataset
        self._parts, self._as_of, self._references = parts, as_of, references
        self._binds = binds_of(dataset, given, as_of)
        self._connection = _database().cursor()
        self._connection.execute("set TimeZone = 'UTC'")
        for item in dataset.references:
            self._connection.register(item.name, references.get(item.name, item.inline_table()))
        for part in dataset.tables:
            self._connection.register("unclipped", parts.get(part.name, part.schema.empty_table()))
            clipped = self._run(f"select * from unclipped where {dataset.clip or 'true'}", {})
            self._connection.register(part.name, clipped)
        self._connection.register(dataset.derived.name, self._run(dataset.derived.sql, {}))

    def inputs(self) -> dict[str, pa.Table]:
        """Return the tables that the main table is derived from, by name."""
        names = [part.name for part in self.dataset.tables] + [item.name for item in self.dataset.references]
        return {name: self._run(f"select * from {name}", {}) for name in names}

    def binds(self) -> dict[str, Any]:
        """Return what the manifest of the query binds."""
        return dict(self._binds)

    def asked(self, given: Mapping[str, object]) -> DatasetFrame:
        """Return the frame of a range within this one, made of the same parts as far as they are of that range."""
        binds = binds_of(self.dataset, given, self._as_of)
        parts = dict(self._parts)
        for part in self.dataset.parts:
            if part.cut == "time" and part.name in parts:
                own = f"{part.name}_" if part.own_range else ""
                column = parts[part.name][part.time_column]
                first, after = (pa.scalar(binds[f"{own}{end}"], column.type) for end in ("start_time", "end_time"))
                within = pc.and_(pc.greater_equal(column, first), pc.less(column, after))
                parts[part.name] = parts[part.name].filter(within)
        return DatasetFrame(self.dataset, parts, given, self._as_of, self._references)

    def main(self, order: str = "all") -> list[Row]:
        """Return the rows of the main table."""
        return _rows(self._run(f"select * from {self.dataset.derived.name} order by {order}", {}))

    def table(self, view: str, filters: Mapping[str, object] | None = None, **paging: Any) -> pa.Table:
        """Return a view; the page is clamped to the last one as a server does."""
        [statement] = views.compose(self.dataset, [view], filters or {}, **paging)
        if statement.count_sql is not None:
            statement = statement.clamped(self.count(view, filters))
        return self._run(statement.sql, statement.binds)

    def rows(self, view: str, filters: Mapping[str, object] | None = None, **paging: Any) -> list[Row]:
        """Return the rows of a view."""
        return _rows(self.table(view, filters, **paging))

    def count(self, view: str, filters: Mapping[str, object] | None = None) -> int:
        """Return the rows of a paged view without paging."""
        [statement] = views.compose(self.dataset, [view], filters or {})
        assert statement.count_sql is not None
        return int(self._run(statement.count_sql, statement.count_binds).to_pylist()[0]["row_count"])

    def exported(self, filters: Mapping[str, object] | None = None, view: str = "", **order: Any) -> list[Row]:
        """Return all rows of a paged view, of the rows view when none is named."""
        statement = export.rows_statement(self.dataset, view, filters, **order)
        return _rows(self._run(statement.sql, statement.binds))

    def options(self, filters: Mapping[str, object] | None = None) -> dict[str, list[tuple[str, int]]]:
        """Return values and row counts by filter."""
        return {
            item.filter: [(row["value"], row["row_count"]) for row in self._run(item.sql, item.binds).to_pylist()]
            for item in views.options(self.dataset, filters or {})
        }

    def _run(self, sql: str, binds: Mapping[str, object]) -> pa.Table:
        """Run one statement with its own binds, all of which it must use, and those of the query that it uses."""
        used = duckdb.extract_statements(sql)[0].named_parameters
        shared = {name: value for name, value in self._binds.items() if name in used}
        return self._connection.sql(sql, params={**shared, **binds}).to_arrow_table()


def _rows(table: pa.Table) -> list[Row]:
    rows: list[Row] = table.to_pylist()
    return rows


def binds_of(dataset: Dataset, given: Mapping[str, object], as_of: datetime) -> dict[str, Any]:
    """Return what the manifest of a query of these parameters binds."""
    if dataset.snapshot is not None:
        return {"as_of_time": as_of}
    values = {} if dataset.snapshot is not None else canonical(dataset, given)
    binds: dict[str, Any] = {
        item.name: values.get(item.name) for item in dataset.parameters if item.name not in dataset.id_lists
    }
    binds["as_of_time"] = as_of
    if dataset.has_range:
        binds |= dict.fromkeys(("start_time", "end_time", "start_date", "end_date"))
    if ranged(dataset, values):
        covered = time_range(dataset, values)
        first, last = date_range(dataset, values)
        binds |= {"start_time": covered.start, "end_time": covered.end, "start_date": first, "end_date": last}
        for part in dataset.parts:
            if part.own_range:
                own = part_range(dataset, part, values)
                binds |= {f"{part.name}_start_time": own.start, f"{part.name}_end_time": own.end}
    return binds


def hand_made(
    dataset: Dataset,
    parts: Mapping[str, Sequence[Row]],
    given: Mapping[str, object],
    *,
    as_of: datetime = datetime(2026, 1, 1, 8),
    references: Mapping[str, Sequence[Row]] | None = None,
) -> DatasetFrame:
    """Return a frame of rows written by hand; missing columns are NULL, unnamed parts and references empty."""
    schemas = {part.name: part.schema for part in dataset.tables}
    shared = {item.name: item for item in dataset.references}
    return DatasetFrame(
        dataset,
        {name: pa.Table.from_pylist(list(rows), schema=schemas[name]) for name, rows in parts.items()},
        given,
        as_of,
        {
            name: pa.Table.from_pylist(list(rows), schema=shared[name].schema)
            for name, rows in (references or {}).items()
        },
    )


def read(warehouse: Warehouse, statement: Statement, schema: pa.Schema, binds: Mapping[str, Any]) -> pa.Table:
    """Return all rows of a statement as its schema declares them; lists are bound as IN lists."""
    lists = bound_lists(statement, binds)
    statement = widened(statement, lists)
    values = {**binds, **list_binds(lists)}
    used = {name: values[name] for name in statement.bind_names}
    with warehouse.open(statement, used, schema=schema, deadline_s=60, tag=Tag("tests", "tests", "tests")) as reading:
        return pa.Table.from_batches(iter(reading), schema=schema)


def from_warehouse(
    dataset: Dataset,
    warehouse: Warehouse,
    given: Mapping[str, object],
    cuts: Iterable[datetime] = (),
    stages: Mapping[str, Sequence[Row]] | None = None,
) -> DatasetFrame:
    """Return the frame of a query that was really read, parts that are cut by time cut at the given instants.

    Stages have the rows that are given, since lineage is no part of this; those that are not named are empty.
    """
    binds = {**dict(given), **binds_of(dataset, given, warehouse.plant_time())}
    schemas = {stage.name: stage.schema for stage in dataset.stages}
    parts = {name: pa.Table.from_pylist(list(rows), schema=schemas[name]) for name, rows in (stages or {}).items()}
    for part in dataset.parts:
        if part.ids_from:
            ids = _ids_from(dataset, part, parts)
            parts[part.name] = _read_part(warehouse, replace(part, id_parameter="ids"), {**binds, "ids": ids}, cuts)
        elif not part.renews:
            parts[part.name] = _read_part(warehouse, part, binds, cuts)
    return DatasetFrame(dataset, parts, given, warehouse.plant_time(), read_references(dataset, warehouse))


def _read_part(warehouse: Warehouse, part: Part, binds: Mapping[str, Any], cuts: Iterable[datetime]) -> pa.Table:
    values = {**binds, "row_limit": ALL_ROWS}
    if part.cut == "ids":
        ids = binds.get(part.id_parameter) or []
        if not ids:
            return part.schema.empty_table()
        return read(warehouse, part.statement, part.schema, {**values, "ids": ids})
    if part.cut == "start":
        return read(warehouse, part.statement, part.schema, values)
    if binds["start_time"] is None:
        return part.schema.empty_table()
    own = f"{part.name}_" if part.own_range else ""
    edges = [binds[f"{own}start_time"], *cuts, binds[f"{own}end_time"]]
    return pa.concat_tables(
        read(warehouse, part.statement, part.schema, {**values, "start_time": first, "end_time": after})
        for first, after in pairwise(edges)
    )


def _ids_from(dataset: Dataset, part: Part, parts: Mapping[str, pa.Table]) -> list[str]:
    """Return the ids that a part takes from those before it."""
    with _database().cursor() as connection:
        for item in dataset.tables:
            connection.register(item.name, parts.get(item.name, item.schema.empty_table()))
        return [str(row[0]) for row in connection.sql(distinct_ids_sql(part.ids_from)).fetchall()]


def read_references(dataset: Dataset, warehouse: Warehouse) -> dict[str, pa.Table]:
    """Return the reference tables of a dataset by name."""
    return {
        item.name: item.inline_table() if item.statement is None else read(warehouse, item.statement, item.schema, {})
        for item in dataset.references
    }
