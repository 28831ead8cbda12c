"""Primary parameters: what a request gives becomes the canonical form that the query id is made of.

Every violation of a request is told at once. View-time filters are not known here, and so are refused as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final, TypeAlias

from sluice_query_engine.dataset import Dataset, Parameter
from sluice_query_engine.parts import Part
from sluice_query_engine.planning.time_range import TimeRange
from sluice_query_engine.violations import Violations, has_control_character, one_of, shown

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

ALL: Final = "all_"
"""Before the name of a list that need not be given: this bind of a part is 1 when it is not given or empty, else 0."""

STAMP: Final = "stamp"
"""What stands in place of parameters where a snapshot is refreshed: when, by our clock."""

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2100

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOST_DIGITS: Final = 2**53
"""Numbers arrive as doubles; beyond this two integers look alike."""


def canonical(dataset: Dataset, given: Mapping[str, object]) -> dict[str, JSON]:
    """Return the primary parameters in their one form, in declaration order.

    Texts are trimmed and folded as declared, lists sorted and de-duplicated, dates ISO; parameters that are not given
    are left out. Null counts as not given, and so does an empty list where none need be given.

    Raises:
        InvalidParameter: with every violation: missing, unknown, mistyped, malformed, reversed or too long a range.
    """
    violations = Violations()
    if dataset.snapshot is not None:
        violations.add("dataset", f"{dataset.name} is a snapshot; its views answer without a query")
        violations.raise_if_any()
    known = {parameter.name for parameter in dataset.parameters}
    for name in given:
        if name not in known:
            violations.add(str(name), f"is not a parameter of {dataset.name}; it takes {one_of(sorted(known))}")
    values: dict[str, JSON] = {}
    for parameter in dataset.parameters:
        value = given.get(parameter.name)
        if value is not None:
            checked = _checked(parameter, value, violations)
            if checked is not None and (checked != [] or parameter.required):
                values[parameter.name] = checked
        elif parameter.default is not None:
            values[parameter.name] = parameter.default
        elif parameter.required:
            violations.add(parameter.name, "is required")
    _check_mode(dataset, given, values, violations)
    _check_range(dataset, values, violations)
    violations.raise_if_any()
    return values


def ranged(dataset: Dataset, canonical: Mapping[str, JSON]) -> bool:
    """Tell whether a canonical form has a first and a last date."""
    return dataset.snapshot is not None or (dataset.has_range and _dated(dataset, canonical))


def _dated(dataset: Dataset, canonical: Mapping[str, JSON]) -> bool:
    return all(item.name in canonical for item in dataset.parameters if item.role)


def part_range(dataset: Dataset, part: Part, canonical: Mapping[str, JSON]) -> TimeRange:
    """Return the range of which a part is read: that of its own days, widened as it declares."""
    first, last = date_range(dataset, canonical)
    pad = timedelta(days=part.pad_days)
    return (part.day_rule or dataset.day_rule).range_of(first - pad, last + pad)


def time_range(dataset: Dataset, canonical: Mapping[str, JSON]) -> TimeRange:
    """Return the half-open plant-local range that the two date parameters of a canonical form cover."""
    if dataset.snapshot is not None:
        stamp = datetime.fromisoformat(str(canonical[STAMP]))
        return TimeRange(stamp, stamp + timedelta(days=1))
    return dataset.day_rule.range_of(*date_range(dataset, canonical))


def date_range(dataset: Dataset, canonical: Mapping[str, JSON]) -> tuple[date, date]:
    """Return the first and the last date of a canonical form, both included."""
    by_role = {parameter.role: canonical[parameter.name] for parameter in dataset.parameters if parameter.role}
    return date.fromisoformat(str(by_role["start_date"])), date.fromisoformat(str(by_role["end_date"]))


def parse_date(text: str) -> date | str:
    """Return the date that `YYYY-MM-DD` names, or what is wrong with the text."""
    if not _DATE.fullmatch(text):
        return f"{shown(text)} is not a date; write YYYY-MM-DD"
    try:
        parsed = date.fromisoformat(text)
    except ValueError:
        return f"{shown(text)} is not a day of the calendar"
    if not FIRST_YEAR <= parsed.year <= LAST_YEAR:
        return f"{shown(text)} is not between {FIRST_YEAR} and {LAST_YEAR}"
    return parsed


def _checked(parameter: Parameter, value: object, violations: Violations) -> JSON:
    """Return the canonical value, or None after adding a violation."""
    checks = {
        "date": _date,
        "text": _text,
        "choice": _choice,
        "integer": _number,
        "number": _number,
        "boolean": _boolean,
        "text_list": _text_list,
    }
    return checks[parameter.type](parameter, value, violations)


def _date(parameter: Parameter, value: object, violations: Violations) -> str | None:
    if not isinstance(value, str):
        violations.add(parameter.name, f"{shown(value)} is not a date; write YYYY-MM-DD as text")
        return None
    parsed = parse_date(value.strip())
    if isinstance(parsed, str):
        violations.add(parameter.name, parsed)
        return None
    return parsed.isoformat()


def _text(parameter: Parameter, value: object, violations: Violations) -> str | None:
    if not isinstance(value, str):
        violations.add(parameter.name, f"{shown(value)} is not a text")
        return None
    text = value.strip()
    if len(text) > parameter.max_length:
        violations.add(parameter.name, f"is longer than {parameter.max_length} characters")
    elif has_control_character(text):
        violations.add(parameter.name, "holds a control character")
    elif not text:
        violations.add(parameter.name, "is blank")
    else:
        return {"upper": text.upper(), "lower": text.lower(), None: text}[parameter.fold]
    return None


def _choice(parameter: Parameter, value: object, violations: Violations) -> str | None:
    if isinstance(value, str) and value in parameter.choices:
        return value
    violations.add(parameter.name, f"{shown(value)} is not one of {one_of(parameter.choices)}")
    return None


def _number(parameter: Parameter, value: object, violations: Violations) -> int | float | None:
    # A bool is an int to Python and never a number to a user.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MOST_DIGITS:
        violations.add(parameter.name, f"{shown(value)} is not a number")
        return None
    if float(value).is_integer():
        # 7 and 7.0 are one value, so they get one form and one query id.
        return int(value)
    if parameter.type == "integer":
        violations.add(parameter.name, f"{shown(value)} is not a whole number")
        return None
    return value


def _boolean(parameter: Parameter, value: object, violations: Violations) -> bool | None:
    if isinstance(value, bool):
        return value
    violations.add(parameter.name, f"{shown(value)} is neither true nor false")
    return None


def _text_list(parameter: Parameter, value: object, violations: Violations) -> list[JSON] | None:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        violations.add(parameter.name, f"{shown(value)} is not a list of texts")
        return None
    if len(items) > parameter.max_items:
        violations.add(parameter.name, f"has more than {parameter.max_items} items")
        return None
    texts = [_text(parameter, item, violations) for item in items]
    kept = sorted({text for text in texts if text is not None})
    if len(kept) < parameter.min_items and None not in texts:
        violations.add(parameter.name, f"has {len(kept)} items, fewer than {parameter.min_items}")
    return [*kept]


def _check_mode(dataset: Dataset, given: Mapping[str, object], values: dict[str, JSON], violations: Violations) -> None:
    """Check that the parameters are those of the mode that they pick."""
    mode = dataset.mode(values)
    if dataset.modes is None or mode is None:
        return
    for name in mode.requires:
        if name not in values and given.get(name) in (None, []):
            violations.add(name, f"is required where {dataset.modes.parameter} is {mode.name}")
    for name in sorted(dataset.modes.refused(mode)):
        if given.get(name) is not None:
            violations.add(name, f"is not taken where {dataset.modes.parameter} is {mode.name}")
        values.pop(name, None)


def _check_range(dataset: Dataset, values: Mapping[str, JSON], violations: Violations) -> None:
    """Check the two dates against each other, once both are dates."""
    names = {parameter.role: parameter.name for parameter in dataset.parameters if parameter.role}
    if not all(name in values for name in names.values()) or not names:
        return
    start, end = date_range(dataset, values)
    day_count = (end - start).days + 1
    if day_count < 1:
        violations.add(names["end_date"], f"{end.isoformat()} is before {names['start_date']} {start.isoformat()}")
    elif day_count > dataset.limits.max_range_days:
        longest = dataset.limits.max_range_days
        violations.add(names["end_date"], f"the range has {day_count} days; {dataset.name} allows {longest}")
