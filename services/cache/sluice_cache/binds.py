"""Bound values: from the wire to Python, and to the literals that stand for them in a view."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sluice.cache.v1 import bind_pb2
from sluice_rpc.errors import InvalidParameter

Bind = bool | int | float | str | date | datetime | list[str] | list[date] | None
"""A value as DuckDB's Python binding takes it."""

Day = date
"""Dates and timestamps, which Python's own types bound to the years 1 to 9999."""


def from_proto(name: str, value: bind_pb2.BindValue) -> Bind:
    """Return the value.

    Raises:
        InvalidParameter: a date or timestamp cannot be read.
    """
    kind = value.WhichOneof("kind")
    try:
        match kind:
            case None:
                return None
            case "date_value":
                return date.fromisoformat(value.date_value)
            case "timestamp_value":
                return timestamp(value.timestamp_value)
            case "string_list":
                return list(value.string_list.values)
            case "date_list":
                return [date.fromisoformat(item) for item in value.date_list.values]
            case _:
                plain: bool | int | float | str = getattr(value, kind)
                return plain
    except ValueError as error:
        raise InvalidParameter(f"binds.{name}", str(error)) from error


def all_from_proto(binds: Mapping[str, bind_pb2.BindValue]) -> dict[str, Bind]:
    """Return the values by name."""
    return {name: from_proto(name, value) for name, value in binds.items()}


def to_json(values: Mapping[str, Bind]) -> dict[str, list[Any]]:
    """Return the values as JSON carries them: a kind and what stands for the value."""
    return {name: _to_json(value) for name, value in values.items()}


def from_json(values: Mapping[str, list[Any]]) -> dict[str, Bind]:
    """Return the values that `to_json` was given."""
    return {name: _from_json(kind, value) for name, (kind, value) in values.items()}


def _to_json(value: Bind) -> list[Any]:
    match value:
        case datetime():
            return ["timestamp", value.isoformat()]
        case date():
            return ["date", value.isoformat()]
        case float():
            # As text, because JSON knows neither infinity nor NaN.
            return ["double", repr(value)]
        case list():
            return ["list", [_to_json(item) for item in value]]
        case _:
            return ["plain", value]


def _from_json(kind: str, value: Any) -> Any:
    match kind:
        case "timestamp":
            return datetime.fromisoformat(value)
        case "date":
            return date.fromisoformat(value)
        case "double":
            return float(value)
        case "list":
            return [_from_json(*item) for item in value]
        case _:
            return value


def timestamp(text: str) -> datetime:
    """Return a plant-local instant.

    Raises:
        ValueError: it is not ISO 8601, or carries a zone.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is not None:
        raise ValueError(f"{text!r} carries a zone; plant-local instants do not")
    return instant


def literal(value: Bind) -> str:
    """Return a typed SQL literal; texts are quoted, nothing else of the value's own text gets in."""
    match value:
        case bool() | None:
            text = {None: "NULL", True: "true", False: "false"}[value]
        case int():
            text = f"{value}::BIGINT"
        case float():
            text = f"'{value!r}'::DOUBLE"
        case str():
            text = quoted(value)
        case datetime():
            text = f"TIMESTAMP '{value.isoformat(sep=' ')}'"
        case date():
            text = f"DATE '{value.isoformat()}'"
        case list():
            kind = "DATE[]" if value and isinstance(value[0], date) else "VARCHAR[]"
            text = f"[{', '.join(literal(item) for item in value)}]::{kind}"
    return text


def quoted(text: str) -> str:
    """Return a text literal; DuckDB knows no escape but the doubled quote."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def identifier(name: str) -> str:
    """Return a quoted column or relation name."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
