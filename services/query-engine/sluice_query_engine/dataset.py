"""What a dataset is, once its folder has been read: frozen values, no I/O.

`catalog` builds these from `datasets/<name>/`; planning and execution read parts, clip and limits, `views` and
`export` read filters and views, `definitions` shows it all to users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from sluice_query_engine.days import DayRule
from sluice_query_engine.modes import Mode, Modes
from sluice_query_engine.parts import Part, Stage
from sluice_query_engine.view import Filter, View, ViewColumn
from sluice_query_engine.view_parameters import ViewParameter

if TYPE_CHECKING:
    from sluice_warehouse.statements import Statement

BindPython = bool | int | float | str | date | datetime | list[str] | list[date] | None
"""A value bound to a `$name` of a statement over frames."""

ParameterType = Literal["date", "text", "integer", "number", "boolean", "choice", "text_list"]
"""What a primary parameter may be."""


@dataclass(frozen=True)
class Parameter:
    """A primary parameter: it decides which rows are fetched, so it is part of the query id.

    Attributes:
        role: which end of the time range a date parameter is, or None.
        choices: the values of a `choice`, else empty.
        max_length: most characters of a text, or of each text of a list.
        min_items: fewest distinct items of a list.
        max_items: most distinct items of a list.
        width: characters to which a text is blank-padded where it is compared with a CHAR column; 0 pads nothing.
        known_in: what lists every value there is; None where nothing does.
        fold: letter case to which texts are brought before they enter the key.
        default: what stands where it is not given; None where nothing does.
        labels: title by language.
    """

    name: str
    type: ParameterType
    title: str
    description: str
    required: bool
    role: Literal["start_date", "end_date"] | None = None
    choices: tuple[str, ...] = ()
    max_length: int = 200
    min_items: int = 0
    max_items: int = 1000
    width: int = 0
    known_in: KnownValues | None = None
    fold: Literal["upper", "lower"] | None = None
    default: str | int | bool | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """What one query, and one chunk of it, may cost.

    Attributes:
        max_range_days: longest range in days, both ends included.
        direct_max_days: a gap up to this long is read by one statement.
        grain_days: width of the chunks of a longer gap.
        direct_max_ids: up to so many missing ids are read by one statement.
        id_batch_size: ids of one statement where more are missing.
        ttl_s: how long a chunk may be reused, in seconds.
        settled_ttl_s: the same for a chunk whose rows cannot change any more.
        settles_after_days: a chunk that ended longer ago and has no open row is settled.
        max_rows_per_chunk: past it a chunk is cut and marked truncated.
        parallel: most chunks of one query that run at once.
        rows_per_chunk: rows of a page, for parts that are read in pages.
        deadline_s: seconds of one query, where that is less than the process gives; 0 is what the process gives.
    """

    max_range_days: int
    settled_ttl_s: int
    settles_after_days: int
    max_rows_per_chunk: int
    parallel: int
    direct_max_days: int = 60
    grain_days: int = 31
    direct_max_ids: int = 1000
    id_batch_size: int = 1000
    ttl_s: int = 900
    rows_per_chunk: int = 50_000
    deadline_s: int = 0


@dataclass(frozen=True)
class LimitDefaults:
    """Limits of datasets that do not give their own; each is named and meant as in `Limits`."""

    direct_max_days: int = 60
    grain_days: int = 31
    direct_max_ids: int = 1000
    rows_per_chunk: int = 50_000


@dataclass(frozen=True)
class Reference:
    """A small table shared by datasets; either read by a statement or given inline, never both.

    Attributes:
        rows: inline rows, one mapping of column to value each.
        ttl_s: how long a read copy may be reused, in seconds.
        allow_empty: when false, no rows is an error and never a table that matches nothing.
    """

    name: str
    schema: pa.Schema
    statement: Statement | None
    rows: tuple[Mapping[str, object], ...] | None
    ttl_s: int
    allow_empty: bool

    def inline_table(self) -> pa.Table:
        """Return the inline rows in the declared schema; no rows when the reference has a statement."""
        return pa.Table.from_pylist([dict(row) for row in self.rows or ()], schema=self.schema)


@dataclass(frozen=True)
class KnownValues:
    """A text column of a reference that holds every value that a parameter may have."""

    reference: Reference
    column: str


@dataclass(frozen=True)
class Derived:
    """The main table of the query: one SELECT over parts and references, run once per manifest version.

    Attributes:
        dictionary_columns: columns of few distinct values, stored dictionary-encoded.
        columns: title and meaning of each column, in order.
        divide_by: column over whose ranges it may be derived in passes; empty where it must be derived whole.
        steps: common table expressions that need rows of several ranges, with the column over whose values each may be
            derived, before all else.
    """

    name: str
    sql: str
    dictionary_columns: tuple[str, ...] = ()
    columns: tuple[ViewColumn, ...] = ()
    divide_by: str = ""
    steps: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """How a dataset that is read whole, again and again, is kept fresh.

    Attributes:
        interval_s: seconds between two looks at the warehouse.
        version: statement of one row, columns `version` and `row_count`: while they are the same, nothing is read. None
            reads always.
        allow_empty: a table without rows is an answer, and not a sign that something is wrong.
    """

    interval_s: int
    version: Statement | None
    allow_empty: bool


@dataclass(frozen=True)
class WarmUp:
    """The usual range of a dataset, asked before anybody does.

    Attributes:
        days: up to the plant's today, which is included.
        every_s: seconds between two turns.
        parameters: what a caller would give beside the two dates.
    """

    days: int
    every_s: int
    parameters: Mapping[str, object]


@dataclass(frozen=True)
class Dataset:
    """Everything the engine knows of one dataset.

    Attributes:
        route: path under `/api/`.
        version: changes whenever columns or meanings change; part of every query id.
        clip: condition that every row of every part must satisfy, over the parts' columns and the query's binds
            `start_time`, `end_time`, `start_date`, `end_date`, `as_of_time`.
        initial_views: views answered with the query when none are named.
        rows_view: the paged view that is exported when none is named.
        stages: tables that the lineage service computes.
        order: names of parts and stages in declaration order.
        modes: the ways to ask; None where there is only one.
        view_parameters: values that views bind and that select no rows.
        labels: title by language.
        descriptions: description by language.
        filter_labels: titles of filters by language, by filter.
        value_labels: what is shown for a value by language, by value, by the choice.
        snapshot: how it is kept fresh; None for datasets that are queried.
        warm_up: the range that is asked before anybody does; None where none is.
    """

    name: str
    route: str
    title: str
    description: str
    version: int
    day_rule: DayRule
    parameters: tuple[Parameter, ...]
    limits: Limits
    parts: tuple[Part, ...]
    references: tuple[Reference, ...]
    clip: str
    derived: Derived
    filters: tuple[Filter, ...]
    views: tuple[View, ...]
    initial_views: tuple[str, ...]
    rows_view: str
    stages: tuple[Stage, ...] = ()
    order: tuple[str, ...] = ()
    modes: Modes | None = None
    view_parameters: tuple[ViewParameter, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    filter_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    value_labels: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    warm_up: WarmUp | None = None

    @property
    def has_range(self) -> bool:
        """Queries, those of one mode at least, have a first and a last date."""
        return any(parameter.role for parameter in self.parameters)

    @property
    def always_ranged(self) -> bool:
        """Every query has a first and a last date."""
        return self.has_range and all(parameter.required for parameter in self.parameters if parameter.role)

    @property
    def tables(self) -> tuple[Part | Stage, ...]:
        """The parts and stages that yield a table, in order; other parts bring rows of these up to date."""
        there: list[Part | Stage] = [part for part in self.parts if not part.renews]
        there += self.stages
        return tuple(sorted(there, key=lambda item: self.order.index(item.name) if item.name in self.order else 0))

    @property
    def id_lists(self) -> frozenset[str]:
        """Parameters that are lists of ids or of what stands for them: no binds of views, they may be far too long."""
        lists = {part.id_parameter for part in self.parts if part.id_parameter}
        return frozenset(lists | {stage.values_parameter for stage in self.stages if stage.values_parameter})

    def mode(self, parameters: Mapping[str, object]) -> Mode | None:
        """Return the mode of a query, or None where there is only one way to ask."""
        return None if self.modes is None else self.modes.of(parameters)

    def reads(self, name: str, parameters: Mapping[str, object]) -> bool:
        """Tell whether a query reads a part or stage."""
        mode = self.mode(parameters)
        return mode is None or self.modes is None or self.modes.reads(mode, name)

    def parts_of(self, parameters: Mapping[str, object]) -> tuple[Part, ...]:
        """Return the parts that a query reads."""
        return tuple(part for part in self.parts if self.reads(part.name, parameters))

    def steps_of(self, parameters: Mapping[str, object]) -> tuple[Part | Stage, ...]:
        """Return what a query can read only once other parts are there, in order."""
        return tuple(
            item
            for item in self.tables
            if self.reads(item.name, parameters) and (isinstance(item, Stage) or item.ids_from)
        )

    def renewal_of(self, part: str) -> Part | None:
        """Return the part that reads again the open rows of a part, or None where its chunks are read whole."""
        return next((item for item in self.parts if part in item.renews), None)

    def view(self, name: str) -> View | None:
        """Return the view of this name, or None."""
        return next((view for view in self.views if view.name == name), None)

    def filter(self, name: str) -> Filter | None:
        """Return the filter of this name, or None."""
        return next((item for item in self.filters if item.name == name), None)
