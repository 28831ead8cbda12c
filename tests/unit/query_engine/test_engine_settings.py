"""The cap that the warehouse's owner names is what all processes together may use."""

from __future__ import annotations

import pytest
from sluice_lineage.settings import Settings as LineageSettings
from sluice_query_engine.settings import Settings
from sluice_rpc.settings import SettingsError


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_QUERY_ENGINE_WAREHOUSE_URL", "duckdb:///plant.duckdb")
    monkeypatch.setenv("SLUICE_LINEAGE_WAREHOUSE_URL", "duckdb:///plant.duckdb")
    for name in ("DB_SLOW_MAX_CONCURRENT", "SLUICE_QUERY_ENGINE_SLOW_CAP", "SLUICE_QUERY_ENGINE_SLOW_MAX_CONCURRENT"):
        monkeypatch.delenv(name, raising=False)


def test_the_default_shares_add_up_to_the_default_cap() -> None:
    shares = Settings.load().permit_count + LineageSettings.load().slow_max_concurrent
    assert shares == Settings.load().slow_cap == 5


@pytest.mark.parametrize("name", ["SLUICE_QUERY_ENGINE_SLOW_CAP", "DB_SLOW_MAX_CONCURRENT"])
def test_a_cap_exported_for_every_process_is_kept_by_all_together(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "8")
    assert Settings.load().permit_count + LineageSettings.load().slow_max_concurrent == 8


def test_a_share_of_its_own_is_taken_as_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_QUERY_ENGINE_SLOW_MAX_CONCURRENT", "2")
    assert Settings.load().permit_count == 2


@pytest.mark.parametrize("share", ["5", "6"])
def test_a_share_that_leaves_nothing_for_lineage_is_refused(monkeypatch: pytest.MonkeyPatch, share: str) -> None:
    monkeypatch.setenv("SLUICE_QUERY_ENGINE_SLOW_MAX_CONCURRENT", share)
    with pytest.raises(SettingsError, match="slow_max_concurrent must be below slow_cap"):
        Settings.load()


def test_a_cap_of_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_SLOW_MAX_CONCURRENT", "1")
    with pytest.raises(SettingsError, match="DB_SLOW_MAX_CONCURRENT"):
        Settings.load()


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
