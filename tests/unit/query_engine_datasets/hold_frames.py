"""Hold history without processes: hand-made or warehouse rows, clipped, derived and viewed in a plain DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
from sluice_query_engine import export, views
from sluice_query_engine.catalog import Catalog, load_catalog
from sluice_query_engine.dataset import Dataset
from sluice_warehouse import Statement, Tag, Warehouse

ENGINE = Path(__file__).resolve().parents[3] / "services" / "query-engine"

Row: TypeAlias = dict[str, Any]


def load() -> Catalog:
    """Return the catalog of the repository."""
    return load_catalog(ENGINE / "datasets", ENGINE / "references")


def instant(text: str) -> datetime:
    """Return the instant of `MM-DD HH:MM[:SS]` in 2025."""
    return datetime.fromisoformat(f"2025-{text}")


def hold(history_id: str, held: str, released: str | None = None, **values: object) -> Row:
    """Return a row of a part: 100 pieces of lot A, held for `Die crack`, unless told otherwise."""
    return {
        "history_id": history_id,
        "container_id": values.get("lot_id", "A"),
        "lot_id": "A",
        "hold_reason_id": values.get("hold_reason", "Die crack"),
        "hold_reason": "Die crack",
        "qty": 100,
        "hold_time": instant(held),
        "release_time": None if released is None else instant(released),
        **values,
    }


class HoldFrame:
    """The tables of one query, and its views.

    Args:
        parts: rows by part; a part that is not named is empty.
        references: every reference table by name.
    """

    def __init__(
        self,
        dataset: Dataset,
        parts: Mapping[str, pa.Table],
        start: date,
        end: date,
        as_of: datetime,
        references: Mapping[str, pa.Table],
    ) -> None:
        self.dataset = dataset
        self._parts, self._as_of, self._references = parts, as_of, references
        covered = dataset.day_rule.range_of(start, end)
        self._binds: dict[str, object] = {
            "start_time": covered.start,
            "end_time": covered.end,
            "start_date": start,
            "end_date": end,
            "as_of_time": as_of,
        }
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("set TimeZone = 'UTC'")
        for name, table in references.items():
            self._connection.register(name, table)
        for part in dataset.tables:
            self._connection.register("unclipped", parts.get(part.name, part.schema.empty_table()))
            clip = dataset.clip or "true"
            clipped = self._run(f"select * from unclipped where {clip}", {})
            self._connection.register(part.name, clipped)
        self._connection.register(dataset.derived.name, self._run(dataset.derived.sql, {}))

    def narrowed(self, start: date, end: date) -> HoldFrame:
        """Return the frame of a range within this one, made of the same unclipped parts."""
        return HoldFrame(self.dataset, self._parts, start, end, self._as_of, self._references)

    def holds(self, order: str = "history_id") -> list[Row]:
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

    def ids(self, filters: Mapping[str, object]) -> str:
        """Return the lots that the list shows, sorted and joined."""
        return "".join(sorted(row["lot_id"] for row in self.rows("list", filters)))

    def exported(self, filters: Mapping[str, object] | None = None, **order: Any) -> list[Row]:
        """Return all rows of the rows view."""
        statement = export.rows_statement(self.dataset, "", filters, **order)
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
        given = {name: value for name, value in self._binds.items() if name in used}
        return self._connection.sql(sql, params={**given, **binds}).to_arrow_table()


def _rows(table: pa.Table) -> list[Row]:
    rows: list[Row] = table.to_pylist()
    return rows


def hand_made(
    dataset: Dataset,
    slices: Sequence[Row],
    carried: Sequence[Row] = (),
    *,
    start: str = "03-10",
    end: str = "03-12",
    as_of: str = "03-20 12:00",
    groups: Mapping[str, str] | None = None,
) -> HoldFrame:
    """Return a frame of rows written by hand, over production days of 2025."""
    references = {item.name: item.inline_table() for item in dataset.references}
    mapped = [
        {"workcenter": center, "workcenter_group": group, "group_sequence": 1}
        for center, group in (groups or {}).items()
    ]
    groups_schema = next(item.schema for item in dataset.references if item.name == "workcenter_groups")
    references["workcenter_groups"] = pa.Table.from_pylist(mapped, schema=groups_schema)
    parts = {
        part.name: pa.Table.from_pylist(list(rows), schema=part.schema)
        for part, rows in zip(dataset.tables, (slices, carried), strict=True)
    }
    first, last = instant(f"{start} 00:00").date(), instant(f"{end} 00:00").date()
    return HoldFrame(dataset, parts, first, last, instant(as_of), references)


def read(warehouse: Warehouse, statement: Statement, schema: pa.Schema, binds: Mapping[str, Any]) -> pa.Table:
    """Return all rows of a statement as its schema declares them."""
    used = {name: binds[name] for name in statement.bind_names}
    tag = Tag("tests", statement.name, "tests")
    with warehouse.open(statement, used, schema=schema, deadline_s=60, tag=tag) as reading:
        return pa.Table.from_batches(iter(reading), schema=schema)


def from_warehouse(
    dataset: Dataset, warehouse: Warehouse, start: date, end: date, cuts: Iterable[datetime] = ()
) -> HoldFrame:
    """Return the frame of a query that was really read, the slice cut at the given instants."""
    covered = dataset.day_rule.range_of(start, end)
    slice_part, carry_in = dataset.tables
    edges = [covered.start, *cuts, covered.end]
    slices = [
        read(
            warehouse,
            slice_part.statement,
            slice_part.schema,
            {"start_time": first, "end_time": after, "row_limit": 1_000_000},
        )
        for first, after in pairwise(edges)
    ]
    carried = read(
        warehouse, carry_in.statement, carry_in.schema, {"start_time": covered.start, "row_limit": 1_000_000}
    )
    parts = {slice_part.name: pa.concat_tables(slices), carry_in.name: carried}
    return HoldFrame(dataset, parts, start, end, warehouse.plant_time(), read_references(dataset, warehouse))


def read_references(dataset: Dataset, warehouse: Warehouse) -> dict[str, pa.Table]:
    """Return the reference tables of a dataset by name."""
    return {
        item.name: item.inline_table() if item.statement is None else read(warehouse, item.statement, item.schema, {})
        for item in dataset.references
    }
