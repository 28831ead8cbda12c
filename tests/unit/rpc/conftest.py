"""A scripted server for each test, and one event loop for all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.rpc.scripted import Suite, start_suite


@pytest.fixture(scope="session", autouse=True)
def kept_loop(one_loop: None) -> None:
    """Have the one loop from the first test to the last."""


@pytest.fixture
def suite() -> Iterator[Suite]:
    started = start_suite()
    yield started
    started.server.stop(0)
