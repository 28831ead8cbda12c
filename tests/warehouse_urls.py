"""The same rows behind two doors: the twin's file as it is, and through the real Oracle driver.

Oracle is the stand-in over the same file, unless SLUICE_TEST_ORACLE_URL names a database that holds the session's plant
in schema DWH (`sluice twin` writes it as a file to load from); SLUICE_WAREHOUSE_* then says how to log on. See
docs/oracle.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias

import pytest
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_SERVICE, DEFAULT_USER, OracleWireServer

Door: TypeAlias = Literal["duckdb", "oracle"]

DOORS: Final[tuple[Door, ...]] = ("duckdb", "oracle")

ORACLE_URL: Final = os.environ.get("SLUICE_TEST_ORACLE_URL", "")


@contextmanager
def stand_in_url(file: Path) -> Iterator[str]:
    """Return the URL of a stand-in that serves a plant, as long as the block runs."""
    with OracleWireServer(file) as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLUICE_WAREHOUSE_PASSWORD", DEFAULT_PASSWORD)
        yield _url(server)


@contextmanager
def oracle_processes(file: Path) -> Iterator[dict[str, dict[str, str]]]:
    """Return the variables with which the processes of a suite read the session's plant through the Oracle driver."""
    with ExitStack() as closing:
        own, url = {}, ORACLE_URL
        if not url:
            server = closing.enter_context(OracleWireServer(file))
            # Not put into our own environment: a suite lives as long as the session, and other tests need it clean.
            own = {"SLUICE_WAREHOUSE_PASSWORD": DEFAULT_PASSWORD}
            url = _url(server)
        yield {
            name: {f"SLUICE_{name.replace('-', '_').upper()}_WAREHOUSE_URL": url, **own}
            for name in ("query-engine", "lineage")
        }


def _url(server: OracleWireServer) -> str:
    return f"oracle://{DEFAULT_USER}@127.0.0.1:{server.port}/{DEFAULT_SERVICE}"


@contextmanager
def url_of(file: Path, door: Door) -> Iterator[str]:
    """Return the URL under which the rows of the session's plant are read through this door."""
    if door == "oracle" and ORACLE_URL:
        yield ORACLE_URL
    else:
        with own_url_of(file, door) as url:
            yield url


@contextmanager
def own_url_of(file: Path, door: Door) -> Iterator[str]:
    """Return the same for a plant of the test's own, which no database but the stand-in has."""
    if door == "duckdb":
        yield f"duckdb://{file}"
    else:
        with stand_in_url(file) as url:
            yield url
