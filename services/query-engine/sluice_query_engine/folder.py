"""One dataset or reference folder becomes one value, or an error with file and key; SQL is compiled elsewhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import time
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import pyarrow as pa
from sluice_warehouse.schema import UnknownType, parse_type
from sluice_warehouse.statements import Statement, StatementError, load, parse

from sluice_query_engine.dataset import (
    Dataset,
    DayLabel,
    DayRule,
    Derived,
    Limits,
    Parameter,
    ParameterType,
    Part,
    Reference,
    SortKey,
    View,
    ViewColumn,
)
from sluice_query_engine.filter_section import read_filter
from sluice_query_engine.toml_section import CatalogError, Section

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DATASET_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_ROUTE: Final = re.compile(r"[a-z][a-z0-9-]*(/[a-z][a-z0-9-]*)*")
_CUT_BINDS: Final[Mapping[str, frozenset[str]]] = {
    "time": frozenset({"start_time", "end_time", "row_limit"}),
    "start": frozenset({"start_time", "row_limit"}),
}


def read_dataset(folder: Path, references: Mapping[str, Reference]) -> Dataset:
    """Return the dataset of a folder; its name is the folder's.

    Raises:
        CatalogError: a file is missing, a key is missing, unknown or of the wrong kind, or names do not fit together.
    """
    file = Section.read(folder / "dataset.toml")
    if not _DATASET_NAME.fullmatch(folder.name):
        raise CatalogError(folder, "", "a dataset's name is lower-case words joined by hyphens")
    route = file.text("route", folder.name)
    if not _ROUTE.fullmatch(route):
        raise file.error("route", f"{route!r} is not a path of lower-case words")
    parameters = tuple(_parameter(name, section) for name, section in file.sections("parameters"))
    parts = _parts(folder, file, {item.name for item in parameters if item.type != "text_list"})
    derived = _derived(folder, file.section("derived"))
    filters = tuple(read_filter(_checked_name(section, name), section) for name, section in _optional(file, "filters"))
    views = _views(folder, file, {item.name for item in filters})
    dataset = Dataset(
        name=folder.name,
        route=route,
        title=file.text("title"),
        # Written over several lines, shown in one paragraph.
        description=" ".join(file.text("description").split()),
        version=file.integer("version"),
        day_rule=_day_rule(file.section("day")),
        parameters=parameters,
        limits=_limits(file.section("limits")),
        parts=parts,
        references=tuple(_named(file, "references", name, references) for name in file.texts("references", ())),
        clip=file.text("clip", ""),
        derived=derived,
        filters=filters,
        views=views,
        initial_views=file.texts("initial_views"),
        rows_view=file.text("rows_view"),
    )
    file.close()
    _check_names(file, dataset)
    return dataset


def read_reference(folder: Path) -> Reference:
    """Return the reference of a folder; its name is the folder's.

    Raises:
        CatalogError: as `read_dataset`, or it has both a statement and rows, or neither.
    """
    file = Section.read(folder / "reference.toml")
    if not _NAME.fullmatch(folder.name):
        raise CatalogError(folder, "", "a reference's name is lower-case words joined by underscores")
    file.text("description")
    schema, _ = _columns(file)
    statement_file, rows = file.optional_text("statement"), file.rows("rows")
    if (statement_file is None) == (rows is None):
        raise file.error("statement", "exactly one of statement and rows must be given")
    reference = Reference(
        name=folder.name,
        schema=schema,
        statement=None if statement_file is None else _statement(folder / statement_file, folder.name),
        rows=rows,
        ttl_s=file.integer("ttl_s"),
        allow_empty=file.boolean("allow_empty", False),
    )
    file.close()
    _check_rows(file, reference)
    return reference


def _check_rows(file: Section, reference: Reference) -> None:
    for number, row in enumerate(reference.rows or ()):
        if set(row) != set(reference.schema.names):
            raise file.error("rows", f"row {number} does not have exactly the columns {reference.schema.names}")
    try:
        row_count = reference.inline_table().num_rows
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise file.error("rows", f"do not fit the declared columns: {error}") from error
    if reference.rows is not None and row_count == 0 and not reference.allow_empty:
        raise file.error("rows", "are empty, and allow_empty is false")


def _day_rule(section: Section) -> DayRule:
    label = cast(DayLabel, section.word("label", get_args(DayLabel)))
    start = time(0) if label == "calendar" and "start" not in section else section.clock("start")
    if start.tzinfo is not None or (label == "calendar" and start != time(0)):
        raise section.error("start", "must be a plant-local time of day, and midnight for calendar days")
    section.close()
    return DayRule(day_start=start, label=label)


def _limits(section: Section) -> Limits:
    limits = Limits(
        max_range_days=section.integer("max_range_days"),
        settled_ttl_s=section.integer("settled_ttl_s"),
        settles_after_days=section.integer("settles_after_days", least=0),
        max_rows_per_chunk=section.integer("max_rows_per_chunk"),
        parallel=section.integer("parallel"),
        direct_max_days=section.integer("direct_max_days", 60),
        grain_days=section.integer("grain_days", 31),
        ttl_s=section.integer("ttl_s", 900),
    )
    section.close()
    return limits


def _parameter(name: str, section: Section) -> Parameter:
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
    parameter = Parameter(
        name=_checked_name(section, name),
        type=kind,
        title=section.text("title"),
        description=section.text("description"),
        required=section.boolean("required", True),
        role=cast(Any, role),
        choices=choices,
        max_length=section.integer("max_length", 200),
        max_items=section.integer("max_items", 1000),
        fold=cast(Any, fold),
    )
    section.close()
    return parameter


def _parts(folder: Path, file: Section, bindable: Collection[str]) -> tuple[Part, ...]:
    """Return the parts; their statements bind what their cut needs, and parameters that are single values."""
    parts: dict[str, Part] = {}
    for name, section in file.sections("parts"):
        same_as = section.optional_text("columns_of")
        if same_as is not None and same_as not in parts:
            raise section.error("columns_of", f"{same_as!r} is not a part written above this one")
        if same_as is None:
            schema, dictionary_columns = _columns(section)
        else:
            schema, dictionary_columns = parts[same_as].schema, parts[same_as].dictionary_columns
        part = _part(folder, _checked_name(section, name), section, schema, dictionary_columns)
        wanted = sorted(_CUT_BINDS[part.cut])
        binds = set(part.statement.bind_names)
        if not binds >= set(wanted) or not binds <= {*wanted, *bindable}:
            path = folder / f"{part.statement.name}.sql"
            raise CatalogError(path, "", f"a part cut by {part.cut} binds {', '.join(wanted)} and parameters only")
        parts[name] = part
    return tuple(parts.values())


def _part(folder: Path, name: str, section: Section, schema: pa.Schema, dictionary_columns: tuple[str, ...]) -> Part:
    cut = cast(Literal["time", "start"], section.word("cut", tuple(_CUT_BINDS)))
    part = Part(
        name=name,
        statement=_statement(folder / f"{name}.sql", name),
        schema=schema,
        cut=cut,
        time_column=_named(section, "time_column", section.text("time_column"), schema.names),
        open_column=section.optional_text("open_column"),
        dictionary_columns=dictionary_columns,
    )
    section.close()
    if not pa.types.is_timestamp(schema.field(part.time_column).type):
        raise section.error("time_column", f"{part.time_column!r} is not a timestamp")
    if part.open_column is not None:
        _named(section, "open_column", part.open_column, schema.names)
    return part


def _columns(section: Section) -> tuple[pa.Schema, tuple[str, ...]]:
    """Return the declared columns, and those of few distinct values."""
    fields, dictionary_columns = [], []
    for name, column in section.sections("columns"):
        try:
            kind = parse_type(column.text("type"))
        except UnknownType as error:
            raise column.error("type", str(error)) from None
        fields.append(pa.field(_checked_name(column, name), kind, metadata={"description": column.text("about")}))
        if column.boolean("dictionary", False):
            dictionary_columns.append(name)
        column.close()
    return pa.schema(fields), tuple(dictionary_columns)


def _derived(folder: Path, section: Section) -> Derived:
    derived = Derived(
        name=_checked_name(section, section.text("table")),
        sql=_view_sql(folder / "derive.sql"),
        dictionary_columns=section.texts("dictionary_columns", ()),
        columns=_view_columns(section),
    )
    section.close()
    for column in derived.dictionary_columns:
        _named(section, "dictionary_columns", column, [item.name for item in derived.columns])
    return derived


def _views(folder: Path, file: Section, filters: Collection[str]) -> tuple[View, ...]:
    views = []
    for name, section in file.sections("views"):
        sort_keys = tuple(_sort_key(key, inner) for key, inner in _optional(section, "sort"))
        view = View(
            name=_checked_name(section, name),
            title=section.text("title"),
            description=section.text("description"),
            sql=_view_sql(folder / "views" / f"{name}.sql"),
            columns=_view_columns(section),
            filters=tuple(_named(section, "filters", item, filters) for item in section.texts("filters", ())),
            paged=section.boolean("paged", False),
            sort_keys=sort_keys,
            tiebreaker=section.text("tiebreaker", ""),
            chart=section.text("chart", ""),
        )
        section.close()
        if view.paged != bool(view.sort_keys) or view.paged != bool(view.tiebreaker):
            raise section.error("paged", "a paged view, and no other, has sort keys and a tiebreaker")
        views.append(view)
    return tuple(views)


def _view_columns(section: Section) -> tuple[ViewColumn, ...]:
    columns = []
    for name, column in section.sections("columns"):
        columns.append(ViewColumn(_checked_name(column, name), column.text("title"), column.text("about")))
        column.close()
    return tuple(columns)


def _sort_key(name: str, section: Section) -> SortKey:
    key = SortKey(_checked_name(section, name), section.text("expression", name), section.boolean("descending", False))
    section.close()
    return key


def _check_names(file: Section, dataset: Dataset) -> None:
    roles = sorted(parameter.role for parameter in dataset.parameters if parameter.role)
    if roles != ["end_date", "start_date"] or not all(item.required for item in dataset.parameters if item.role):
        raise file.error("parameters", "exactly one required date has the role start_date, and one end_date")
    both = {item.name for item in dataset.parameters} & {item.name for item in dataset.filters}
    if both:
        raise file.error("filters", f"{sorted(both)} are parameters too; a request could not tell them apart")
    views = {view.name: view for view in dataset.views}
    for name in dataset.initial_views:
        _named(file, "initial_views", name, views)
    if not _named(file, "rows_view", dataset.rows_view, views).paged:
        raise file.error("rows_view", f"{dataset.rows_view!r} is not paged")
    tables = [part.name for part in dataset.parts]
    tables += [reference.name for reference in dataset.references]
    tables += [dataset.derived.name, "selected"]
    if len(set(tables)) != len(tables):
        raise file.error("parts", "parts, references and the derived table need different names, none `selected`")


def _statement(path: Path, name: str) -> Statement:
    try:
        return load(path, name=name)
    except StatementError as error:
        raise CatalogError(path, "", str(error).removeprefix(f"{path}: ")) from None


def _view_sql(path: Path) -> str:
    """Return the SQL of a file without its comments; the header comment is required as for the warehouse's."""
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(path, "", f"cannot be read: {error}") from error
    if not source.lstrip().startswith("--"):
        raise CatalogError(path, "", "has no header comment that says what one row is")
    try:
        return parse(path.stem, source).text
    except ValueError as error:
        raise CatalogError(path, "", str(error)) from None


def _checked_name(section: Section, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise CatalogError(section.path, section.key, f"{name!r} is not lower-case words joined by underscores")
    return name


def _optional(section: Section, name: str) -> list[tuple[str, Section]]:
    return section.sections(name, required=False)


def _named(section: Section, key: str, name: str, known: Any) -> Any:
    """Return what `name` stands for in a mapping, or the name itself where `known` only lists names."""
    if name not in known:
        raise section.error(key, f"{name!r} is not among {', '.join(known) or 'none'}")
    return known[name] if isinstance(known, Mapping) else name
