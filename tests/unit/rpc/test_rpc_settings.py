"""Settings come from the process's own variables; a misspelt one stops the process."""

from __future__ import annotations

import pytest
from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import SettingsConfigDict
from sluice_rpc.settings import ProcessSettings, SettingsError


class MillSettings(ProcessSettings):
    """Settings of a process that exists in tests only."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_MILL_", extra="forbid", frozen=True, populate_by_name=True)

    warehouse_url: str
    permits: int = Field(
        default=5, ge=1, validation_alias=AliasChoices("SLUICE_MILL_PERMITS", "DB_SLOW_MAX_CONCURRENT")
    )


@pytest.fixture(autouse=True)
def url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_MILL_WAREHOUSE_URL", "duckdb:///plant.duckdb")
    monkeypatch.delenv("DB_SLOW_MAX_CONCURRENT", raising=False)


def test_values_come_from_the_environment() -> None:
    assert MillSettings.load().warehouse_url == "duckdb:///plant.duckdb"


def test_a_misspelt_variable_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_MILL_WAREHOUS_URL", "x")
    with pytest.raises(SettingsError, match=r"unknown setting SLUICE_MILL_WAREHOUS_URL; known are .*WAREHOUSE_URL"):
        MillSettings.load()


def test_variables_of_other_processes_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_GATEWAY_PORT", "x")
    assert MillSettings.load().permits == 5


@pytest.mark.parametrize("name", ["SLUICE_MILL_PERMITS", "DB_SLOW_MAX_CONCURRENT"])
def test_a_setting_is_read_by_its_name_and_its_alias(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "3")
    assert MillSettings.load().permits == 3


def test_our_own_name_wins_over_the_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_SLOW_MAX_CONCURRENT", "3")
    monkeypatch.setenv("SLUICE_MILL_PERMITS", "4")
    assert MillSettings.load().permits == 4


@pytest.mark.parametrize("name", ["SLUICE_MILL_PERMITS", "DB_SLOW_MAX_CONCURRENT"])
def test_a_value_that_does_not_fit_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "none")
    with pytest.raises(SettingsError, match="SLUICE_MILL_PERMITS or DB_SLOW_MAX_CONCURRENT: Input"):
        MillSettings.load()


def test_a_missing_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICE_MILL_WAREHOUSE_URL")
    with pytest.raises(SettingsError, match="SLUICE_MILL_WAREHOUSE_URL: Field required"):
        MillSettings.load()


def test_a_value_is_never_repeated_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_MILL_PERMITS", "hunter2")
    with pytest.raises(SettingsError) as caught:
        MillSettings.load()
    assert "hunter2" not in str(caught.value)


def test_each_setting_lists_its_variables() -> None:
    assert MillSettings.variable_names()["SLUICE_MILL_PERMITS"] == ["SLUICE_MILL_PERMITS", "DB_SLOW_MAX_CONCURRENT"]


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        MillSettings.load().permits = 9
