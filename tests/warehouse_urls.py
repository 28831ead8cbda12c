"""The same rows behind two doors: the twin's file as it is, and through the real Oracle driver.

Oracle is the stand-in over the same file, unless SLUICE_TEST_ORACLE_URL names a database that holds the session's plant
in schema DWH (`sluice twin` writes it as a file to load from); SLUICE_WAREHOUSE_* then says how to log on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
        yield f"oracle://{DEFAULT_USER}@127.0.0.1:{server.port}/{DEFAULT_SERVICE}"


@contextmanager
def url_of(file: Path, door: Door) -> Iterator[str]:
    """Return the URL under which the rows of the session's plant are read through this door."""
    if door == "duckdb":
        yield f"duckdb://{file}"
    elif ORACLE_URL:
        yield ORACLE_URL
    else:
        with stand_in_url(file) as url:
            yield url
