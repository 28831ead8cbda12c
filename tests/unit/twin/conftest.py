"""One small plant that all tests of the twin read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from sluice_twin import PlantSummary, write_plant


@pytest.fixture(scope="session")
def summary(tmp_path_factory: pytest.TempPathFactory) -> PlantSummary:
    return write_plant(tmp_path_factory.mktemp("twin") / "plant.duckdb", scale=0.02)


@pytest.fixture(scope="session")
def plant(summary: PlantSummary) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(summary.path, read_only=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def truths(summary: PlantSummary) -> Any:
    return json.loads(summary.truth_path.read_text(encoding="utf-8"))
