"""A scripted server for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.rpc.scripted import Suite, start_suite


@pytest.fixture
def suite() -> Iterator[Suite]:
    started = start_suite()
    yield started
    started.server.stop(0)
