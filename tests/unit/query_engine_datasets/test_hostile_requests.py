"""Whatever JSON stands in a request is understood, or refused by field and briefly, and never becomes text of SQL."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_query_engine import export, views
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.parameters import canonical
from sluice_query_engine.views import compose
from sluice_rpc.errors import InvalidParameter

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=60), inner, max_size=4)
)
NAMES = st.sampled_from(
    ["hold_type", "record_type", "reason", "duration_range", "day_filter", "start_date", "end_date"]
)
REQUESTS = st.dictionaries(NAMES | st.text(max_size=300), JSON, max_size=6)
REASONS = st.fixed_dictionaries(
    {}, optional={"include": st.lists(st.text(max_size=50)), "exclude": st.lists(st.text(max_size=50))}
)


def refusal(error: InvalidParameter) -> None:
    """Assert that a refusal names fields and is short enough for trailers."""
    assert error.violations
    assert all(len(violation.field) <= 60 and violation.description for violation in error.violations)
    assert len(error.message.encode()) < 4096


@given(REQUESTS)
def test_parameters_are_canonical_or_refused(dataset: Dataset, request: dict[str, Any]) -> None:
    try:
        found = canonical(dataset, request)
    except InvalidParameter as error:
        refusal(error)
    else:
        assert canonical(dataset, found) == found


@given(REQUESTS)
def test_filters_are_composed_or_refused(dataset: Dataset, request: dict[str, Any]) -> None:
    try:
        composed = compose(dataset, [], request)
    except InvalidParameter as error:
        refusal(error)
    else:
        assert [statement.view for statement in composed] == list(dataset.initial_views)


@given(REASONS)
def test_the_text_of_a_statement_depends_on_which_lists_are_given_and_not_on_their_texts(
    dataset: Dataset, reason: dict[str, list[str]]
) -> None:
    plain = {key: ["x"] for key, texts in reason.items() if texts}
    try:
        found = export.rows_statement(dataset, "", {"reason": reason})
    except InvalidParameter as error:
        refusal(error)
    else:
        wanted = export.rows_statement(dataset, "", {"reason": plain})
        assert (found.sql, set(found.binds)) == (wanted.sql, set(wanted.binds))


@pytest.mark.parametrize("name", ["trend", "reason_pareto", "duration", "hours", "list"])
def test_sql_in_every_filter_is_a_value_or_refused(dataset: Dataset, name: str) -> None:
    hostile = "'; drop table holds; --"
    [statement] = views.compose(dataset, [name], {"reason": hostile})
    assert hostile not in statement.sql
    with pytest.raises(InvalidParameter):
        views.compose(dataset, [name], {"day_filter": hostile, "hold_type": hostile})
