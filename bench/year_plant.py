"""A plant at the size of a real one where it matters: rejects, lots, machines, and one work order of 30,000 lots.

What is not asked for here stays as large as the twin of one year of a small plant has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb
from sluice_twin import write_plant
from sluice_twin.plant import DEFAULT_SEED, GENERATOR_VERSION, ROWS_AT_SCALE_1

from bench.hold_plant import BUILD_DIR

LARGE_ORDER: Final = "GA-LARGE"
_LARGE_ORDER_LOTS: Final = 30_000
_SIZES: Final = {
    "DW_MES_CONTAINER": 1_000_000,
    "DW_MES_LOTREJECTHISTORY": 16_000_000,
    "DW_MES_LOTWIPHISTORY": 4_000_000,
    "DW_MES_LOTMATERIALSHISTORY": 2_000_000,
    "DW_MES_RESOURCESTATUS_SHIFT": 6_000_000,
    "DW_MES_JOB": 120_000,
    "DW_MES_JOBTXNHISTORY": 600_000,
}
"""Rows at full size."""
_RESOURCE_COUNT: Final = 3_500
_SCALE: Final = 10.3
"""Of machines: 3,090, some 2,800 of which no list of the plant denies. Everything else has a size of its own."""
_ORDER_SQL: Final = "update DWH.DW_MES_CONTAINER set MFGORDERNAME = $name where rowid between $first and $last"


def year_plant(share: float = 1.0) -> Path:
    """Return the plant, written once and used again.

    Args:
        share: of the full sizes, for a look that is over sooner; machines and the large work order stay as many.
    """
    path = BUILD_DIR / f"year-{share:g}-v{GENERATOR_VERSION}.duckdb"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(".making")
    sizes = {**ROWS_AT_SCALE_1, **{name: round(count * share) for name, count in _SIZES.items()}}
    write_plant(made, scale=_SCALE, seed=DEFAULT_SEED, sizes={**sizes, "DW_MES_RESOURCE": _RESOURCE_COUNT})
    first = sizes["DW_MES_CONTAINER"] // 2
    with duckdb.connect(str(made)) as connection:
        binds = {"name": LARGE_ORDER, "first": first, "last": first + _LARGE_ORDER_LOTS - 1}
        connection.execute(_ORDER_SQL, binds)
    made.rename(path)
    return path
