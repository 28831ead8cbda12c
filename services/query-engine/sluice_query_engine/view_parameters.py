"""Parameters of views: values that a view's SQL binds, such as a granularity, and that select no rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, cast, get_args

from sluice_query_engine.toml_section import Section, read_labels
from sluice_query_engine.violations import Violations, one_of, shown

ViewParameterType = Literal["choice", "integer", "boolean", "text"]
"""What a parameter of views may be."""


@dataclass(frozen=True)
class ViewParameter:
    """A value that views bind as `$name`.

    Attributes:
        default: what is bound where it is not given.
        choices: the values of a `choice`, else empty.
        least: smallest value of an `integer`.
        most: largest value of an `integer`, most characters of a `text`.
        labels: title by language.
    """

    name: str
    type: ViewParameterType
    title: str
    description: str
    default: str | int | bool
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


def read_view_parameter(name: str, section: Section) -> ViewParameter:
    """Return the parameter of one table.

    Raises:
        CatalogError: a key is missing, unknown or of the wrong kind, or the default is not allowed.
    """
    kind = cast(ViewParameterType, section.word("type", get_args(ViewParameterType)))
    title, description, labels = section.text("title"), section.text("description"), read_labels(section)
    match kind:
        case "choice":
            choices = section.texts("choices")
            found = ViewParameter(name, kind, title, description, section.word("default", choices), choices)
        case "integer":
            least, most = section.integer("least", 1, least=0), section.integer("most")
            found = ViewParameter(
                name, kind, title, description, section.integer("default", least=least), least=least, most=most
            )
            if not isinstance(found.default, int) or found.default > most:
                raise section.error("default", f"is above {most}")
        case "boolean":
            found = ViewParameter(name, kind, title, description, section.boolean("default"))
        case "text":
            # What is looked for is nothing until somebody types it.
            found = ViewParameter(name, kind, title, description, "", most=section.integer("most"))
    section.close()
    return replace(found, labels=labels)


def view_values(
    parameters: tuple[ViewParameter, ...], given: Mapping[str, object], violations: Violations
) -> dict[str, str | int | bool]:
    """Return the value of each parameter by name, defaults included; null counts as not given.

    What is wrong is added to `violations`, and the default then stands.
    """
    return {item.name: _value(item, given.get(item.name), violations) for item in parameters}


def value_schema(item: ViewParameter) -> dict[str, object]:
    """Return the JSON Schema of a parameter."""
    about: dict[str, object] = {"title": item.title, "description": item.description, "default": item.default}
    match item.type:
        case "choice":
            return {**about, "type": "string", "enum": [*item.choices]}
        case "integer":
            return {**about, "type": "integer", "minimum": item.least, "maximum": item.most}
        case "boolean":
            return {**about, "type": "boolean"}
        case "text":
            return {**about, "type": "string", "maxLength": item.most}


def _value(item: ViewParameter, value: object, violations: Violations) -> str | int | bool:
    if value is None:
        return item.default
    match item.type:
        case "choice":
            if isinstance(value, str) and value in item.choices:
                return value
            violations.add(item.name, f"{shown(value)} is not one of {one_of(item.choices)}")
        case "integer":
            # A bool is an int to Python, and numbers arrive as doubles.
            whole = isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
            if whole and item.least <= cast(float, value) <= item.most:
                return int(cast(float, value))
            violations.add(item.name, f"{shown(value)} is not a whole number between {item.least} and {item.most}")
        case "boolean":
            if isinstance(value, bool):
                return value
            violations.add(item.name, f"{shown(value)} is neither true nor false")
        case "text":
            if isinstance(value, str) and len(value) <= item.most:
                return value.strip()
            violations.add(item.name, f"{shown(value)} is not a text of at most {item.most} characters")
    return item.default
