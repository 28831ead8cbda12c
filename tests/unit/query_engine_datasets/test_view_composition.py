"""Composition: requests become declared fragments and binds, or violations that name their fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import duckdb
import pytest
from sluice_query_engine import export, views
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.errors import ViewNotFound
from sluice_rpc.errors import InvalidParameter

HOSTILE = "x') or 1=1; drop table holds; --"


def refused(dataset: Dataset, filters: Mapping[str, object], **paging: Any) -> dict[str, str]:
    """Return what is wrong, by field."""
    with pytest.raises(InvalidParameter) as caught:
        views.compose(dataset, ["list"], filters, **paging)
    return {violation.field: violation.description for violation in caught.value.violations}


def test_no_names_mean_the_initial_views(dataset: Dataset) -> None:
    names = [statement.view for statement in views.compose(dataset, [], {})]
    assert names == ["trend", "reason_pareto", "duration", "hours", "list"]


def test_views_come_in_the_order_asked(dataset: Dataset) -> None:
    assert [statement.view for statement in views.compose(dataset, ["list", "trend"], {})] == ["list", "trend"]


def test_an_unknown_view_is_not_found(dataset: Dataset) -> None:
    with pytest.raises(ViewNotFound) as caught:
        views.compose(dataset, ["trend", "x" * 100_000], {})
    assert len(caught.value.message) < 200


def test_a_view_without_filters_is_its_own_statement(dataset: Dataset) -> None:
    [statement] = views.compose(dataset, ["trend"], {"reason": "Low yield"})
    assert statement.binds == {}
    assert "selected" not in statement.sql


def test_values_are_bound_and_never_in_the_text(dataset: Dataset) -> None:
    filters = {"reason": {"include": [HOSTILE], "exclude": [HOSTILE]}, "day_filter": "2025-03-10:new"}
    [statement] = views.compose(dataset, ["list"], filters)
    assert HOSTILE not in statement.sql
    assert statement.binds == {
        "reason_include": [HOSTILE],
        "reason_exclude": [HOSTILE],
        "day_filter_day": date(2025, 3, 10),
        "page_limit": 50,
        "page_offset": 0,
    }


@pytest.mark.parametrize("filters", [{}, {"reason": ["a", None]}, {"day_filter": "2025-03-10:release"}])
def test_a_statement_brings_exactly_the_binds_that_the_query_does_not(
    dataset: Dataset, filters: Mapping[str, object]
) -> None:
    brought = {"start_date", "end_date", "start_time", "end_time", "as_of_time"}
    [statement] = views.compose(dataset, ["list"], filters)
    assert duckdb.extract_statements(statement.sql)[0].named_parameters - brought == set(statement.binds)
    assert statement.count_sql is not None
    assert duckdb.extract_statements(statement.count_sql)[0].named_parameters - brought == set(statement.count_binds)


def test_a_page_is_a_limit_and_an_offset(dataset: Dataset) -> None:
    [statement] = views.compose(dataset, ["list"], {}, page=3, page_size=20)
    assert (statement.binds["page_limit"], statement.binds["page_offset"]) == (20, 40)


@pytest.mark.parametrize(("total_count", "page", "offset"), [(0, 1, 0), (40, 2, 20), (41, 3, 40), (1000, 3, 40)])
def test_a_page_is_clamped_to_the_last(dataset: Dataset, total_count: int, page: int, offset: int) -> None:
    [statement] = views.compose(dataset, ["list"], {}, page=3, page_size=20)
    clamped = statement.clamped(total_count)
    assert (clamped.page, clamped.binds["page_offset"]) == (page, offset)


@pytest.mark.parametrize(
    ("paging", "field"),
    [
        ({"page": -1}, "page"),
        ({"page_size": -1}, "page_size"),
        ({"page_size": 201}, "page_size"),
        ({"sort": "history_id"}, "sort"),
        ({"sort": "qty desc; --"}, "sort"),
    ],
)
def test_wrong_paging_is_refused_by_field(dataset: Dataset, paging: Mapping[str, object], field: str) -> None:
    assert list(refused(dataset, {}, **paging)) == [field]


def test_a_sort_key_needs_a_paged_view(dataset: Dataset) -> None:
    with pytest.raises(InvalidParameter, match="none of the views is paged"):
        views.compose(dataset, ["trend"], {}, sort="qty")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hold_type", "Quality"),
        ("hold_type", ""),
        ("hold_type", ["quality"]),
        ("hold_type", 1),
        ("record_type", "new,old"),
        ("record_type", []),
        ("record_type", ""),
        ("record_type", {"include": ["new"]}),
        ("record_type", [["new"]]),
        ("reason", 5),
        ("reason", " "),
        ("reason", [None, ""]),
        ("reason", "a\x00b"),
        ("reason", "x" * 201),
        ("reason", ["x"] * 1001),
        ("reason", {"only": ["x"]}),
        ("reason", {"include": [{"x": 1}]}),
        ("duration_range", "4h"),
        ("duration_range", "x" * 100_000),
        ("day_filter", "2025-03-10"),
        ("day_filter", "2025-03-10:old"),
        ("day_filter", "2025-02-30:new"),
        ("day_filter", "2025-03-10:new;x"),
        ("day_filter", "1001-03-10:new"),
        ("day_filter", ["2025-03-10:new"]),
        ("day_filter", "9" * 100_000),
        ("unknown", "x"),
        ("start_date", "2025-03-10"),
        ("x" * 100_000, "x"),
    ],
)
def test_a_wrong_filter_is_refused_by_name_and_never_changed(dataset: Dataset, name: str, value: object) -> None:
    found = refused(dataset, {name: value})
    assert [field[:40] for field in found] == [name[:40]]
    assert all(len(description) < 250 for description in found.values())


def test_all_violations_of_a_request_are_told_at_once(dataset: Dataset) -> None:
    found = refused(dataset, {"hold_type": "x", "day_filter": "x", "y": 1}, page=-1, page_size=999, sort="x")
    assert list(found) == ["y", "hold_type", "day_filter", "page", "page_size", "sort"]


def test_filters_are_checked_even_where_no_view_uses_them(dataset: Dataset) -> None:
    with pytest.raises(InvalidParameter, match="duration_range"):
        views.compose(dataset, ["trend"], {"duration_range": "long"})


def test_options_refuse_what_views_refuse(dataset: Dataset) -> None:
    with pytest.raises(InvalidParameter, match="hold_type"):
        views.options(dataset, {"hold_type": "x"})


def test_days_that_end_before_they_begin_are_refused_by_field(dataset: Dataset) -> None:
    swapped = {"days": "new:2025-03-12..2025-03-11"}
    for looked in (
        lambda: views.compose(dataset, ["list"], swapped),
        lambda: views.options(dataset, swapped),
        lambda: export.rows_statement(dataset, "list", swapped),
    ):
        with pytest.raises(InvalidParameter, match="give the earlier day first") as caught:
            looked()
        assert [violation.field for violation in caught.value.violations] == ["days"]


def test_options_ask_for_one_value_more_than_they_show(dataset: Dataset) -> None:
    [statement] = [item for item in views.options(dataset, {}) if item.filter == "reason"]
    assert statement.sql.endswith("limit 1001")


def test_an_export_has_no_page(dataset: Dataset) -> None:
    statement = export.rows_statement(dataset)
    assert (statement.view, statement.count_sql) == ("list", None)
    assert "limit" not in statement.sql
    assert "page_limit" not in statement.binds


def test_only_paged_views_are_exported(dataset: Dataset) -> None:
    with pytest.raises(InvalidParameter, match="“trend” has no rows to export"):
        export.rows_statement(dataset, "trend")


def test_an_export_of_an_unknown_view_is_not_found(dataset: Dataset) -> None:
    with pytest.raises(ViewNotFound):
        export.rows_statement(dataset, "lots")


def test_an_export_tells_every_violation(dataset: Dataset) -> None:
    with pytest.raises(InvalidParameter) as caught:
        export.rows_statement(dataset, "list", {"hold_type": 1}, sort="x")
    assert [violation.field for violation in caught.value.violations] == ["hold_type", "sort"]
