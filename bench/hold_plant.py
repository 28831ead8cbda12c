"""Plants of one table for the benchmarks, written once per size below the build folder and used again."""

from __future__ import annotations

from pathlib import Path

from sluice_twin import write_plant
from sluice_twin.plant import DEFAULT_SEED, GENERATOR_VERSION

BUILD_DIR = Path("var") / "bench"
HOLD_TABLES = ("DW_MES_HOLDRELEASEHISTORY", "DW_MES_CONTAINER", "DW_MES_SPEC_WORKCENTER_V")


def hold_plant(hold_count: int) -> Path:
    """Return a plant of about `hold_count` holds over two years, with the lots and work centres they name."""
    path = BUILD_DIR / f"holds-{hold_count}-v{GENERATOR_VERSION}.duckdb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_plant(path, scale=1, seed=DEFAULT_SEED, sizes={HOLD_TABLES[0]: hold_count}, tables=HOLD_TABLES)
    return path
