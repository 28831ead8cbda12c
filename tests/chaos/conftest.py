"""A suite that tests may kill processes of; whoever kills one waits until it serves again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sluice_client.demo.watch import RestartPolicy

from tests.running_suite import RunningSuite, open_http, running_suite


@pytest.fixture(scope="session")
def mortal_suite(
    twin_path: Path, redis_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSuite]:
    """All processes on the plant, restarted however often they die: a quick machine kills one five times a minute."""
    policy = RestartPolicy(max_rapid_deaths=100, max_delay_s=1.0)
    with running_suite(tmp_path_factory.mktemp("mortal"), twin_path, redis_program, policy=policy) as running:
        yield running


@pytest.fixture
def mortal_http(mortal_suite: RunningSuite) -> Iterator[httpx.Client]:
    """An HTTP client of the mortal suite that gives up after 10 s: "at once" has a bound."""
    with open_http(mortal_suite.url) as client:
        client.timeout = httpx.Timeout(10.0)
        yield client
