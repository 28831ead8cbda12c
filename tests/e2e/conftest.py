"""One demo for the black-box tests of this folder, on a port of its own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.demo_process import ServingDemo, started_demo
from tests.running_suite import open_http


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingDemo]:
    """A demo at scale 0.02."""
    with started_demo(tmp_path_factory.mktemp("demo"), "--port", "0") as process:
        yield ServingDemo(process, process.await_serving())


@pytest.fixture(scope="session")
def demo_http(demo: ServingDemo) -> Iterator[httpx.Client]:
    """An HTTP client of the demo."""
    with open_http(demo.url) as client:
        yield client
