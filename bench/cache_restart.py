"""(f) The first view after a restart: hot, against Parquet into pandas; spooled, against bare DuckDB on that file."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sluice.cache.v1 import sql_service_pb2 as sql_pb

from bench import hold_statements
from bench.cache_process import CacheProcess, cache_process
from bench.hold_plant import BUILD_DIR
from bench.hold_statements import Asked
from bench.made_holds import VERSION, made_holds
from bench.measure import Comparison, await_idle

ROW_COUNT = 1_000_000
ROUNDS = 5
FRAME_ID = "bench-restart"
HOT_AT_LEAST, SPOOLED_AT_MOST = 10.0, 1.5
SOURCE = sql_pb.SqlSource(frame=sql_pb.NamedFrame(name="holds", frame_id=FRAME_ID))


def run() -> tuple[list[Comparison], list[str]]:
    """Return both comparisons and no lines."""
    table = made_holds(ROW_COUNT)
    parquet = _parquet(table)
    hot = _first_views(table, "memory", lambda _folder, _asked: pd.read_parquet(parquet))
    spooled = _first_views(table, "spool", _bare, spill_row_count=ROW_COUNT // 2)
    return [
        Comparison("first view after a restart, hot, against Parquet into pandas", *hot, at_least=HOT_AT_LEAST),
        Comparison("first view after a restart, spooled, against DuckDB", *spooled, at_most=SPOOLED_AT_MOST),
    ], []


def _first_views(
    table: pa.Table, tier: str, anchor: Callable[[Path, Asked], object], **settings: object
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    ours_s, anchor_s = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def started() -> AbstractContextManager[CacheProcess]:
            return cache_process(folder, **settings)

        with started() as cache:
            cache.put(FRAME_ID, table)
            if (found := cache.tier_of(FRAME_ID)) != tier:
                raise RuntimeError(f"the frame is in {found}, not in {tier}")
        for number in range(ROUNDS):
            (asked,) = hold_statements.click(number, ["reason_pareto"])
            with started() as cache:
                await_idle([cache.pid])
                ours_s.append(_seconds(lambda: cache.run([SOURCE], [asked.to_proto()])))  # noqa: B023  # called here
            anchor_s.append(_seconds(lambda: anchor(folder, asked)))  # noqa: B023  # called here
    return tuple(ours_s), tuple(anchor_s)


def _bare(folder: Path, asked: Asked) -> pa.Table:
    (spooled,) = (folder / "spool").rglob("*.parquet")
    with duckdb.connect() as bare:
        bare.execute("set threads = 2")
        bare.read_parquet(str(spooled)).create_view("holds")
        return asked.on(bare)


def _parquet(table: pa.Table) -> Path:
    path = BUILD_DIR / f"made-holds-{table.num_rows}-v{VERSION}.parquet"
    if not path.exists():
        pq.write_table(table, path)
    return path


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
