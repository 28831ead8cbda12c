"""Plants made by hand: a DuckDB file with all tables, filled with just the rows a test writes down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb

from sluice_twin.tables import SCHEMA, Column, table
from sluice_twin.write import create_tables, tell_plant

# Only names of the catalogue are put in.
_INSERT: Final = f'insert into {SCHEMA}."{{table}}" values ({{markers}})'  # noqa: S608 - no value is part of it


class UnknownColumn(LookupError):
    """A row names a column that its table does not have."""


def plant_of(tables: Mapping[str, Sequence[Mapping[str, object]]], out: Path, plant_time: datetime) -> Path:
    """Write a plant with exactly these rows, in their order, and its clock at `plant_time`; gives `out` back.

    Rows are keyed by column name. A missing column is NULL, an empty text is NULL as in Oracle, CHAR values are
    blank-padded. A file that stands at `out` is replaced.

    Raises:
        UnknownTable: no table has this name.
        UnknownColumn: the table has no such column.
    """
    out.unlink(missing_ok=True)
    out.write_bytes(_without_rows())
    with duckdb.connect(out, config={"threads": 1}) as connection:
        tell_plant(connection, seed=0, scale=0.0, plant_time=plant_time)
        for name, rows in tables.items():
            columns = table(name).columns
            values = [_values(name, columns, row) for row in rows]
            if values:
                connection.executemany(_INSERT.format(table=name, markers=", ".join("?" * len(columns))), values)
    return out


@cache
def _without_rows() -> bytes:
    """Return the file of a plant before its first row: to create its tables takes longer than all that follows."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "plant.duckdb"
        with duckdb.connect(path, config={"threads": 1}) as connection:
            create_tables(connection)
        return path.read_bytes()


def _values(name: str, columns: Sequence[Column], row: Mapping[str, object]) -> list[object]:
    known = {column.name for column in columns}
    for key in row:
        if key not in known:
            raise UnknownColumn(f"{name} has no column {key!r}")
    return [_stored(column, row.get(column.name)) for column in columns]


def _stored(column: Column, value: object) -> object:
    """The value as Oracle would keep it."""
    if value == "":
        return None
    if isinstance(value, str) and column.blank_padded_width is not None:
        return value.ljust(column.blank_padded_width)
    return value
