"""Values on their way to Oracle: what its driver would change in silence is refused before it is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime

from sluice_warehouse import Bind, Statement


def bound_values(statement: Statement, binds: Mapping[str, Bind]) -> dict[str, Bind]:
    """Return the values as the driver takes them, one for each bind of the statement.

    Dates and datetimes are bound as DATE, numbers as NUMBER, text as VARCHAR2, for which '' is NULL.

    Raises:
        ValueError: a bind has no value or a value no bind, or a value would arrive as another one: an instant with a
            zone or a fraction of a second, a float that is no number.
    """
    if set(binds) != set(statement.bind_names):
        odd = ", ".join(sorted(set(binds) ^ set(statement.bind_names)))
        raise ValueError(f"binds of {statement.name!r} and their values differ in {odd}")
    return {name: _checked(name, value) for name, value in binds.items()}


def _checked(name: str, value: Bind) -> Bind:
    match value:
        case bool():
            # Before 23ai the driver has a wire type of its own for it, which no NUMBER compares with.
            return int(value)
        case datetime() if value.tzinfo is not None or value.microsecond:
            raise ValueError(f"bind :{name} has a zone or a fraction of a second, which DATE has not")
        case date() if not isinstance(value, datetime):
            return datetime(value.year, value.month, value.day)
        case float() if not math.isfinite(value):
            raise ValueError(f"bind :{name} is no finite number")
    return value
