"""What unit tests of every package share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def one_loop(anyio_backend: str) -> AsyncIterator[None]:
    """Keep one event loop for all tests of a worker that ask for it.

    A process has one poller for all asyncio channels of gRPC. It may still wake the loop of a test that is over, and
    fails in whatever loop runs then when that one is closed: so none is closed before the end, and none is opened
    beside it (no `asyncio.run`).
    """
    yield
