"""What the stand-in serves: tables by their Oracle names, their declared columns, and where DuckDB finds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlglot import exp

from sluice_twin.oracle_wire.columns import (
    DATE,
    NUMBER,
    ColumnType,
    ResultColumn,
    char,
    number,
    type_of_arrow,
    varchar2,
)
from sluice_twin.oracle_wire.errors import OraError
from sluice_twin.tables import SCHEMA, catalogue

TWIN_CATALOG: Final = "twin"
SIDE_CATALOG: Final = "memory"
SIDE_SCHEMA: Final = "served"
DUAL: Final = "DUAL"

_SIZED_TYPE: Final = re.compile(r"([A-Z0-9]+)(?:\((\d+)(?:,(\d+))?\))?")


@dataclass(frozen=True)
class ServedTable:
    """One table: its columns in order, and its place in DuckDB."""

    catalog: str
    schema: str
    columns: tuple[ResultColumn, ...]


class ServedSchema:
    """The tables of the twin's catalogue, DUAL, and tables that a test brings.

    Args:
        extra: Arrow tables by upper-case name; one that has the name of a twin's table stands before it.
    """

    def __init__(self, extra: Mapping[str, Any]) -> None:
        self._tables = {
            name: ServedTable(
                TWIN_CATALOG,
                SCHEMA,
                tuple(
                    ResultColumn(column.name, declared_type(column.oracle_type), column.nullable)
                    for column in table.columns
                ),
            )
            for name, table in catalogue().items()
        }
        self._tables[DUAL] = ServedTable(SIDE_CATALOG, SIDE_SCHEMA, (ResultColumn("DUMMY", varchar2(1)),))
        for name, rows in extra.items():
            columns = tuple(ResultColumn(field.name, type_of_arrow(field.type)) for field in rows.schema)
            self._tables[name.upper()] = ServedTable(SIDE_CATALOG, SIDE_SCHEMA, columns)

    def find(self, table: exp.Table) -> ServedTable | None:
        """Return the table that a query names; None where it names none of ours."""
        owner = table.db.upper()
        name = table.name.upper()
        if owner not in ({"", "SYS"} if name == DUAL else {"", SCHEMA}):
            return None
        return self._tables.get(name)

    def qualify(self, tree: exp.Expr) -> None:
        """Point every table of a query at its place in DuckDB.

        Raises:
            OraError: a table that is not there.
        """
        for table in list(tree.find_all(exp.Table)):
            if not table.db and table.name.upper() in names_in_scope(table):
                continue
            served = self.find(table)
            if served is None:
                raise OraError(942)
            name = table.name.upper()
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
            table.set("this", exp.to_identifier(name, quoted=True))
            table.set("db", exp.to_identifier(served.schema, quoted=True))
            table.set("catalog", exp.to_identifier(served.catalog, quoted=True))


def names_in_scope(node: exp.Expr) -> set[str]:
    """Return the upper-case names of the `with` clauses that a place in a query can see."""
    names: set[str] = set()
    above = node.parent
    while above is not None:
        clause = above.args.get("with_")
        if isinstance(clause, exp.With):
            names |= {expression.alias.upper() for expression in clause.expressions}
        above = above.parent
    return names


def is_star(projection: exp.Expr) -> bool:
    """Say whether a projection is `*` or `alias.*`; `count(*)` is neither, whatever the parser says of it."""
    return isinstance(projection, exp.Star) or (
        isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star)
    )


def declared_type(oracle_type: str) -> ColumnType:
    """Return the type behind its declaration, e.g. `CHAR(16)` or `NUMBER(10,0)`.

    Raises:
        ValueError: a type that the catalogue does not have.
    """
    match = _SIZED_TYPE.fullmatch(oracle_type)
    if match is None:
        raise ValueError(f"{oracle_type!r} is no type of the catalogue")
    name, size, scale = match.groups()
    match name:
        case "DATE":
            return DATE
        case "NUMBER":
            return number(int(size), int(scale or 0)) if size else NUMBER
        case "CHAR":
            return char(int(size or 1))
        case "VARCHAR2":
            return varchar2(int(size))
        case _:
            raise ValueError(f"{oracle_type!r} is no type of the catalogue")
