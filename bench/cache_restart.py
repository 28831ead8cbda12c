"""(f) The first view after a restart: hot, against Parquet into pandas; spooled, against bare DuckDB on that file.

Either side ends with the answer of the view; what pandas takes to have the rows alone is told beside it.
"""

from __future__ import annotations

import statistics
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

from bench import hold_statements, pandas_holds
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
    """Return both comparisons, and a line on the anchor of the first."""
    table = made_holds(ROW_COUNT)
    parquet = _parquet(table)
    loads_s: list[float] = []

    def in_pandas(_: Path, number: int) -> pd.DataFrame:
        start = time.perf_counter()
        rows = pd.read_parquet(parquet)
        loads_s.append(time.perf_counter() - start)
        hold_type, duration_range, _reason = hold_statements.chosen(number)
        filters = pandas_holds.Filters(hold_type, duration_range, None)
        return pandas_holds.reason_pareto(pandas_holds.selected(rows, filters, reason=False, duration=True))

    hot = _first_views(table, "memory", in_pandas)
    spooled = _first_views(table, "spool", _bare, spill_row_count=ROW_COUNT // 2)
    return [
        Comparison("first view after a restart, hot, against Parquet into pandas", *hot, at_least=HOT_AT_LEAST),
        Comparison("first view after a restart, spooled, against DuckDB", *spooled, at_most=SPOOLED_AT_MOST),
    ], [f"Parquet into pandas alone: {statistics.median(loads_s) * 1000:,.1f} ms"]


def _first_views(
    table: pa.Table, tier: str, anchor: Callable[[Path, int], object], **settings: object
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    ours_s, anchor_s = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def started() -> AbstractContextManager[CacheProcess]:
            return cache_process(folder, **settings)

        with started() as cache:
            # As engines put what is asked at once: its rows lie there from the first view on.
            cache.put(FRAME_ID, table, codec=None)
        for number in range(ROUNDS):
            asked = _asked(number)
            with started() as cache:
                await_idle([cache.pid])
                # Whoever asks for a view is connected by then.
                if (found := cache.tier_of(FRAME_ID)) != tier:
                    raise RuntimeError(f"the frame is in {found}, not in {tier}")
                ours_s.append(_seconds(lambda: cache.run([SOURCE], [asked.to_proto()])))  # noqa: B023  # called here
            anchor_s.append(_seconds(lambda: anchor(folder, number)))  # noqa: B023  # called here
    return tuple(ours_s), tuple(anchor_s)


def _asked(number: int) -> Asked:
    (asked,) = hold_statements.click(number, ["reason_pareto"])
    return asked


def _bare(folder: Path, number: int) -> pa.Table:
    (spooled,) = (folder / "spool").rglob("*.parquet")
    with duckdb.connect() as bare:
        bare.execute("set threads = 2")
        bare.read_parquet(str(spooled)).create_view("holds")
        return _asked(number).on(bare)


def _parquet(table: pa.Table) -> Path:
    path = BUILD_DIR / f"made-holds-{table.num_rows}-v{VERSION}.parquet"
    if not path.exists():
        pq.write_table(table, path)
    return path


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
