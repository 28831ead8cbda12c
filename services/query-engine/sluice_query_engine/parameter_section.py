"""The `[parameters.*]` tables of a dataset.toml: what a request may give, and what of it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast, get_args

import pyarrow as pa

from sluice_query_engine.dataset import KnownValues, Parameter, ParameterType, Reference
from sluice_query_engine.part_section import checked_name, named
from sluice_query_engine.toml_section import Section, read_labels

_LIST_KEYS: Final = ("min_items", "max_items", "known_in")


def read_parameters(file: Section, references: Mapping[str, Reference], *, required: bool) -> tuple[Parameter, ...]:
    """Return the parameters in the order they were written.

    Args:
        file: the whole file.
        references: all there are, by name.
        required: there must be such a table.

    Raises:
        CatalogError: a key is missing, unknown or wrong.
    """
    tables = file.sections("parameters", required=required)
    return tuple(_parameter(name, section, references) for name, section in tables)


def _parameter(name: str, section: Section, references: Mapping[str, Reference]) -> Parameter:
    kind = cast(ParameterType, section.word("type", get_args(ParameterType)))
    role = section.optional_text("role")
    if role not in (None, "start_date", "end_date") or (role is not None and kind != "date"):
        raise section.error("role", "is start_date or end_date, and of dates only")
    choices = section.texts("choices", ())
    if bool(choices) != (kind == "choice"):
        raise section.error("choices", "belongs to the type choice, which needs it")
    fold = section.optional_text("fold")
    if fold not in (None, "upper", "lower"):
        raise section.error("fold", "is upper or lower")
    for key in _LIST_KEYS:
        if key in section and kind != "text_list":
            raise section.error(key, "belongs to the type text_list")
    default = _default(section, kind, choices)
    parameter = Parameter(
        name=checked_name(section, name),
        type=kind,
        title=section.text("title"),
        description=section.text("description"),
        required=section.boolean("required", default is None),
        role=cast(Any, role),
        choices=choices,
        max_length=section.integer("max_length", 200),
        min_items=section.integer("min_items", 0, least=0),
        max_items=section.integer("max_items", 1000),
        width=_width(section, kind),
        known_in=_known_in(section, references),
        fold=cast(Any, fold),
        default=default,
        labels=read_labels(section),
    )
    section.close()
    if parameter.required and default is not None:
        raise section.error("default", "belongs to parameters that are not required")
    if parameter.min_items > parameter.max_items:
        raise section.error("min_items", "is above max_items")
    return parameter


def _width(section: Section, kind: ParameterType) -> int:
    if "id_width" in section and kind not in ("text", "text_list"):
        raise section.error("id_width", "belongs to texts and lists of them")
    return section.integer("id_width", 0, least=0)


def _known_in(section: Section, references: Mapping[str, Reference]) -> KnownValues | None:
    """Return where every value is listed; written as `reference.column`."""
    text = section.optional_text("known_in")
    if text is None:
        return None
    name, _, column = text.partition(".")
    reference: Reference = named(section, "known_in", name, references)
    if not pa.types.is_string(reference.schema.field(named(section, "known_in", column, reference.schema.names)).type):
        raise section.error("known_in", f"{column!r} of {name} is not a text")
    return KnownValues(reference, column)


def _default(section: Section, kind: ParameterType, choices: tuple[str, ...]) -> str | int | bool | None:
    """Return what stands where the parameter is not given, or None where nothing does."""
    if "default" not in section:
        return None
    match kind:
        case "boolean":
            return section.boolean("default")
        case "integer":
            return section.integer("default", least=-(2**53))
        case "text":
            return section.text("default")
        case "choice":
            return section.word("default", choices)
        case _:
            raise section.error("default", "belongs to choices, texts, whole numbers and booleans")
