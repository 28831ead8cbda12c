"""The whole suite on a plant, for benches that ask it over HTTP."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from sluice_client.redis_server import find_server

from tests.running_suite import RunningSuite, open_http, running_suite


@contextmanager
def serving(
    plant: Path, extra: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[tuple[RunningSuite, httpx.Client]]:
    """Give a suite that serves from a folder of its own, and a client of its gateway.

    Args:
        plant: the twin's DuckDB file, which is only read.
        extra: more variables for single processes, by folder name.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        running_suite(Path(folder), plant, find_server(), extra) as suite,
        open_http(suite.url) as http,
    ):
        yield suite, http
