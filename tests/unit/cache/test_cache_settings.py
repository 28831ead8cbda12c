"""Settings that cannot work are refused at start, in one line, by name."""

from __future__ import annotations

import pytest
from sluice_cache.settings import Settings
from sluice_rpc.settings import SettingsError


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SLUICE_CACHE_REDIS_URL", "localhost:6379", "redis://"),
        ("SLUICE_CACHE_NATIVE_MAX_BYTES", str(1 << 40), "share of memory_max_bytes"),
        ("SLUICE_CACHE_MEMORY_MAX_BYTES", "lots", "MEMORY_MAX_BYTES"),
        ("SLUICE_CACHE_DATA_DIRR", "/tmp", "SLUICE_CACHE_DATA_DIRR"),
        ("SLUICE_CACHE_SWEEP_INTERVAL_S", "0", "SWEEP_INTERVAL_S"),
    ],
)
def test_a_setting_that_cannot_work_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        Settings.load()
