"""The `[filters.*]` tables of a dataset.toml become filters; what requests give for them is `filters`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from sluice_query_engine.toml_section import Section
from sluice_query_engine.view import ChoiceFilter, Filter, MatchFilter, PatternFilter, SetFilter


def read_filter(name: str, section: Section) -> Filter:
    """Return the filter of one table.

    Raises:
        CatalogError: a key is missing, unknown or of the wrong kind, or a default is not among the values.
    """
    kind = section.word("kind", tuple(_READERS))
    found = _READERS[kind](name, section)
    section.close()
    return found


def _choice(name: str, section: Section) -> Filter:
    predicates = _predicates(section)
    default = section.optional_text("default")
    if default is not None and default not in predicates:
        raise section.error("default", f"{default!r} is not among {', '.join(predicates)}")
    return ChoiceFilter(name, section.text("title"), section.text("description"), predicates, default)


def _set(name: str, section: Section) -> Filter:
    predicates = _predicates(section)
    default = section.texts("default", ())
    for value in default:
        if value not in predicates:
            raise section.error("default", f"{value!r} is not among {', '.join(predicates)}")
    return SetFilter(name, section.text("title"), section.text("description"), predicates, default)


def _match(name: str, section: Section) -> Filter:
    return MatchFilter(
        name,
        section.text("title"),
        section.text("description"),
        column=section.text("column"),
        null_label=section.optional_text("null_label"),
        max_items=section.integer("max_items", 1000),
        max_length=section.integer("max_length", 200),
        keeps=section.predicate("keeps") if "keeps" in section else "",
    )


def _pattern(name: str, section: Section) -> Filter:
    text = section.text("pattern")
    try:
        pattern = re.compile(text, re.ASCII)
    except re.error as error:
        raise section.error("pattern", f"is no regular expression: {error}") from error
    groups_section = section.section("groups")
    groups = {group: groups_section.word(group, ("date", "text")) for group in groups_section.names()}
    select = section.text("select")
    for group in (*groups, select):
        if group not in pattern.groupindex:
            raise section.error("pattern", f"has no group {group!r}")
    days = section.texts("days", ())
    if len(days) not in (0, 2) or any(groups.get(group) != "date" for group in days):
        raise section.error("days", "is not two groups of dates")
    example = section.text("example")
    if not pattern.fullmatch(example):
        raise section.error("example", "does not match the pattern")
    return PatternFilter(
        name,
        section.text("title"),
        section.text("description"),
        pattern=text,
        groups=cast(Any, groups),
        select=select,
        predicates=_predicates(section),
        example=example,
        days=days,
    )


def _predicates(section: Section) -> Mapping[str, str]:
    values = section.section("values")
    predicates = {value: values.predicate(value) for value in values.names()}
    if not predicates:
        raise section.error("values", "is empty")
    return predicates


_READERS: Final[Mapping[str, Callable[[str, Section], Filter]]] = {
    "choice": _choice,
    "set": _set,
    "match": _match,
    "pattern": _pattern,
}
