"""What a request asks for: body or query string, split by the dataset's definition into what each call takes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sluice_rpc.errors import FieldViolation, InvalidArgument, InvalidParameter

from sluice_gateway import body, schemas
from sluice_gateway.body import JSON
from sluice_gateway.definitions import Definition
from sluice_gateway.errors import shortened


@dataclass(frozen=True)
class Accepts:
    """What one kind of call takes.

    Attributes:
        fields: names of our own.
        parameters: primary parameters of the dataset.
        filters: view-time filters of the dataset.
    """

    fields: frozenset[str]
    parameters: bool = False
    filters: bool = False


_LOOK = frozenset({"views", "view", "page", "page_size", "sort", "order", "descending"})

PLAN = Accepts(frozenset(), parameters=True)
QUERY = Accepts(_LOOK, parameters=True, filters=True)
VIEW = Accepts(_LOOK | {"query_id", "allow_partial"}, filters=True)
EXPORT = Accepts(frozenset({"query_id", "view", "format", "sort", "order", "descending"}), filters=True)
OPTIONS = Accepts(frozenset({"query_id"}), filters=True)
FRAME = Accepts(frozenset({"query_id", "table", "format"}))

MAX_PAGE_SIZE = 200
_MAX_PAGE = 2**31 - 1
_QUERY_ID = re.compile(r"[0-9a-f]{16}")
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_LISTS = frozenset({"views", "view"})
_INTEGERS = frozenset({"page", "page_size"})
_BOOLEANS = frozenset({"descending", "allow_partial"})


@dataclass
class Asked:
    """What a request asks for, each value of its right type.

    Attributes:
        parameters: primary parameters as given; the query-engine checks their values.
        filters: view-time filters, checked against the dataset's schema.
        dataset: the one of the route. The query that is named must be its own; of a snapshot the newest is meant where
            none is.
        views: names in the order asked; empty means the initial views.
        wants_views: false when a query was asked for with an empty list of views: its rows are read, nothing is shown.
        page, page_size: 0 means the default.
        descending: None means the default of the sort key.
    """

    parameters: dict[str, JSON] = field(default_factory=dict)
    filters: dict[str, JSON] = field(default_factory=dict)
    query_id: str = ""
    dataset: str = ""
    views: list[str] = field(default_factory=list)
    wants_views: bool = True
    page: int = 0
    page_size: int = 0
    sort: str = ""
    descending: bool | None = None
    allow_partial: bool = False
    format: str = ""
    table: str = ""


def asked(given: Mapping[str, JSON], definition: Definition, accepts: Accepts) -> Asked:
    """Split what was given: the body, or the query string after `from_query`.

    Raises:
        InvalidParameter: with every unknown, missing or wrong field.
        ViewNotFound: a named view does not exist.
    """
    result = Asked(dataset=definition.name)
    wrong: list[FieldViolation] = []
    for name, value in given.items():
        if name in accepts.fields:
            wrong += _take(result, name, value)
        elif accepts.parameters and name in definition.parameters:
            result.parameters[name] = value
        elif accepts.filters and name in definition.filters:
            result.filters[name] = _bare_to_list(value, definition.filters[name])
            wrong += schemas.check(definition.filters[name], result.filters[name], name)
        else:
            wrong.append(_unknown(name, definition, accepts))
    newest = definition.snapshot and accepts is not FRAME
    if "query_id" in accepts.fields and not (result.query_id or newest) and "query_id" not in given:
        wrong.append(FieldViolation("query_id", "is required"))
    if not result.wants_views and not accepts.parameters:
        wrong.append(FieldViolation("views" if "views" in given else "view", "must name at least one view"))
    if accepts.fields & given.keys() >= {"order", "descending"}:
        wrong.append(FieldViolation("order", "says the same as descending; give one of them"))
    if result.sort and result.sort not in definition.sort_keys:
        wrong.append(FieldViolation("sort", f"must be one of {', '.join(sorted(definition.sort_keys))}"))
    if wrong:
        raise InvalidParameter.of(wrong)
    for view in result.views:
        definition.check_view(view)
    return result


def from_query(pairs: Iterable[tuple[str, str]], definition: Definition, accepts: Accepts) -> dict[str, JSON]:
    """Return the query string as the JSON that a body would have held.

    Lists are repeated parameters or comma-separated; the JSON form (`["a,b"]`, `{"exclude": [...]}`) holds any value.

    Raises:
        InvalidParameter: a single value is given twice, or a value cannot be passed on.
    """
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for name, text in pairs:
        body.check_text(name, "query string")
        body.check_text(text, name)
        texts[name].append(text)
    return {name: _typed(name, values, definition, accepts.fields) for name, values in texts.items()}


def check_query_id(query_id: str) -> str:
    """Return the id if it is well-formed.

    Raises:
        InvalidParameter: it is not 16 lower-case hexadecimal characters.
    """
    if not _QUERY_ID.fullmatch(query_id):
        raise InvalidParameter("query_id", "must be 16 lower-case hexadecimal characters")
    return query_id


def flag(pairs: Sequence[tuple[str, str]], name: str) -> bool:
    """Return the one flag that a query string may hold; false where it is not given.

    Raises:
        InvalidParameter: it is neither true nor false, is given twice, or something else is given.
    """
    value = _only(pairs, name, re.compile("true|false"), "true or false")
    return value == "true"


def position(pairs: Sequence[tuple[str, str]], name: str) -> int | None:
    """Return the one position, from 0, that a query string may hold.

    Raises:
        InvalidParameter: it is no such number, is given twice, or something else is given.
    """
    value = _only(pairs, name, re.compile("[0-9]{1,9}"), "a position, from 0")
    return None if value is None else int(value)


def named_as_asked(error: InvalidArgument, names: Mapping[str, str]) -> InvalidArgument:
    """Return the engine's refusal with its fields as they are called over HTTP."""
    wrong = [FieldViolation(names.get(item.field, item.field), item.description) for item in error.violations]
    return InvalidParameter.of(wrong) if wrong else error


def _only(pairs: Sequence[tuple[str, str]], name: str, allowed: re.Pattern[str], words: str) -> str | None:
    """Return the value of the one field that a query string may hold."""
    values = [text for given, text in pairs if given == name]
    wrong = [FieldViolation(shortened(given), f"is unknown; known is {name}") for given, _ in pairs if given != name]
    if len(values) > 1:
        wrong.append(FieldViolation(name, "is given more than once"))
    elif values and not allowed.fullmatch(values[0]):
        wrong.append(FieldViolation(name, f"must be {words}"))
    if wrong:
        raise InvalidParameter.of(wrong)
    return values[0] if values else None


def _typed(name: str, texts: Sequence[str], definition: Definition, fields: frozenset[str]) -> JSON:
    if name in fields and name in _LISTS:
        return [*_split(texts)]
    schema = {} if name in fields else definition.filters.get(name) or definition.parameters.get(name) or {}
    kinds = schemas.kinds(schema)
    if kinds & {"array", "object"}:
        return _typed_list(name, texts, kinds)
    if len(texts) > 1:
        raise InvalidParameter(shortened(name), "is given more than once")
    text = texts[0]
    if (name in fields and name in _INTEGERS) or "integer" in kinds:
        return int(text) if _WHOLE.fullmatch(text) else text
    if "number" in kinds and _NUMBER.fullmatch(text):
        return float(text)
    if ((name in fields and name in _BOOLEANS) or "boolean" in kinds) and text in ("true", "false"):
        return text == "true"
    return text


def _typed_list(name: str, texts: Sequence[str], kinds: frozenset[str]) -> JSON:
    values: list[JSON] = []
    for text in texts:
        whole = body.parse(text, name) if text.lstrip().startswith(("[", "{")) else [*_split([text])]
        if not isinstance(whole, list):
            if len(texts) > 1:
                raise InvalidParameter(shortened(name), "is given more than once")
            return whole
        values += whole
    from_json = texts[0].lstrip().startswith("[")
    return values[0] if len(values) == 1 and "string" in kinds and not from_json else values


def _split(texts: Sequence[str]) -> list[str]:
    return [item.strip() for text in texts for item in text.split(",")]


def _bare_to_list(value: JSON, schema: schemas.Schema) -> JSON:
    """A bare value is a list of one wherever a filter takes lists only."""
    kinds = schemas.kinds(schema)
    if "array" in kinds and isinstance(value, str) and "string" not in kinds:
        return [*_split([value])]
    return value


def _take(result: Asked, name: str, value: JSON) -> list[FieldViolation]:
    if name in _LISTS:
        return _take_views(result, name, value)
    fits, expected = _EXPECTED.get(name, (_is_text, "text"))
    if not fits(value):
        return [FieldViolation(name, f"must be {expected}")]
    if name == "order":
        result.descending = value == "desc"
    else:
        setattr(result, name, value)
    return []


def _is_text(value: JSON) -> bool:
    return isinstance(value, str)


def _is_query_id(value: JSON) -> bool:
    return isinstance(value, str) and _QUERY_ID.fullmatch(value) is not None


def _is_boolean(value: JSON) -> bool:
    return isinstance(value, bool)


def _is_count(most: int) -> Callable[[JSON], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


_EXPECTED: Final[Mapping[str, tuple[Callable[[JSON], bool], str]]] = {
    "page": (_is_count(_MAX_PAGE), f"a whole number from 1 to {_MAX_PAGE:,}"),
    "page_size": (_is_count(MAX_PAGE_SIZE), f"a whole number from 1 to {MAX_PAGE_SIZE}"),
    "descending": (_is_boolean, "true or false"),
    "allow_partial": (_is_boolean, "true or false"),
    "order": (lambda value: value in ("asc", "desc"), "asc or desc"),
    "query_id": (_is_query_id, "16 lower-case hexadecimal characters"),
}
"""Every other field of ours is text."""


def _take_views(result: Asked, name: str, value: JSON) -> list[FieldViolation]:
    names = _split([value]) if isinstance(value, str) else value
    if not isinstance(names, list):
        return [FieldViolation(name, "must be a list of view names")]
    result.wants_views = bool(names)
    for item in names:
        if not isinstance(item, str) or not item:
            return [FieldViolation(name, "must be a list of view names")]
        if item in result.views:
            return [FieldViolation(name, f"names {shortened(item)!r} twice")]
        result.views.append(item)
    return []


def _unknown(name: str, definition: Definition, accepts: Accepts) -> FieldViolation:
    if name in definition.parameters:
        return FieldViolation(name, "belongs to the query, not to a look at its rows")
    known = [
        *(definition.parameters if accepts.parameters else ()),
        *(definition.filters if accepts.filters else ()),
        *sorted(accepts.fields),
    ]
    return FieldViolation(shortened(name), f"is unknown; known are {', '.join(known)}")
