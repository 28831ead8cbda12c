"""What is shown in place of the values of a choice, by language: `true` is a word of programs and not of people."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from sluice_query_engine.dataset import Parameter
from sluice_query_engine.toml_section import Section, read_languages
from sluice_query_engine.view import ChoiceFilter, Filter, PatternFilter, SetFilter
from sluice_query_engine.view_parameters import ViewParameter

ValueLabels: TypeAlias = Mapping[str, Mapping[str, str]]
"""Texts by language, by value."""


def choices_of(
    parameters: Iterable[Parameter], filters: Iterable[Filter], view_parameters: Iterable[ViewParameter]
) -> dict[str, tuple[str, ...]]:
    """Return the values that can be chosen, by the name of what they are chosen for; of a pattern the words in it."""
    asked: list[Parameter | ViewParameter] = [*parameters, *view_parameters]
    choices = {item.name: item.choices or ("true", "false") for item in asked if item.type in ("choice", "boolean")}
    for found in filters:
        if isinstance(found, ChoiceFilter | SetFilter | PatternFilter):
            choices[found.name] = tuple(found.predicates)
    return choices


def read_value_labels(file: Section, choices: Mapping[str, Collection[str]]) -> dict[str, ValueLabels]:
    """Return the texts of values by the name of what they are chosen for; none where there is no such table.

    Raises:
        CatalogError: a name or a value is not among the choices, or a key is no language.
    """
    found: dict[str, ValueLabels] = {}
    for name, section in file.sections("value_labels", required=False):
        if name not in choices:
            raise file.error(
                f"value_labels.{name}", "is none of the parameters, filters and view parameters with choices"
            )
        for value in section.names():
            if value not in choices[name]:
                raise section.error(value, f"is not among {', '.join(choices[name])}")
        found[name] = {value: read_languages(section.section(value)) for value in section.names()}
    return found
