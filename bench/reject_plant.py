"""A plant of rejects alone for the benchmarks, written once per size below the build folder and used again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sluice_twin import write_plant
from sluice_twin.plant import DEFAULT_SEED, GENERATOR_VERSION

from bench.hold_plant import BUILD_DIR

REJECTS: Final = "DW_MES_LOTREJECTHISTORY"
_CONTAINERS: Final = "DW_MES_CONTAINER"
_SESSIONS: Final = "DW_MES_LOTWIPHISTORY"
_TABLES: Final = (REJECTS, _CONTAINERS, "DW_MES_SPEC_WORKCENTER_V", "ERP_PJ_WIP_SCRAP_REASONS_EXCLUDE")


def reject_plant(reject_count: int) -> Path:
    """Return a plant of so many rejects over two years, with the lots they belong to: one to every twenty."""
    path = BUILD_DIR / f"rejects-{reject_count}-v{GENERATOR_VERSION}.duckdb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        sizes = {REJECTS: reject_count, _CONTAINERS: reject_count // 20, _SESSIONS: reject_count // 4}
        write_plant(path, scale=1, seed=DEFAULT_SEED, sizes=sizes, tables=_TABLES)
    return path
