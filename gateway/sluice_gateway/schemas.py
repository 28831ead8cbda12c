"""The part of JSON Schema that dataset definitions use: enough to refuse a wrong filter before any work is done.

The query-engine decides in the end; what this module does not know it lets through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from sluice_rpc.errors import FieldViolation

from sluice_gateway import patterns
from sluice_gateway.body import JSON

Schema = Mapping[str, JSON]


def kinds(schema: Schema) -> frozenset[str]:
    """Return the JSON types that a schema can take; empty when it does not say."""
    found: set[str] = set()
    declared = schema.get("type")
    if isinstance(declared, str):
        found.add(declared)
    elif isinstance(declared, list):
        found.update(item for item in declared if isinstance(item, str))
    for alternative in _alternatives(schema):
        found |= kinds(alternative)
    return frozenset(found)


def check(schema: Schema, value: JSON, field: str) -> Iterator[FieldViolation]:
    """Yield what is wrong with `value`, in words that name the fix and never repeat the value."""
    alternatives = _alternatives(schema)
    if alternatives:
        attempts = [list(check(alternative, value, field)) for alternative in alternatives]
        if all(attempts):
            # The alternative of the value's own type says more than those that would want another one.
            fitting = [
                tried for alternative, tried in zip(alternatives, attempts, strict=True) if _fits(alternative, value)
            ]
            yield from (fitting or attempts)[0]
            return
    if not _fits(schema, value):
        yield FieldViolation(field, f"must be {_named(kinds(schema))}")
        return
    allowed = schema.get("enum")
    if isinstance(allowed, list) and value not in allowed:
        yield FieldViolation(field, f"must be one of {', '.join(map(str, allowed))}")
        return
    yield from _check_members(schema, value, field)


def _check_members(schema: Schema, value: JSON, field: str) -> Iterator[FieldViolation]:
    if isinstance(value, str):
        yield from _check_text(schema, value, field)
    elif isinstance(value, list):
        items = schema.get("items")
        longest = schema.get("maxItems")
        if not value and schema.get("minItems"):
            yield FieldViolation(field, "must hold at least one value")
        elif isinstance(longest, int) and len(value) > longest:
            yield FieldViolation(field, f"must hold at most {longest:,} values")
        elif isinstance(items, dict):
            # One wrong member says enough; a list may hold thousands.
            wrong = (violation for item in value for violation in check(items, item, field))
            yield from [first] if (first := next(wrong, None)) else []
    elif isinstance(value, dict):
        yield from _check_object(schema, value, field)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _check_number(schema, value, field)


def _check_text(schema: Schema, value: str, field: str) -> Iterator[FieldViolation]:
    pattern = schema.get("pattern")
    longest = schema.get("maxLength")
    least = schema.get("minLength")
    if isinstance(pattern, str) and not patterns.matches(pattern, value):
        yield FieldViolation(field, patterns.wanted(pattern, schema.get("examples")))
    if isinstance(least, int) and len(value) < least:
        yield FieldViolation(field, "must not be empty" if least == 1 else f"must be at least {least} characters long")
    if isinstance(longest, int) and len(value) > longest:
        yield FieldViolation(field, f"must be at most {longest:,} characters long")


def _check_number(schema: Schema, value: float, field: str) -> Iterator[FieldViolation]:
    least = schema.get("minimum", -math.inf)
    most = schema.get("maximum", math.inf)
    if isinstance(least, int | float) and value < least:
        yield FieldViolation(field, f"must be at least {least}")
    if isinstance(most, int | float) and value > most:
        yield FieldViolation(field, f"must be at most {most}")


def _check_object(schema: Schema, value: dict[str, JSON], field: str) -> Iterator[FieldViolation]:
    known = schema.get("properties")
    members = known if isinstance(known, dict) else {}
    for name, item in value.items():
        member = members.get(name)
        if isinstance(member, dict):
            yield from check(member, item, f"{field}.{name}")
        elif schema.get("additionalProperties") is False:
            yield FieldViolation(field, f"may only hold {', '.join(members)}")
            return


def _alternatives(schema: Schema) -> list[dict[str, JSON]]:
    for keyword in ("anyOf", "oneOf"):
        found = schema.get(keyword)
        if isinstance(found, list):
            return [item for item in found if isinstance(item, dict)]
    return []


def _fits(schema: Schema, value: JSON) -> bool:
    allowed = kinds(schema)
    return not allowed or bool(allowed & _types_of(value))


def _types_of(value: JSON) -> frozenset[str]:
    if value is None:
        return frozenset({"null"})
    if isinstance(value, bool):
        return frozenset({"boolean"})
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return frozenset({"integer", "number"})
    if isinstance(value, float):
        return frozenset({"number"})
    if isinstance(value, str):
        return frozenset({"string"})
    return frozenset({"array"}) if isinstance(value, list) else frozenset({"object"})


def _named(allowed: frozenset[str]) -> str:
    words = {"array": "a list", "object": "an object", "string": "text", "integer": "a whole number", "null": "null"}
    return " or ".join(sorted(words.get(kind, f"a {kind}") for kind in allowed))
