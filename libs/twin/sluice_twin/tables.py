"""The catalogue of the warehouse's tables and the one mapping from Oracle types to DuckDB types.

Names, types, nullability and indexes come from `tables.json`; what stands in the rows is decided elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

SCHEMA: Final = "DWH"
META_SCHEMA: Final = "DWH_TWIN"

_SIZED_TYPE: Final = re.compile(r"(?P<name>[A-Z0-9]+)(?:\((?P<size>\d+)(?:,(?P<scale>\d+))?\))?")


class UnknownTable(LookupError):
    """A table name that the catalogue does not list."""


@dataclass(frozen=True)
class Index:
    """One index the warehouse is known to have; the twin itself builds none."""

    name: str
    unique: bool
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """One column with its Oracle type, e.g. `CHAR(16)` or `NUMBER(10,0)`."""

    name: str
    oracle_type: str
    nullable: bool

    @property
    def duckdb_type(self) -> str:
        """The DuckDB type that holds every value of the Oracle type (see `duckdb_type`)."""
        return duckdb_type(self.oracle_type)

    @property
    def blank_padded_width(self) -> int | None:
        """Width to which values are blank-padded, None for every type but CHAR."""
        match = _parse(self.oracle_type)
        return int(match["size"]) if match["name"] == "CHAR" else None


@dataclass(frozen=True)
class Table:
    """One table: columns in catalogue order, and the size and time column the real warehouse shows."""

    name: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    time_column: str | None
    warehouse_row_count: int

    @property
    def ddl(self) -> str:
        """The statement that creates the empty table in schema `DWH`."""
        columns = ", ".join(
            f'"{column.name}" {column.duckdb_type}{"" if column.nullable else " not null"}' for column in self.columns
        )
        return f'create table {SCHEMA}."{self.name}" ({columns})'


def _parse(oracle_type: str) -> re.Match[str]:
    match = _SIZED_TYPE.fullmatch(oracle_type)
    if match is None:
        raise ValueError(f"{oracle_type!r} is not an Oracle type of the catalogue")
    return match


def duckdb_type(oracle_type: str) -> str:
    """The DuckDB type for one Oracle type of the catalogue.

    CHAR stays text: the blanks are part of the value, as an Oracle driver hands them out. NUMBER without a size is
    DECIMAL(18,6): it stores whole quantities and six places of a ratio exactly in 8 bytes, so a sum does not depend on
    the order of its rows as it would with DOUBLE. DATE has seconds and no zone.

    Raises:
        ValueError: the type does not occur in the catalogue.
    """
    match = _parse(oracle_type)
    match match["name"], match["size"], match["scale"]:
        case "CHAR" | "VARCHAR2", _, _:
            return "VARCHAR"
        case "DATE", _, _:
            return "TIMESTAMP_S"
        case "NUMBER", None, _:
            return "DECIMAL(18,6)"
        case "NUMBER", _, "0":
            return "BIGINT"
        case "NUMBER", size, scale:
            return f"DECIMAL({size},{scale})"
        case _:
            raise ValueError(f"{oracle_type!r} has no DuckDB type")


@cache
def catalogue() -> Mapping[str, Table]:
    """All 23 tables by name: the 22 of the warehouse's catalogue and the package-group lookup it forgot."""
    text = files(__package__).joinpath("tables.json").read_text(encoding="utf-8")
    return {name: _table(name, facts) for name, facts in json.loads(text).items()}


def table(name: str) -> Table:
    """One table of the catalogue.

    Raises:
        UnknownTable: no table has this name.
    """
    try:
        return catalogue()[name]
    except KeyError:
        raise UnknownTable(f"{name!r} is not a table of the warehouse") from None


def _table(name: str, facts: dict[str, object]) -> Table:
    columns = facts["columns"]
    indexes = facts["indexes"]
    time_column = facts["time_column"]
    row_count = facts["row_count"]
    assert isinstance(columns, list) and isinstance(indexes, list) and isinstance(row_count, int)
    assert time_column is None or isinstance(time_column, str)
    return Table(
        name=name,
        columns=tuple(_column(text) for text in columns),
        indexes=tuple(Index(index["name"], index["unique"], tuple(index["columns"])) for index in indexes),
        time_column=time_column,
        warehouse_row_count=row_count,
    )


def _column(text: str) -> Column:
    name, oracle_type, *constraint = text.split(" ", 2)
    return Column(name, oracle_type, nullable=not constraint)
