"""Pages of a total order through `execute_plan` on the twin: they hold what the date chunks hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_query_engine.execution import ChunkStore, execute_plan, merge_chunks
from sluice_query_engine.planning import compute_query_hash, decompose_by_row_count, decompose_by_time_range
from sluice_query_engine.state import MemoryState
from sluice_rpc.ports import FakeClock, SequentialIds

FIRST, LAST = date(2025, 1, 1), date(2025, 6, 30)
HELD = "from DWH.DW_MES_HOLDRELEASEHISTORY where HOLDTXNDATE >= $first and HOLDTXNDATE < $last + interval 1 day"
ROWS = "select HOLDTXNDATE as held, HISTORYMAINLINEID as id, CONTAINERID as lot"
# The order is total: two holds of one second differ in their transaction or their container.
NUMBERED = f"{ROWS}, row_number() over (order by HOLDTXNDATE desc, HISTORYMAINLINEID, CONTAINERID) as place {HELD}"
PAGE = f"select held, id, lot from ({NUMBERED}) where place between $start_row and $end_row"
WHOLE = {"first": FIRST, "last": LAST}


@pytest.fixture
def plant(twin_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(twin_path), read_only=True) as connection:
        yield connection


@pytest.fixture
def store() -> ChunkStore:
    clock = FakeClock(datetime(2025, 12, 31, 8, tzinfo=UTC))
    return ChunkStore(MemoryFrameCache(clock), MemoryState(clock), clock, SequentialIds())


def test_pages_of_a_total_order_hold_row_for_row_what_the_date_chunks_hold(
    plant: duckdb.DuckDBPyConnection, store: ChunkStore
) -> None:
    def page(chunk: Mapping[str, object], *, max_rows_per_chunk: int | None) -> pa.Table:
        return plant.sql(PAGE, params={**WHOLE, **chunk}).to_arrow_table()

    def days(chunk: Mapping[str, object], *, max_rows_per_chunk: int | None) -> pa.Table:
        first, last = date.fromisoformat(str(chunk["chunk_start"])), date.fromisoformat(str(chunk["chunk_end"]))
        return plant.sql(f"{ROWS} {HELD}", params={"first": first, "last": last}).to_arrow_table()

    [(total,)] = plant.sql(f"select count(*) {HELD}", params=WHOLE).fetchall()
    pages, cut = compute_query_hash({"by": "rows"}), compute_query_hash({"by": "days"})
    execute_plan(decompose_by_row_count(total, total // 7), page, query_hash=pages, store=store)
    execute_plan(decompose_by_time_range(FIRST, LAST), days, query_hash=cut, store=store)
    order = [("held", "descending"), ("id", "ascending"), ("lot", "ascending")]
    by_page, by_days = merge_chunks("", pages, store=store), merge_chunks("", cut, store=store)
    assert by_page.num_rows == total > 7
    assert by_page.sort_by(order) == by_days.sort_by(order)
