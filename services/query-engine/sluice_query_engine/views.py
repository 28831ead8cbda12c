"""Views and options: what a request asks of a finished query becomes statements over its tables.

Composition joins declared fragments only; whatever a request brings is checked and then travels as a bind. Binds that
the manifest brings (`start_date`, `as_of_time` and so on) are not repeated here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sluice_query_engine.dataset import BindPython, Dataset
from sluice_query_engine.errors import ViewNotFound
from sluice_query_engine.filters import Condition, conditions
from sluice_query_engine.view import ChoiceFilter, MatchFilter, SetFilter, SortKey, View
from sluice_query_engine.view_parameters import view_values
from sluice_query_engine.violations import Violations, one_of, shortened, shown

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 200
MAX_OPTIONS: Final = 1000
"""Values of one filter that are answered; a statement asks for one more, so that a cut is seen."""

_MAX_PAGE: Final = 2**31 - 1
_LEADING_WITH: Final = re.compile(r"with\s+", re.IGNORECASE)


@dataclass(frozen=True)
class ViewStatement:
    """One view as SQL over a query's tables.

    Attributes:
        binds: values beside those of the manifest; the statement uses every one of them.
        count_sql: one row, column `row_count`: the view's rows without paging, with the binds `count_binds`; None
            for views that are not paged.
        page: asked for, from 1; see `clamped`.
    """

    view: str
    sql: str
    binds: dict[str, BindPython]
    count_sql: str | None = None
    page: int = 1
    page_size: int = DEFAULT_PAGE_SIZE

    @property
    def count_binds(self) -> dict[str, BindPython]:
        """The binds that `count_sql` uses."""
        return {name: value for name, value in self.binds.items() if name not in ("page_limit", "page_offset")}

    def page_count(self, total_count: int) -> int:
        """Return how many pages that many rows fill; at least 1."""
        return max(-(-total_count // self.page_size), 1)

    def clamped(self, total_count: int) -> ViewStatement:
        """Return the statement of the last page when the page lies beyond it, else itself."""
        page = min(self.page, self.page_count(total_count))
        if page == self.page:
            return self
        return replace(self, page=page, binds={**self.binds, "page_offset": (page - 1) * self.page_size})


@dataclass(frozen=True)
class OptionStatement:
    """The values of one filter as SQL: columns `value` and `row_count`, most rows first, at most MAX_OPTIONS + 1."""

    filter: str
    sql: str
    binds: dict[str, BindPython]


def compose(
    dataset: Dataset,
    names: Sequence[str],
    filters: Mapping[str, object],
    *,
    page: int = 0,
    page_size: int = 0,
    sort: str = "",
    descending: bool | None = None,
) -> list[ViewStatement]:
    """Return the statement of each view in the order asked; no names mean the initial views.

    Page 0 is read as 1 and page size 0 as 50; page, size and sort are for the paged views among them.

    Raises:
        ViewNotFound: the dataset has no view of a name.
        InvalidParameter: with every violation of filters, page, page_size and sort.
    """
    asked = [find_view(dataset, name) for name in names or dataset.initial_views]
    violations = Violations()
    found = conditions(dataset, filters, violations)
    values = view_values(dataset.view_parameters, filters, violations)
    _check_page(page, page_size, violations)
    keys = {view.name: find_sort_key(view, sort, violations) for view in asked if view.paged}
    if sort and not keys:
        violations.add("sort", "none of the views is paged")
    violations.raise_if_any()
    return [
        _paged(
            _whole(dataset, view, found, values, ordered_rows(view, ordering(view, keys[view.name], descending))),
            _whole(
                dataset, view, found, values, _joined("select count(*) as row_count from (", view.sql, ") as answer")
            ),
            page or 1,
            page_size or DEFAULT_PAGE_SIZE,
        )
        if view.paged
        else _whole(dataset, view, found, values, view.sql)
        for view in asked
    ]


def options(dataset: Dataset, filters: Mapping[str, object]) -> list[OptionStatement]:
    """Return a statement for each filter that has values to choose from, narrowed by the others, never by itself.

    Raises:
        InvalidParameter: with every violation of the filters.
    """
    violations = Violations()
    found = conditions(dataset, filters, violations)
    view_values(dataset.view_parameters, filters, violations)
    violations.raise_if_any()
    statements = []
    for item in dataset.filters:
        others = {name: condition for name, condition in found.items() if name != item.name}
        selected = _selected(dataset, others.values())
        binds = _binds(others.values())
        match item:
            case ChoiceFilter() | SetFilter():
                sql = f"{selected}\n{_counted(item.predicates)}"
                binds |= {f"option_{number}": value for number, value in enumerate(item.predicates)}
            case MatchFilter():
                sql = f"{selected}\n{_grouped(item)}"
                if item.null_label is not None:
                    binds["null_label"] = item.null_label
            case _:
                continue
        statements.append(OptionStatement(item.name, sql, binds))
    return statements


def find_view(dataset: Dataset, name: str) -> View:
    """Return the view of this name.

    Raises:
        ViewNotFound: there is none.
    """
    view = dataset.view(name)
    if view is None:
        raise ViewNotFound(dataset.name, shortened(name))
    return view


def filtered(dataset: Dataset, view: View, found: Mapping[str, Condition], body: str) -> str:
    """Return the statement with `selected` in front: the main table after the filters that narrow this view."""
    if not view.filters:
        return body
    selected = _selected(dataset, (found[name] for name in view.filters))
    leading = _LEADING_WITH.match(body)
    # A statement has one WITH, so a body that has its own continues ours.
    return f"{selected},\n{body[leading.end() :]}" if leading else f"{selected}\n{body}"


def view_binds(view: View, found: Mapping[str, Condition], values: Mapping[str, BindPython]) -> dict[str, BindPython]:
    """Return what the filters and parameters of a view bind."""
    return _binds(found[name] for name in view.filters) | {name: values[name] for name in view.parameters}


def ordering(view: View, key: SortKey | None, descending: bool | None) -> str:
    """Return the total order of a paged view, missing values last either way."""
    chosen = key or view.sort_keys[0]
    direction = "desc" if (chosen.descending if descending is None else descending) else "asc"
    return f"{chosen.expression} {direction} nulls last, {view.tiebreaker}"


def ordered_rows(view: View, order: str) -> str:
    """Return the declared columns of a paged view in this order; what else the view yields serves the order only."""
    columns = ", ".join(column.name for column in view.columns)
    return _joined(f"select {columns}", "from (", view.sql, ") as answer", f"order by {order}")


def find_sort_key(view: View, sort: str, violations: Violations) -> SortKey | None:
    """Return the sort key of this name, None for the default; an unknown name is a violation."""
    for key in view.sort_keys:
        if key.name == sort:
            return key
    if sort:
        names = one_of([key.name for key in view.sort_keys])
        violations.add("sort", f"{shown(sort)} is not a sort key of {view.name}; it has {names}")
    return None


def _check_page(page: int, page_size: int, violations: Violations) -> None:
    if not 0 <= page <= _MAX_PAGE:
        violations.add("page", f"{shown(page)} is not a page; pages count from 1")
    if not 0 <= page_size <= MAX_PAGE_SIZE:
        violations.add("page_size", f"{shown(page_size)} is not between 1 and {MAX_PAGE_SIZE}")


def _paged(rows: ViewStatement, count: ViewStatement, page: int, page_size: int) -> ViewStatement:
    return ViewStatement(
        view=rows.view,
        sql=_joined(rows.sql, "limit $page_limit offset $page_offset"),
        binds={**rows.binds, "page_limit": page_size, "page_offset": (page - 1) * page_size},
        count_sql=count.sql,
        page=page,
        page_size=page_size,
    )


def _whole(
    dataset: Dataset, view: View, found: Mapping[str, Condition], values: Mapping[str, BindPython], body: str
) -> ViewStatement:
    binds = view_binds(view, found, values)
    return ViewStatement(view=view.name, sql=filtered(dataset, view, found, body), binds=binds)


def _selected(dataset: Dataset, found: Iterable[Condition]) -> str:
    predicates = [f"({condition.predicate})" for condition in found if condition.predicate]
    where = ["where", " and ".join(predicates)] if predicates else []
    return " ".join(["with selected as (select * from", dataset.derived.name, *where]) + ")"


def _binds(found: Iterable[Condition]) -> dict[str, BindPython]:
    return {name: value for condition in found for name, value in condition.binds.items()}


def _counted(predicates: Mapping[str, str]) -> str:
    """Return SQL that counts the rows of each value in one pass."""
    counts = [
        f"count(*){f' filter (where {predicate})' if predicate else ''} as count_{number}"
        for number, predicate in enumerate(predicates.values())
    ]
    values = [
        " ".join(("select", f"$option_{number} as value,", f"count_{number} as row_count", "from counted"))
        for number in range(len(predicates))
    ]
    counted = " ".join((", counted as (select", ", ".join(counts), "from selected)"))
    return _joined(counted, "\nunion all\n".join(values), "order by row_count desc, value")


def _grouped(item: MatchFilter) -> str:
    value = item.column if item.null_label is None else f"coalesce({item.column}, $null_label)"
    kept_back = f"and ({item.keeps}) is not true" if item.keeps else ""
    return _joined(
        " ".join(("select", value, "as value, count(*) as row_count from selected")),
        " ".join(("where", value, "is not null", kept_back, "group by", value)),
        f"order by row_count desc, value limit {MAX_OPTIONS + 1}",
    )


def _joined(*fragments: str) -> str:
    """Return declared fragments, one a line."""
    return "\n".join(fragments)
