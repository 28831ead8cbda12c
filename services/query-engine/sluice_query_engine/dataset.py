"""What a dataset is, once its folder has been read: frozen values, no I/O.

`catalog` builds these from `datasets/<name>/`; planning and execution read parts, clip and limits, `views` and
`export` read filters and views, `definitions` shows it all to users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

if TYPE_CHECKING:
    from sluice_warehouse.statements import Statement

    from sluice_query_engine.planning.time_range import TimeRange

BindPython = bool | int | float | str | date | datetime | list[str] | list[date] | None
"""A value bound to a `$name` of a statement over frames."""

ParameterType = Literal["date", "text", "integer", "number", "boolean", "choice", "text_list"]
"""What a primary parameter may be."""

DayLabel = Literal["end", "start", "calendar"]
"""Which calendar date names a production day: the one it ends on, the one it starts on, or the date itself."""


@dataclass(frozen=True)
class DayRule:
    """How the dates users give become instants.

    Attributes:
        day_start: wall time at which a production day begins; exactly this instant belongs to the day that begins.
        label: which date names the day. `end`: day d is [d-1 day_start, d day_start). `start`: day d is
            [d day_start, d+1 day_start). `calendar`: day d is [d 00:00, d+1 00:00) and `day_start` is midnight.
    """

    day_start: time
    label: DayLabel

    def range_of(self, start_date: date, end_date: date) -> TimeRange:
        """Return the half-open plant-local range that the two dates cover, both days included."""
        # planning imports this module, so the import waits until a range is wanted.
        from sluice_query_engine.planning.time_range import TimeRange

        first = start_date - timedelta(days=1) if self.label == "end" else start_date
        after = end_date if self.label == "end" else end_date + timedelta(days=1)
        return TimeRange(datetime.combine(first, self.day_start), datetime.combine(after, self.day_start))

    def describe(self) -> str:
        """Return the rule as a sentence for people."""
        clock = self.day_start.strftime("%H:%M")
        match self.label:
            case "end":
                return (
                    f"A day runs from {clock} of the day before to {clock} of its own date, which it does not include."
                )
            case "start":
                return f"A day runs from {clock} of its own date to {clock} of the next, which it does not include."
            case "calendar":
                return "A day is the calendar date, from midnight to midnight."


@dataclass(frozen=True)
class Parameter:
    """A primary parameter: it decides which rows are fetched, so it is part of the query id.

    Attributes:
        role: which end of the time range a date parameter is, or None.
        choices: the values of a `choice`, else empty.
        max_length: most characters of a text, or of each text of a list.
        max_items: most distinct items of a list.
        fold: letter case to which texts are brought before they enter the key.
    """

    name: str
    type: ParameterType
    title: str
    description: str
    required: bool
    role: Literal["start_date", "end_date"] | None = None
    choices: tuple[str, ...] = ()
    max_length: int = 200
    max_items: int = 1000
    fold: Literal["upper", "lower"] | None = None


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
class Pages:
    """How a chunk of many rows is read: counted first, then page by page in a total order.

    Attributes:
        count: yields `row_count`, the rows of the range.
        page: yields the rows between the places :first_row and :last_row, both included and counted from 1, in order.
        order_key: columns of the order, ascending; the unique key is among them.
    """

    count: Statement
    page: Statement
    order_key: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One statement of a dataset; it yields one table of the manifest, named like the part.

    Attributes:
        schema: declared Arrow types of the statement's columns, in order; field metadata `description` says meanings.
        cut: `time`: binds :start_time, :end_time and :row_limit and may be cut between them. `start`: binds
            :start_time and :row_limit and depends on the start of the range only, so it is one chunk. `ids`: binds
            :ids, as the one element of IN lists, and :row_limit, and may be cut into any sets of ids.
        time_column: the column on which the part is cut; each row has exactly one value there. Empty where the part is
            cut by ids and has none.
        open_column: a row whose value here is NULL may still change; None when rows never change.
        dictionary_columns: columns of few distinct values, stored dictionary-encoded.
        id_column: the text column that :ids compares; empty for parts that are not cut by ids.
        id_parameter: the text list whose values are the ids; empty where the part renews others.
        renews: parts of which it reads again the rows that were open, by the ids these had. It then has their columns
            and yields no table of its own.
        pages: how a chunk of more than `rows_per_chunk` rows is read in pages; None reads it by one statement.
    """

    name: str
    statement: Statement
    schema: pa.Schema
    cut: Literal["time", "start", "ids"]
    time_column: str
    open_column: str | None
    dictionary_columns: tuple[str, ...] = ()
    id_column: str = ""
    id_parameter: str = ""
    renews: tuple[str, ...] = ()
    pages: Pages | None = None

    @property
    def of_range(self) -> bool:
        """Its batches of ids are of the query's range: another range has other chunks."""
        return self.cut == "ids" and "start_time" in self.statement.bind_names


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
class ViewColumn:
    """Title and meaning of a column that SQL of ours yields; its type comes from compiling that."""

    name: str
    title: str
    description: str


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
class ChoiceFilter:
    """One of a few values, each with a predicate; an empty predicate keeps every row.

    Attributes:
        predicates: SQL condition over the main table by value, in declaration order.
        default: value when none is given; None leaves the filter off.
    """

    name: str
    title: str
    description: str
    predicates: Mapping[str, str]
    default: str | None


@dataclass(frozen=True)
class SetFilter:
    """Any of a few values, each with a predicate; rows that satisfy one of the chosen pass.

    Attributes:
        predicates: SQL condition over the main table by value, in declaration order.
        default: values when none are given; empty leaves the filter off.
    """

    name: str
    title: str
    description: str
    predicates: Mapping[str, str]
    default: tuple[str, ...]


@dataclass(frozen=True)
class MatchFilter:
    """Exact texts of one column to include or exclude.

    Attributes:
        column: column of the main table.
        null_label: how a missing value is shown; it, like null itself, matches missing values.
        max_items: most values in one list.
        max_length: most characters of one value.
        keeps: SQL condition over the main table; rows that satisfy it pass whatever is chosen. Empty keeps none.
    """

    name: str
    title: str
    description: str
    column: str
    null_label: str | None
    max_items: int
    max_length: int
    keeps: str = ""


@dataclass(frozen=True)
class PatternFilter:
    """A text of a fixed shape, taken apart into values; off when not given.

    Attributes:
        pattern: regular expression with named groups that the whole text must match.
        groups: type of each group that is bound, as `<filter>_<group>`.
        select: the group whose text picks the predicate.
        predicates: SQL condition over the main table by text of the `select` group.
        example: a text that matches, for messages.
    """

    name: str
    title: str
    description: str
    pattern: str
    groups: Mapping[str, Literal["date", "text"]]
    select: str
    predicates: Mapping[str, str]
    example: str


Filter = ChoiceFilter | SetFilter | MatchFilter | PatternFilter
"""A view-time filter: it narrows rows that are already in the cache and is never part of the query id."""


@dataclass(frozen=True)
class SortKey:
    """A way to order a paged view.

    Attributes:
        expression: SQL over the columns the view's statement yields.
        descending: direction when none is asked for; NULLs come last either way.
    """

    name: str
    expression: str
    descending: bool


@dataclass(frozen=True)
class View:
    """One table that users see.

    Attributes:
        sql: one SELECT over the main table, or over `selected`, its rows after the view's filters.
        filters: names of the filters that narrow this view; every other filter leaves it alone.
        paged: ordered, paged and exportable by composition; the statement itself then has no `order by`.
        sort_keys: keys of a paged view; the first is the default.
        tiebreaker: `order by` terms appended to every sort so that the order is total.
        chart: hint for drawing, empty for tables.
    """

    name: str
    title: str
    description: str
    sql: str
    columns: tuple[ViewColumn, ...]
    filters: tuple[str, ...]
    paged: bool = False
    sort_keys: tuple[SortKey, ...] = ()
    tiebreaker: str = ""
    chart: str = ""


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

    @property
    def has_range(self) -> bool:
        """Queries have a first and a last date."""
        return any(parameter.role for parameter in self.parameters)

    @property
    def tables(self) -> tuple[Part, ...]:
        """The parts that yield a table; the others bring rows of these up to date."""
        return tuple(part for part in self.parts if not part.renews)

    def renewal_of(self, part: str) -> Part | None:
        """Return the part that reads again the open rows of a part, or None where its chunks are read whole."""
        return next((item for item in self.parts if part in item.renews), None)

    def view(self, name: str) -> View | None:
        """Return the view of this name, or None."""
        return next((view for view in self.views if view.name == name), None)

    def filter(self, name: str) -> Filter | None:
        """Return the filter of this name, or None."""
        return next((item for item in self.filters if item.name == name), None)
