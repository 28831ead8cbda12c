"""What the embedded twin holds by itself for the statements of a long query: run apart, so that it can be told apart.

The twin runs inside the query-engine's process; in a plant Oracle runs elsewhere. Its buffers are capped, but the joins
of its statements and what it hands over are its own too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

from sluice_query_engine.dataset import Dataset
from sluice_warehouse import Bind, Tag
from sluice_warehouse.duckdb import DuckDBWarehouse

from bench.measure import PeakSampler
from tests.dataset_frames import load

BUFFER_BYTES = 48 << 20
FIRST, END = datetime(2024, 1, 1, 7, 30), datetime(2025, 12, 31, 7, 30)
_TAG = Tag("bench", "bench", "bench")


def twin_growth_mib(plant: Path) -> float:
    """Return by how many MiB a process grows that only reads the chunks of two years of holds from a plant."""
    command = [sys.executable, "-m", "bench.twin_memory", str(plant)]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(told.stdout.split()[-1])


def main(plant: Path) -> None:
    """Read a few days first, then everything as a query does; print the growth."""
    dataset = load().get("hold-history")
    warehouse = DuckDBWarehouse(plant, memory_limit_bytes=BUFFER_BYTES, thread_count=1)
    _read(warehouse, dataset, FIRST, FIRST + timedelta(days=3))
    with (
        PeakSampler(os.getpid()) as sampler,
        ThreadPoolExecutor(dataset.limits.parallel) as pool,
    ):
        list(pool.map(lambda edges: _read(warehouse, dataset, *edges), _chunks(dataset.limits.grain_days)))
    warehouse.close()
    print(sampler.growth_mib)


def _chunks(grain_days: int) -> Iterator[tuple[datetime, datetime]]:
    start = FIRST
    while start < END:
        end = min(start + timedelta(days=grain_days), END)
        yield start, end
        start = end


def _read(warehouse: DuckDBWarehouse, dataset: Dataset, start: datetime, end: datetime) -> int:
    part = next(part for part in dataset.parts if part.name == "slice")
    binds: dict[str, Bind] = {"start_time": start, "end_time": end, "row_limit": dataset.limits.max_rows_per_chunk}
    with warehouse.open(part.statement, binds, schema=part.schema, deadline_s=300, tag=_TAG) as reading:
        return sum(batch.num_rows for batch in reading)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
