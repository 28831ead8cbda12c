"""A cache without Redis on a folder of its own, whose clock moves only when told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sluice_rpc.ports import FakeClock

from tests.unit.cache.driver import NOW, Cache, running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def cache(tmp_path: Path, clock: FakeClock) -> Iterator[Cache]:
    with running(tmp_path / "cache", clock) as started:
        yield started
