"""Thresholds of the query engine under the names the plant knows, and their defaults."""

from __future__ import annotations

import pytest
from sluice_query_engine.settings import Settings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_QUERY_ENGINE_WAREHOUSE_URL", "duckdb:///plant.duckdb")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("BATCH_QUERY_TIME_THRESHOLD_DAYS", "query_time_threshold_days"),
        ("SLUICE_QUERY_ENGINE_QUERY_TIME_THRESHOLD_DAYS", "query_time_threshold_days"),
        ("BATCH_QUERY_ID_THRESHOLD", "query_id_threshold"),
        ("SLUICE_QUERY_ENGINE_QUERY_ID_THRESHOLD", "query_id_threshold"),
        ("BATCH_CHUNK_MAX_MEMORY_MB", "chunk_max_memory_mb"),
        ("BATCH_QUERY_ROWS_PER_CHUNK", "query_rows_per_chunk"),
    ],
)
def test_a_threshold_is_read_under_its_old_and_its_own_name(
    monkeypatch: pytest.MonkeyPatch, name: str, field: str
) -> None:
    monkeypatch.setenv(name, "7")
    assert getattr(Settings.load(), field) == 7


def test_thresholds_stand_where_the_plant_is_used_to_them() -> None:
    found = Settings.load()
    assert (found.query_time_threshold_days, found.query_id_threshold, found.chunk_max_memory_mb) == (60, 1000, 256)
    assert found.query_rows_per_chunk == 50_000
