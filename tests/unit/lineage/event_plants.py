"""Plants of a few rows for tests of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
from sluice_twin import plant_of

NOON = datetime(2025, 6, 1, 12)
PLANT_TIME = datetime(2025, 6, 2, 7, 30)

Rows = Sequence[Mapping[str, object]]


_HOLDS = """
insert into DWH.DW_MES_HOLDRELEASEHISTORY by name
select
    printf('%016x', n // $each) as CONTAINERID,
    printf('%016d', n) as HISTORYMAINLINEID,
    $noon as HOLDTXNDATE,
    nullif($comment, '') as HOLDCOMMENTS
from range($count) as numbers(n)
"""


def container(number: int) -> str:
    """Return an id of sixteen digits."""
    return f"{number:016x}"


def small_plant(path: Path, **tables: Rows) -> str:
    """Write a plant with these rows and return its URL; keywords are table names without their prefix."""
    return f"duckdb://{plant_of({f'DW_MES_{name}': rows for name, rows in tables.items()}, path, PLANT_TIME)}"


def held_plant(path: Path, container_count: int, each: int = 1, comment: str = "") -> str:
    """Write a plant whose first containers have so many holds each, all with one comment, and return its URL."""
    plant_of({}, path, PLANT_TIME)
    with duckdb.connect(str(path)) as connection:
        # One statement for all rows: single inserts into so wide a table take half a minute.
        connection.execute(_HOLDS, {"each": each, "count": container_count * each, "noon": NOON, "comment": comment})
    return f"duckdb://{path}"
