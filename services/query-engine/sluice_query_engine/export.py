"""Exports: every row of a paged view, in its order; how the rows are written to a file is the gateway's."""

from __future__ import annotations

from collections.abc import Mapping

from sluice_query_engine import views
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.filters import conditions
from sluice_query_engine.view_parameters import view_values
from sluice_query_engine.violations import Violations, shown


def rows_statement(
    dataset: Dataset,
    view: str = "",
    filters: Mapping[str, object] | None = None,
    sort: str = "",
    descending: bool | None = None,
) -> views.ViewStatement:
    """Return the statement of all rows of a paged view; no name means the dataset's rows view.

    Columns and order are those of the view's pages laid end to end.

    Raises:
        ViewNotFound: the dataset has no such view.
        InvalidParameter: the view is not paged, or a filter or the sort key is wrong; with every violation.
    """
    found = views.find_view(dataset, view or dataset.rows_view)
    violations = Violations()
    if not found.paged:
        violations.add("view", f"{shown(found.name)} has no rows to export")
        violations.raise_if_any()
    selection = conditions(dataset, filters or {}, violations)
    values = view_values(dataset.view_parameters, filters or {}, violations)
    key = views.find_sort_key(found, sort, violations)
    violations.raise_if_any()
    rows = views.ordered_rows(found, views.ordering(found, key, descending))
    binds = views.view_binds(found, selection, values)
    return views.ViewStatement(view=found.name, sql=views.filtered(dataset, found, selection, rows), binds=binds)
