"""Raw rows of a plant as every judge reads them: texts without blanks at their ends, quantities exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

Raw: TypeAlias = dict[str, Any]


def rows_of(plant: Path, table: str) -> list[Raw]:
    """Return every row of a table by column name, texts trimmed at the right and missing when nothing is left."""
    with duckdb.connect(plant, read_only=True) as connection:
        found = connection.table(f"DWH.{table}").to_arrow_table().to_pylist()
    return [{name: _told(value) for name, value in row.items()} for row in found]


def _told(value: object) -> object:
    if isinstance(value, str):
        return value.rstrip(" ") or None
    return value


def whole(value: object) -> int:
    """Return pieces as a whole number; none where nothing was recorded."""
    assert value is None or isinstance(value, int | Decimal)
    assert value is None or value == int(value)
    return int(value or 0)


def places(value: Fraction | Decimal | int, count: int) -> float:
    """Return a number rounded half up to so many decimals."""
    scale: int = 10**count
    units: int = floor(Fraction(value) * scale + Fraction(1, 2))
    return units / scale


def lot_names(containers: Iterable[Raw]) -> dict[str, Raw]:
    """Return the lots by their key."""
    return {row["CONTAINERID"]: row for row in containers}


def name_of(lots: Mapping[str, Raw], container_id: str | None) -> str | None:
    """Return a lot's name, or its key where it is not known."""
    lot = lots.get(container_id or "")
    return (lot["CONTAINERNAME"] if lot else None) or container_id


def within(value: datetime | None, start: date, end: date) -> bool:
    """Return whether an instant lies on one of the calendar days, both included."""
    return value is not None and start <= value.date() <= end


def in_any_order(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return rows so that two sets of them compare whatever their order."""
    return sorted(repr(sorted(row.items())) for row in rows)
