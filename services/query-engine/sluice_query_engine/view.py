"""What users see of a dataset, once its folder has been read: views, columns, order and filters; frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ColumnRole = Literal["", "dimension", "measure", "time", "id"]
"""What a column is to a chart: rows are told apart by it, it is drawn, it is the axis of a trend, it names a thing."""

Aggregate = Literal["", "sum", "min", "max", "none"]
"""How a measure may be put together over rows; ratios and distinct counts not at all."""


@dataclass(frozen=True)
class ViewColumn:
    """Title and meaning of a column that SQL of ours yields; its type comes from compiling that.

    Attributes:
        role: what it is to a chart; empty where nothing is said.
        unit: of a measure.
        scale: digits after the point that are shown; None where nothing is said.
        aggregate: how a measure may be put together over rows; empty where nothing is said.
        filter: the filter that a click on a value sets.
        labels: title by language.
    """

    name: str
    title: str
    description: str
    role: ColumnRole = ""
    unit: str = ""
    scale: int | None = None
    aggregate: Aggregate = ""
    filter: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


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
        days: the two date groups that are the first and the last of some days; swapped ends are refused.
    """

    name: str
    title: str
    description: str
    pattern: str
    groups: Mapping[str, Literal["date", "text"]]
    select: str
    predicates: Mapping[str, str]
    example: str
    days: tuple[str, ...] = ()


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
        parameters: names of the view parameters that its SQL binds.
        selects: the filter that clicking on the view sets; it does not narrow the view.
        labels: title by language.
        measure: column that is drawn first; empty leaves it to the page.
        note: what the figures leave out, by language; for display.
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
    parameters: tuple[str, ...] = ()
    selects: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    measure: str = ""
    note: Mapping[str, str] = field(default_factory=dict)
