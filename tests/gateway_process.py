"""A real gateway process before an engine of a test: what HTTP says of a query that was asked over gRPC."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

import httpx
from sluice_client.ports import LOOPBACK, take_free

from tests.polling import poll_until


@contextmanager
def serving_gateway(engine_target: str) -> Iterator[httpx.Client]:
    """Run a gateway before an engine and give a client of it; it has neither lineage nor a cache."""
    [port] = take_free(1)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")},
        "SLUICE_GATEWAY_LISTEN": f"{LOOPBACK}:{port}",
        "SLUICE_GATEWAY_QUERY_ENGINE_TARGET": engine_target,
        "SLUICE_GATEWAY_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen([sys.executable, "-P", "-m", "sluice_gateway"], env=environment)
    try:
        with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=300.0, trust_env=False, verify=False) as client:
            poll_until(lambda: _lives(client), 120.0, "a gateway that answers")
            yield client
    finally:
        process.kill()
        process.wait()


def _lives(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def as_json(value: object) -> object:
    """Return a value of a table as JSON shows it."""
    return value.isoformat() if isinstance(value, date | datetime) else value
