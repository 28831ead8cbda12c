"""A small plant and the embedded warehouse over it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sluice_twin import plant_of
from sluice_warehouse.duckdb import DuckDBWarehouse

PLANT_TIME = datetime(2025, 12, 31, 7, 30)
CONTAINER_COUNT = 300


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 containers: ids of 16 digits, names with padding on every tenth, quantity = number."""
    rows = [
        {
            "CONTAINERID": f"{number:016d}",
            "CONTAINERNAME": f"LOT{number}" + ("   " if number % 10 == 0 else ""),
            "QTY": number,
        }
        for number in range(CONTAINER_COUNT)
    ]
    path = tmp_path_factory.mktemp("plant") / "twin.duckdb"
    return plant_of({"DW_MES_CONTAINER": rows}, path, PLANT_TIME)


@pytest.fixture
def statement_log(tmp_path: Path) -> Path:
    return tmp_path / "statements.jsonl"


@pytest.fixture
def warehouse(plant: Path, statement_log: Path) -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse(plant, statement_log=statement_log)
    yield opened
    opened.close()
