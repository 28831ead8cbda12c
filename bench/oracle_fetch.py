"""(o) CPU and memory of a client that reads 1 M × 10 columns from Oracle into a frame, against fetchall and pandas.

The stand-in has its pages encoded beforehand, so that the client is what is measured; it runs in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sluice_twin.oracle_wire import OracleWireServer
from sluice_warehouse import Tag
from sluice_warehouse.oracle import tagged
from sluice_warehouse.statements import parse

from bench.cache_process import cache_process
from bench.measure import Comparison
from bench.oracle_client import COLUMNS

ROW_COUNT = 1_000_000
ROUNDS = 3
MIB = 1 << 20
CPU_SHARE = 1 / 2
MEMORY_SHARE = 1 / 3
FLAT = 1.25
"""Peak memory of five times the rows, over that of the rows."""

SQL = f"select {', '.join(name.upper() + ' as ' + name for name in COLUMNS)} from DWH.WIDE"
FIVE_TIMES = f"{SQL} cross join DWH.FIVE"


@dataclass(frozen=True)
class Cost:
    """What one read cost its client."""

    cpu_s: float
    peak_bytes: int
    row_count: int


def run() -> tuple[list[Comparison], list[str]]:
    """Return the comparison of CPU seconds, and lines on memory."""
    tables = {"WIDE": wide(ROW_COUNT), "FIVE": pa.table({"COPY": pa.array(range(5), pa.int64())})}
    with (
        tempfile.TemporaryDirectory() as name,
        cache_process(Path(name)) as cache,
        OracleWireServer(None, tables=tables) as server,
    ):
        for text in (SQL, tagged(parse("bench", SQL), Tag("bench", "bench", "bench"))):
            server.preload(text)
        pairs = [
            (read("arrow", server.port, cache.target, SQL), read("pandas", server.port, cache.target, SQL))
            for _ in range(ROUNDS)
        ]
        five_times = read("arrow", server.port, cache.target, FIVE_TIMES)
    ours, anchor = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    compared = Comparison(
        f"oracle fetch of {ROW_COUNT:,} × {len(COLUMNS)}, client CPU",
        tuple(cost.cpu_s for cost in ours),
        tuple(cost.cpu_s for cost in anchor),
        at_most=CPU_SHARE,
    )
    return [compared], _memory(ours, anchor, five_times)


def _memory(ours: list[Cost], anchor: list[Cost], five_times: Cost) -> list[str]:
    ours_bytes = max(cost.peak_bytes for cost in ours)
    anchor_bytes = max(cost.peak_bytes for cost in anchor)
    share = ours_bytes / anchor_bytes
    growth = five_times.peak_bytes / ours_bytes
    return [
        f"peak memory: ours {ours_bytes / MIB:,.0f} MiB, anchor {anchor_bytes / MIB:,.0f} MiB, "
        f"share {share:.2f} (at most {MEMORY_SHARE:.2f}) {'kept' if share <= MEMORY_SHARE else 'BROKEN'}",
        f"{five_times.row_count:,} rows: {five_times.peak_bytes / MIB:,.0f} MiB, {growth:.2f}× "
        f"(at most {FLAT:g}×) {'kept' if growth <= FLAT else 'BROKEN'}",
    ]


def read(way: str, port: int, cache_target: str, sql: str) -> Cost:
    """Read a statement in a process of its own."""
    command = [sys.executable, "-m", "bench.oracle_client", way, str(port), cache_target, sql]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def wide(row_count: int) -> pa.Table:
    """Return rows as a plant has them: keys, names that repeat, counts, hours, times with gaps, remarks."""
    random = np.random.default_rng(7)
    number = np.arange(row_count)
    start = np.datetime64(datetime(2024, 1, 1), "s") + random.integers(0, 63_000_000, row_count)
    end = start + random.integers(0, int(timedelta(days=30).total_seconds()), row_count).astype("timedelta64[s]")
    hours = pa.array(random.integers(0, 10**6, row_count)).cast(pa.decimal128(19, 0))
    return pa.table(
        {
            "N": pa.array(number),
            "LOT": pa.array([f"GA{value:08d}" for value in number]),
            "PRODUCT": pa.array([f"product {value}" for value in range(300)]).take(pa.array(number % 300)),
            "STEP": pa.array(number % 17),
            "QTY": pa.array(random.integers(0, 25_000, row_count)).cast(pa.decimal128(38, 0)),
            "SCRAP": pa.array(number % 7, mask=number % 3 == 0),
            "HOURS": pc.multiply(hours, pa.scalar(Decimal("0.01"))).cast(pa.decimal128(12, 2), safe=False),
            "START_TIME": pa.array(start),
            "END_TIME": pa.array(end, mask=number % 5 == 0),
            "REMARK": pa.array([f"remark {value % 5000}" if value % 2 else None for value in number]),
        }
    )
