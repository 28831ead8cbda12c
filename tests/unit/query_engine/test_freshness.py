"""How long a chunk may serve new queries."""

from __future__ import annotations

from datetime import datetime, timedelta

from sluice_query_engine.planning.freshness import FreshnessRule

PLANT_NOW = datetime(2025, 12, 31, 7, 30)
RULE = FreshnessRule(ttl=timedelta(seconds=900), settled_ttl=timedelta(days=7), settles_after=timedelta(days=30))


def test_old_rows_that_cannot_change_are_settled() -> None:
    assert RULE.fresh_for(PLANT_NOW - timedelta(days=30), PLANT_NOW, open_rows=False) == timedelta(days=7)


def test_an_open_row_keeps_an_old_chunk_unsettled() -> None:
    assert RULE.fresh_for(PLANT_NOW - timedelta(days=300), PLANT_NOW, open_rows=True) == timedelta(seconds=900)


def test_a_recent_chunk_is_unsettled() -> None:
    last = PLANT_NOW - timedelta(days=30) + timedelta(seconds=1)
    assert RULE.fresh_for(last, PLANT_NOW, open_rows=False) == timedelta(seconds=900)


def test_settling_never_shortens_a_life() -> None:
    rule = FreshnessRule(ttl=timedelta(hours=1), settled_ttl=timedelta(minutes=1), settles_after=timedelta(0))
    assert rule.fresh_for(PLANT_NOW, PLANT_NOW, open_rows=False) == timedelta(hours=1)
