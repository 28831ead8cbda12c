"""Ranges that are read before anybody asks: they are the ranges that people ask, and the queries that they get."""

from __future__ import annotations

from datetime import datetime

import pytest
from sluice_query_engine.catalog import Catalog
from sluice_query_engine.execution.warm_up import usual_parameters
from sluice_query_engine.parameters import canonical
from sluice_query_engine.planning.identity import query_id_of

MORNING, BEFORE = datetime(2025, 3, 12, 7, 30), datetime(2025, 3, 12, 7, 29, 59)


@pytest.mark.parametrize(
    ("name", "now", "first", "last"),
    [
        ("hold-history", MORNING, "2025-02-11", "2025-03-13"),
        ("hold-history", BEFORE, "2025-02-10", "2025-03-12"),
        ("reject-history", MORNING, "2025-02-11", "2025-03-12"),
        ("resource-history", MORNING, "2025-03-05", "2025-03-12"),
    ],
)
def test_the_usual_range_ends_today_and_is_the_query_of_who_asks_for_these_days(
    catalog: Catalog, name: str, now: datetime, first: str, last: str
) -> None:
    dataset = catalog.get(name)
    assert dataset.warm_up is not None
    usual = usual_parameters(dataset, dataset.warm_up, now)
    asked = canonical(dataset, {"end_date": f" {last}", "start_date": first})
    ids = {query_id_of(dataset.name, dataset.version, parameters) for parameters in (usual, asked)}
    assert (usual["start_date"], usual["end_date"], len(ids)) == (first, last, 1)
