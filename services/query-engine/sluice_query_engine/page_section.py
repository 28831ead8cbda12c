"""Reading a part in pages of counted rows: what its folder must declare, so that no row is lost or doubled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import sqlglot
from sluice_warehouse.statements import Statement, StatementError, load
from sqlglot import exp

from sluice_query_engine.parts import Pages
from sluice_query_engine.toml_section import CatalogError, Section

_RANGE: Final = frozenset({"start_time", "end_time"})
_PAGE: Final = frozenset({"first_row", "last_row"})


def read_pages(folder: Path, name: str, section: Section, schema: pa.Schema, cut: str) -> Pages | None:
    """Return how the part is read in pages, or None where it is not to be.

    The statements `<name>.count.sql` and `<name>.page.sql` stand beside `<name>.sql`. They must have the same tables,
    joins and conditions, so that what is counted is what the pages hold, and the pages must number their rows by
    exactly the declared order, which must include the unique key.

    Raises:
        CatalogError: one of this is not so.
    """
    order, unique = section.texts("order_key", ()), section.texts("unique_key", ())
    if not order:
        if unique:
            raise section.error("unique_key", "belongs to parts that have an order_key")
        return None
    if cut != "time":
        raise section.error("order_key", "belongs to parts that are cut by time")
    for key, columns in (("order_key", order), ("unique_key", unique)):
        for column in columns:
            if column not in schema.names:
                raise section.error(key, f"{column!r} is not among {', '.join(schema.names)}")
    if not unique or not set(unique) <= set(order):
        raise section.error(
            "order_key", "does not include a unique_key, so rows could be lost or doubled between two pages"
        )
    count_path, page_path = folder / f"{name}.count.sql", folder / f"{name}.page.sql"
    count, page = _statement(count_path, f"{name}_count"), _statement(page_path, f"{name}_page")
    _check_binds(count_path, count, _RANGE)
    _check_binds(page_path, page, _RANGE | _PAGE)
    numbered = _numbered(page_path, page, order)
    counting = _select(count_path, count)
    if [item.sql() for item in counting.expressions] != ["COUNT(*) AS row_count"]:
        raise CatalogError(count_path, "", "counts something else than rows, which is `count(*) as row_count`")
    if _rows_of(counting) != _rows_of(numbered):
        raise CatalogError(count_path, "", f"counts other rows than {page_path.name} numbers")
    return Pages(count, page, order)


def _statement(path: Path, name: str) -> Statement:
    try:
        return load(path, name=name)
    except StatementError as error:
        raise CatalogError(path, "", str(error).removeprefix(f"{path}: ")) from None


def _check_binds(path: Path, statement: Statement, wanted: frozenset[str]) -> None:
    """Check what the statement binds; what else it binds is a parameter, as the part's own statement shows."""
    binds = set(statement.bind_names)
    if not wanted <= binds or "row_limit" in binds:
        raise CatalogError(path, "", f"binds {', '.join(sorted(wanted))}, and no row_limit")


def _select(path: Path, statement: Statement) -> exp.Select:
    try:
        tree = sqlglot.parse_one(statement.text, dialect="oracle")
    except sqlglot.errors.ParseError as error:
        raise CatalogError(path, "", f"does not compile: {str(error).splitlines()[0]}") from error
    if not isinstance(tree, exp.Select):
        raise CatalogError(path, "", "is not one SELECT")
    return tree


def _numbered(path: Path, page: Statement, order: Sequence[str]) -> exp.Select:
    """Return the SELECT that numbers the rows, after checking that it does so in the declared order."""
    windows = [item for item in _select(path, page).find_all(exp.Window) if isinstance(item.this, exp.RowNumber)]
    if len(windows) != 1:
        raise CatalogError(path, "", "does not number its rows by one row_number()")
    [window] = windows
    select = window.parent_select
    terms = window.args["order"].expressions if window.args.get("order") else []
    if not isinstance(select, exp.Select) or window.args.get("partition_by"):
        raise CatalogError(path, "", "does not number all its rows together")
    if any(term.args.get("desc") for term in terms):
        raise CatalogError(path, "", "numbers its rows in descending order; pages are compared in ascending order")
    written = {item.alias_or_name: item.unalias().sql() for item in select.expressions}
    if [term.this.sql() for term in terms] != [written.get(column) for column in order]:
        raise CatalogError(path, "", f"does not number its rows by {', '.join(order)}, the declared order_key")
    return select


def _rows_of(select: exp.Select) -> list[str]:
    """Return what decides which rows a SELECT has."""
    found = []
    for key in ("distinct", "from_", "joins", "where", "group", "having"):
        value = select.args.get(key)
        found += [f"{key} {item.sql()}" for item in (value if isinstance(value, list) else [value]) if item]
    return found
