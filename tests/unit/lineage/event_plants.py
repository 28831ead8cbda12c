"""Plants of a few rows for tests of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from sluice_twin import plant_of

NOON = datetime(2025, 6, 1, 12)
PLANT_TIME = datetime(2025, 6, 2, 7, 30)

Rows = Sequence[Mapping[str, object]]


def container(number: int) -> str:
    """Return an id of sixteen digits."""
    return f"{number:016x}"


def small_plant(path: Path, **tables: Rows) -> str:
    """Write a plant with these rows and return its URL; keywords are table names without their prefix."""
    return f"duckdb://{plant_of({f'DW_MES_{name}': rows for name, rows in tables.items()}, path, PLANT_TIME)}"


def held_plant(path: Path, hold_count: int, each: int = 1) -> str:
    """Write a plant whose first containers have so many holds each, and return its URL."""
    plant_of({}, path, PLANT_TIME)
    numbers = [number for number in range(hold_count) for _ in range(each)]
    rows = pa.table(
        {
            "CONTAINERID": [container(number) for number in numbers],
            "HISTORYMAINLINEID": [f"{position:016d}" for position in range(len(numbers))],
            "HOLDTXNDATE": pa.array([NOON] * len(numbers), pa.timestamp("s")),
        }
    )
    with duckdb.connect(str(path)) as connection:
        connection.register("new_rows", rows)
        # One statement for all rows: single inserts into so wide a table take half a minute.
        connection.execute("insert into DWH.DW_MES_HOLDRELEASEHISTORY by name select * from new_rows")
    return f"duckdb://{path}"
