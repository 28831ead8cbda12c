"""One dataset or reference folder becomes one value, or an error with file and key; SQL is compiled elsewhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import time
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
from sluice_rpc.errors import InvalidParameter
from sluice_warehouse.statements import MAX_ID_COUNT, parse

from sluice_query_engine.dataset import Dataset, Derived, LimitDefaults, Limits, Reference, Snapshot, WarmUp
from sluice_query_engine.days import DayRule
from sluice_query_engine.display_section import read_view_column
from sluice_query_engine.filter_section import read_filter
from sluice_query_engine.mode_section import optional_outside, read_modes
from sluice_query_engine.parameter_section import read_parameters
from sluice_query_engine.parameters import canonical
from sluice_query_engine.part_section import (
    NAME,
    checked_name,
    named,
    read_columns,
    read_day_rule,
    read_statement,
    read_tables,
)
from sluice_query_engine.snapshot_section import check_snapshot, read_snapshot
from sluice_query_engine.toml_section import CatalogError, Section, read_labels, read_languages
from sluice_query_engine.value_labels import choices_of, read_value_labels
from sluice_query_engine.view import Filter, SortKey, View, ViewColumn
from sluice_query_engine.view_parameters import ViewParameter, read_view_parameter

LIMIT_DEFAULTS: Final = LimitDefaults()
"""What stands where neither a dataset nor a setting says otherwise."""
_DATASET_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SNAPSHOT_LIVES: Final = 12
"""Intervals for which a snapshot stands in for later ones that fail, unless its folder says otherwise."""
_ROUTE: Final = re.compile(r"[a-z][a-z0-9-]*(/[a-z][a-z0-9-]*)*")


def read_dataset(
    folder: Path, references: Mapping[str, Reference], defaults: LimitDefaults = LIMIT_DEFAULTS
) -> Dataset:
    """Return the dataset of a folder; its name is the folder's, and limits it does not give are the defaults.

    Raises:
        CatalogError: a file is missing, a key is missing, unknown or of the wrong kind, or names do not fit together.
    """
    file = Section.read(folder / "dataset.toml")
    route = _route(folder, file)
    snapshot = read_snapshot(folder, file)
    parameters = read_parameters(file, references, required=snapshot is None)
    tables = read_tables(folder, file, parameters)
    modes = read_modes(file, parameters, tables.by_name)
    looks = _looks(folder, file)
    dataset = Dataset(
        name=folder.name,
        route=route,
        title=file.text("title"),
        # Written over several lines, shown in one paragraph.
        description=" ".join(file.text("description").split()),
        version=file.integer("version"),
        day_rule=_day_rule(file, snapshot),
        parameters=optional_outside(modes, parameters),
        limits=_limits(file.section("limits"), defaults, snapshot),
        snapshot=snapshot,
        warm_up=_warm_up(file),
        parts=tables.parts,
        stages=tables.stages,
        order=tuple(tables.by_name),
        modes=modes,
        labels=read_labels(file),
        descriptions=read_languages(file.section("descriptions")) if "descriptions" in file else {},
        references=tuple(named(file, "references", name, references) for name in file.texts("references", ())),
        clip=file.text("clip", ""),
        derived=_derived(folder, file.section("derived")),
        **looks._asdict(),
        value_labels=read_value_labels(file, choices_of(parameters, looks.filters, looks.view_parameters)),
        initial_views=file.texts("initial_views"),
        rows_view=file.text("rows_view"),
    )
    file.close()
    _check_names(file, dataset)
    return dataset


def _route(folder: Path, file: Section) -> str:
    """Return the path of a dataset under `/api/`, its name unless it is given."""
    if not _DATASET_NAME.fullmatch(folder.name):
        raise CatalogError(folder, "", "a dataset's name is lower-case words joined by hyphens")
    route = file.text("route", folder.name)
    if not _ROUTE.fullmatch(route):
        raise file.error("route", f"{route!r} is not a path of lower-case words")
    return route


class _Looks(NamedTuple):
    """What a dataset says of its views; named as in `Dataset`."""

    filters: tuple[Filter, ...]
    filter_labels: Mapping[str, Mapping[str, str]]
    view_parameters: tuple[ViewParameter, ...]
    views: tuple[View, ...]


def _looks(folder: Path, file: Section) -> _Looks:
    declared = _optional(file, "filters")
    labels = {name: read_labels(section) for name, section in declared}
    filters = tuple(read_filter(checked_name(section, name), section) for name, section in declared)
    asked = _optional(file, "view_parameters")
    parameters = tuple(read_view_parameter(checked_name(section, name), section) for name, section in asked)
    views = _views(folder, file, {item.name for item in filters}, {item.name for item in parameters})
    return _Looks(filters, labels, parameters, views)


def read_reference(folder: Path) -> Reference:
    """Return the reference of a folder; its name is the folder's.

    Raises:
        CatalogError: as `read_dataset`, or it has both a statement and rows, or neither.
    """
    file = Section.read(folder / "reference.toml")
    if not NAME.fullmatch(folder.name):
        raise CatalogError(folder, "", "a reference's name is lower-case words joined by underscores")
    file.text("description")
    schema, _ = read_columns(file)
    statement_file, rows = file.optional_text("statement"), file.rows("rows")
    if (statement_file is None) == (rows is None):
        raise file.error("statement", "exactly one of statement and rows must be given")
    reference = Reference(
        name=folder.name,
        schema=schema,
        statement=None if statement_file is None else read_statement(folder / statement_file, folder.name),
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


def _warm_up(file: Section) -> WarmUp | None:
    if "warm_up" not in file:
        return None
    section = file.section("warm_up")
    given = section.section("parameters") if "parameters" in section else None
    values = {} if given is None else {name: given.text(name) for name in given.names()}
    warm_up = WarmUp(section.integer("days"), section.integer("every_s", 3600, least=60), values)
    section.close()
    return warm_up


def _check_warm_up(file: Section, dataset: Dataset) -> None:
    """Check that the range that is kept warm is one that a caller could ask."""
    if dataset.warm_up is None:
        return
    if not dataset.has_range or dataset.warm_up.days > dataset.limits.max_range_days:
        raise file.error("warm_up.days", "is longer than the longest range, or there is no range at all")
    first = {"start_date": "2025-01-01", "end_date": "2025-01-01"}
    given: dict[str, object] = {item.name: first[item.role] for item in dataset.parameters if item.role}
    try:
        canonical(dataset, {**dataset.warm_up.parameters, **given})
    except InvalidParameter as error:
        raise file.error("warm_up.parameters", str(error)) from None


def _day_rule(file: Section, snapshot: Snapshot | None) -> DayRule:
    if snapshot is not None and "day" not in file:
        return DayRule(time(0), "calendar")
    return read_day_rule(file.section("day"))


def _limits(section: Section, defaults: LimitDefaults, snapshot: Snapshot | None) -> Limits:
    # What only queries have need not be given for snapshots; an old one stands in for several that fail.
    ttl_s, whole = (900, None) if snapshot is None else (_SNAPSHOT_LIVES * snapshot.interval_s, 1)
    limits = Limits(
        max_range_days=section.integer("max_range_days", whole),
        settled_ttl_s=section.integer("settled_ttl_s", ttl_s if whole else None),
        settles_after_days=section.integer("settles_after_days", whole, least=0),
        max_rows_per_chunk=section.integer("max_rows_per_chunk"),
        parallel=section.integer("parallel", whole),
        direct_max_days=section.integer("direct_max_days", defaults.direct_max_days),
        grain_days=section.integer("grain_days", defaults.grain_days),
        direct_max_ids=section.integer("direct_max_ids", defaults.direct_max_ids),
        id_batch_size=section.integer("id_batch_size", MAX_ID_COUNT),
        ttl_s=section.integer("ttl_s", ttl_s),
        rows_per_chunk=section.integer("rows_per_chunk", defaults.rows_per_chunk),
        deadline_s=section.integer("deadline_s", 0, least=0),
    )
    for key in ("direct_max_ids", "id_batch_size"):
        if getattr(limits, key) > MAX_ID_COUNT:
            raise section.error(key, f"is above {MAX_ID_COUNT}, the most ids that one statement takes")
    section.close()
    if snapshot is not None and limits.ttl_s < 2 * snapshot.interval_s:
        raise section.error("ttl_s", "is below twice the interval: one refresh that fails would end the snapshot")
    return limits


def _derived(folder: Path, section: Section) -> Derived:
    derived = Derived(
        name=checked_name(section, section.text("table")),
        sql=_view_sql(folder / "derive.sql"),
        dictionary_columns=section.texts("dictionary_columns", ()),
        columns=_view_columns(section),
        divide_by=section.text("divide_by", ""),
        steps=_steps(section),
    )
    section.close()
    for column in derived.dictionary_columns:
        named(section, "dictionary_columns", column, [item.name for item in derived.columns])
    return derived


def _steps(derived: Section) -> dict[str, str]:
    steps = {}
    for name, section in _optional(derived, "steps"):
        steps[checked_name(section, name)] = section.text("divide_by")
        section.close()
    return steps


def _views(folder: Path, file: Section, filters: Collection[str], parameters: Collection[str]) -> tuple[View, ...]:
    views = []
    for name, section in file.sections("views"):
        sort_keys = tuple(_sort_key(key, inner) for key, inner in _optional(section, "sort"))
        view = View(
            name=checked_name(section, name),
            title=section.text("title"),
            description=section.text("description"),
            sql=_view_sql(folder / "views" / f"{name}.sql"),
            columns=_view_columns(section, filters),
            filters=tuple(named(section, "filters", item, filters) for item in section.texts("filters", ())),
            paged=section.boolean("paged", False),
            sort_keys=sort_keys,
            tiebreaker=section.text("tiebreaker", ""),
            chart=section.text("chart", ""),
            parameters=tuple(
                named(section, "parameters", item, parameters) for item in section.texts("parameters", ())
            ),
            selects=section.text("selects", ""),
            labels=read_labels(section),
            measure=section.text("measure", ""),
            note=read_languages(section.section("note")) if "note" in section else {},
        )
        section.close()
        if view.measure:
            named(section, "measure", view.measure, [column.name for column in view.columns])
        if view.paged != bool(view.sort_keys) or view.paged != bool(view.tiebreaker):
            raise section.error("paged", "a paged view, and no other, has sort keys and a tiebreaker")
        if view.selects and (named(section, "selects", view.selects, filters) in view.filters):
            raise section.error("selects", f"{view.selects!r} narrows the view, so its other values could not be seen")
        views.append(view)
    return tuple(views)


def _view_columns(section: Section, filters: Collection[str] = ()) -> tuple[ViewColumn, ...]:
    return tuple(
        read_view_column(checked_name(column, name), column, filters) for name, column in section.sections("columns")
    )


def _sort_key(name: str, section: Section) -> SortKey:
    key = SortKey(checked_name(section, name), section.text("expression", name), section.boolean("descending", False))
    section.close()
    return key


def _check_names(file: Section, dataset: Dataset) -> None:
    roles = sorted(parameter.role for parameter in dataset.parameters if parameter.role)
    by_mode = frozenset() if dataset.modes is None else dataset.modes.required_somewhere
    if not all(item.required or item.name in by_mode for item in dataset.parameters if item.role) or roles not in (
        ["end_date", "start_date"],
        [],
    ):
        raise file.error("parameters", "exactly one required date has the role start_date, and one end_date")
    if dataset.snapshot is None:
        _check_ranges(file, dataset)
    check_snapshot(file, dataset)
    _check_warm_up(file, dataset)
    if not dataset.tables:
        raise file.error("parts", "at least one part yields a table")
    looks = [item.name for item in (*dataset.filters, *dataset.view_parameters)]
    if len(set(looks)) != len(looks):
        raise file.error("view_parameters", "have names of filters; a request could not tell them apart")
    both = {item.name for item in dataset.parameters} & set(looks)
    if both:
        raise file.error("filters", f"{sorted(both)} are parameters too; a request could not tell them apart")
    views = {view.name: view for view in dataset.views}
    idle = sorted({item.name for item in dataset.filters}.difference(*(view.filters for view in dataset.views)))
    if idle:
        raise file.error("filters", f"{idle} narrow no view; name them in the `filters` of those they are for")
    for name in dataset.initial_views:
        named(file, "initial_views", name, views)
    if not named(file, "rows_view", dataset.rows_view, views).paged:
        raise file.error("rows_view", f"{dataset.rows_view!r} is not paged")
    tables = [*dataset.order]
    tables += [reference.name for reference in dataset.references]
    tables += [dataset.derived.name, "selected"]
    if len(set(tables)) != len(tables):
        raise file.error("parts", "parts, references and the derived table need different names, none `selected`")


def _check_ranges(file: Section, dataset: Dataset) -> None:
    """Check that parts which need a range are read only where there is one."""
    ways = [None] if dataset.modes is None else [*dataset.modes.modes]
    for mode in ways:
        given = {item.name for item in dataset.parameters if item.required} | set(mode.requires if mode else ())
        ranged = dataset.has_range and all(item.name in given for item in dataset.parameters if item.role)
        for part in dataset.parts:
            read = mode is None or dataset.modes is None or dataset.modes.reads(mode, part.name)
            if read and not ranged and (part.cut != "ids" or part.of_range):
                where = "" if mode is None else f" of mode {mode.name}"
                raise file.error("parameters", f"part {part.name}{where} needs a start_date and an end_date")


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


def _optional(section: Section, name: str) -> list[tuple[str, Section]]:
    return section.sections(name, required=False)
