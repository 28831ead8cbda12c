"""What `dataset.toml` says of how columns and titles are shown; none of it changes a number."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, cast, get_args

from sluice_query_engine.toml_section import Section, read_labels
from sluice_query_engine.view import Aggregate, ColumnRole, ViewColumn

_MOST_DIGITS: Final = 12


def read_view_column(name: str, section: Section, filters: Collection[str]) -> ViewColumn:
    """Return an output column of a view, or of the main table.

    Raises:
        CatalogError: a key is missing, unknown or of the wrong kind, or measures and others are mixed up.
    """
    role = cast(ColumnRole, section.word("role", get_args(ColumnRole)) if "role" in section else "")
    aggregate = cast(Aggregate, section.word("aggregate", get_args(Aggregate)) if "aggregate" in section else "")
    column = ViewColumn(
        name,
        section.text("title"),
        section.text("about"),
        role=role,
        unit=section.text("unit", ""),
        scale=section.integer("scale", least=0) if "scale" in section else None,
        aggregate=aggregate,
        filter=section.text("filter", ""),
        labels=read_labels(section),
    )
    section.close()
    if role != "measure" and (column.unit or column.aggregate or column.scale is not None):
        raise section.error("role", "is not measure; unit, scale and aggregate belong to measures")
    if column.scale is not None and column.scale > _MOST_DIGITS:
        raise section.error("scale", f"is above {_MOST_DIGITS} digits")
    if column.filter and column.filter not in filters:
        raise section.error("filter", f"{column.filter!r} is not among {', '.join(filters) or 'none'}")
    return column
