"""The parts of a dataset: what `[parts.*]` of its TOML says of each statement, and of its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import pyarrow as pa
from sluice_warehouse.schema import UnknownType, parse_type
from sluice_warehouse.statements import MAX_ID_COUNT, Statement, StatementError, expand_ids, load

from sluice_query_engine.dataset import Parameter
from sluice_query_engine.days import DayLabel, DayRule
from sluice_query_engine.page_section import read_pages
from sluice_query_engine.parameters import ALL
from sluice_query_engine.parts import Part, Stage
from sluice_query_engine.stage_section import ids_from, read_stage
from sluice_query_engine.toml_section import CatalogError, Section

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""What parts, columns, views, filters and references may be called."""
_BINDS: Final[Mapping[str, frozenset[str]]] = {
    "time": frozenset({"start_time", "end_time", "row_limit"}),
    "start": frozenset({"start_time", "row_limit"}),
    "ids": frozenset({"ids", "row_limit"}),
}
_RANGE_BINDS: Final = frozenset({"start_time", "end_time"})
WHOLE: Final = "whole"
"""The cut of a part of a snapshot: its statement binds :row_limit alone."""


@dataclass(frozen=True)
class Tables:
    """The parts and stages of a dataset.

    Attributes:
        by_name: all of them, in the order they were written.
    """

    by_name: Mapping[str, Part | Stage]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts."""
        return tuple(item for item in self.by_name.values() if isinstance(item, Part))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages."""
        return tuple(item for item in self.by_name.values() if isinstance(item, Stage))


def read_tables(folder: Path, file: Section, parameters: Sequence[Parameter]) -> Tables:
    """Return the parts and stages in the order they were written.

    Raises:
        CatalogError: a key or file is wrong, or a statement binds something else than its cut gives.
    """
    found: dict[str, Part | Stage] = {}
    for name, section in file.sections("parts"):
        if "source" in section:
            columns = read_columns(section) if "columns" in section else None
            found[name] = read_stage(checked_name(section, name), section, found, parameters, columns)
            continue
        part = _part(folder, checked_name(section, name), section, found)
        _check_binds(folder, part, parameters)
        if part.id_parameter:
            lists = [item.name for item in parameters if item.type == "text_list"]
            named(section, "id_parameter", part.id_parameter, lists)
        found[name] = part
    return Tables(found)


def read_day_rule(section: Section) -> DayRule:
    """Return how dates become instants."""
    label = cast(DayLabel, section.word("label", get_args(DayLabel)))
    start = time(0) if label == "calendar" and "start" not in section else section.clock("start")
    if start.tzinfo is not None or (label == "calendar" and start != time(0)):
        raise section.error("start", "must be a plant-local time of day, and midnight for calendar days")
    section.close()
    return DayRule(day_start=start, label=label)


def _part(folder: Path, name: str, section: Section, found: Mapping[str, Part | Stage]) -> Part:
    before = {key: item for key, item in found.items() if isinstance(item, Part)}
    written = section.word("cut", (*_BINDS, WHOLE))
    # What is read whole is one chunk that depends on nothing but when it is read.
    cut = cast(Literal["time", "start", "ids"], "start" if written == WHOLE else written)
    same_as = section.optional_text("columns_of")
    if same_as is not None:
        if same_as not in before:
            raise section.error("columns_of", f"{same_as!r} is not a part written above this one")
        schema, dictionary_columns = before[same_as].schema, before[same_as].dictionary_columns
    else:
        schema, dictionary_columns = read_columns(section)
    select, sources = ids_from(section, found) if "ids_from" in section else ("", ())
    part = Part(
        name=name,
        statement=read_statement(folder / section.text("statement", f"{name}.sql"), name),
        schema=schema,
        cut=cut,
        time_column=section.text("time_column", "" if cut == "ids" or written == WHOLE else None),
        open_column=section.optional_text("open_column"),
        dictionary_columns=dictionary_columns,
        id_column=section.text("id_column") if cut == "ids" else "",
        id_parameter=section.optional_text("id_parameter") or "",
        ids_from=select,
        id_sources=sources,
        id_width=section.integer("id_width", 0, least=0) if cut == "ids" else 0,
        renews=section.texts("renews", ()),
        pages=read_pages(folder, name, section, schema, cut),
        pad_days=section.integer("pad_days", 0, least=0),
        day_rule=read_day_rule(section.section("day")) if "day" in section else None,
    )
    section.close()
    _check_columns(section, part)
    _check_ids(section, part, before)
    return part


def _check_columns(section: Section, part: Part) -> None:
    for key in ("time_column", "open_column", "id_column"):
        column = getattr(part, key)
        if column:
            named(section, key, column, part.schema.names)
    if part.time_column and not pa.types.is_timestamp(part.schema.field(part.time_column).type):
        raise section.error("time_column", f"{part.time_column!r} is not a timestamp")
    if part.id_column and not pa.types.is_string(part.schema.field(part.id_column).type):
        raise section.error("id_column", f"{part.id_column!r} is not a text")


def _check_ids(section: Section, part: Part, before: Mapping[str, Part]) -> None:
    """Check where the ids of a part come from: a parameter, or the open rows of parts with the same columns."""
    if part.cut != "ids":
        for key in ("id_parameter", "ids_from", "renews"):
            if getattr(part, key):
                raise section.error(key, "belongs to parts that are cut by ids")
        return
    if sum((bool(part.id_parameter), bool(part.ids_from), bool(part.renews))) != 1:
        raise section.error("id_parameter", "exactly one of id_parameter, ids_from and renews must be given")
    for name in part.renews:
        renewed = named(section, "renews", name, before)
        if renewed.cut == "ids" or renewed.open_column is None:
            raise section.error("renews", f"{name!r} is not a part cut by time or start with an open_column")
        same = renewed.schema == part.schema and renewed.dictionary_columns == part.dictionary_columns
        if not same or renewed.time_column != part.time_column:
            raise section.error("renews", f"{name!r} has other columns or another time_column")
        if any(name in other.renews for other in before.values()):
            raise section.error("renews", f"{name!r} is renewed by another part already")
    if part.renews and _RANGE_BINDS & set(part.statement.bind_names):
        raise section.error("renews", "a part that renews others reads by ids only, whatever the range")


def _check_binds(folder: Path, part: Part, parameters: Sequence[Parameter]) -> None:
    """Check that the statement binds what its cut gives, and else parameters, lists among them."""
    path, binds = folder / f"{part.name}.sql", set(part.statement.bind_names)
    wanted = _BINDS[part.cut] if part.time_column or part.cut == "ids" else frozenset({"row_limit"})
    lists = {item.name: item for item in parameters if item.type == "text_list" and item.name != part.id_parameter}
    single = {item.name for item in parameters if item.type != "text_list"} | set(lists)
    single |= {f"{ALL}{name}" for name in lists if name in binds}
    ranged = part.cut == "ids" and any(item.role for item in parameters)
    allowed = wanted | single | (_RANGE_BINDS if ranged else frozenset())
    half_a_range = part.cut == "ids" and len(_RANGE_BINDS & binds) == 1
    if not wanted <= binds <= allowed or half_a_range:
        texts = f"binds {', '.join(sorted(wanted))} and parameters only"
        if ranged:
            texts += ", and start_time and end_time together or not at all"
        raise CatalogError(path, "", f"a part cut by {part.cut} {texts}")
    if part.pages is not None:
        for statement in (part.pages.count, part.pages.page):
            given = binds - {"row_limit"}
            if set(statement.bind_names) - {"first_row", "last_row"} != given:
                raise CatalogError(path, "", f"{statement.name} binds other parameters")
    for name in [*(["ids"] if part.cut == "ids" else ()), *sorted(binds & set(lists))]:
        _check_list(path, part, name, lists.get(name))


def _check_list(path: Path, part: Part, name: str, parameter: Parameter | None) -> None:
    """Check that a list stands alone in IN lists, is short enough for one of them, and says when it does not count."""
    if parameter is not None and parameter.max_items > MAX_ID_COUNT:
        raise CatalogError(path, "", f"binds the list {name}, which must be of {MAX_ID_COUNT} items at most")
    if parameter is not None and parameter.required == (f"{ALL}{name}" in part.statement.bind_names):
        raise CatalogError(path, "", f"binds {ALL}{name} exactly when the list {name} need not be given")
    pages = () if part.pages is None else (part.pages.count, part.pages.page)
    try:
        for statement in (part.statement, *pages):
            expand_ids(statement, name, 1)
    except ValueError as error:
        raise CatalogError(path, "", str(error)) from None


def read_columns(section: Section) -> tuple[pa.Schema, tuple[str, ...]]:
    """Return the declared columns, and those of few distinct values."""
    fields, dictionary_columns = [], []
    for name, column in section.sections("columns"):
        try:
            kind = parse_type(column.text("type"))
        except UnknownType as error:
            raise column.error("type", str(error)) from None
        fields.append(pa.field(checked_name(column, name), kind, metadata={"description": column.text("about")}))
        if column.boolean("dictionary", False):
            dictionary_columns.append(name)
        column.close()
    return pa.schema(fields), tuple(dictionary_columns)


def read_statement(path: Path, name: str) -> Statement:
    """Return the statement of a file. Raises CatalogError: as `statements.load` says."""
    try:
        return load(path, name=name)
    except StatementError as error:
        raise CatalogError(path, "", str(error).removeprefix(f"{path}: ")) from None


def checked_name(section: Section, name: str) -> str:
    """Return the name of a table, column, view or filter. Raises CatalogError: it is none."""
    if not NAME.fullmatch(name):
        raise CatalogError(section.path, section.key, f"{name!r} is not lower-case words joined by underscores")
    return name


def named(section: Section, key: str, name: str, known: Any) -> Any:
    """Return what `name` stands for in a mapping, or the name itself where `known` only lists names."""
    if name not in known:
        raise section.error(key, f"{name!r} is not among {', '.join(known) or 'none'}")
    return known[name] if isinstance(known, Mapping) else name
