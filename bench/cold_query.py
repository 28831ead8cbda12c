"""(b) A cold query of 2 M hold rows against one bare DuckDB statement that reads the same columns into Arrow.

Both end when the rows are there, so the query asks for no views; the time to the first view is told beside it.
"""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import httpx

from bench.hold_plant import hold_plant
from bench.measure import Comparison, alternate, await_idle
from bench.serving import serving

HOLD_COUNT = 2_000_000
BODY: dict[str, object] = {"start_date": "2024-01-02", "end_date": "2025-12-31"}
ROUNDS = 5
STATEMENT = Path(__file__).parent / "bare_slice.sql"


def run() -> tuple[list[Comparison], list[str]]:
    """Return the comparison and lines of absolute figures."""
    plant = hold_plant(HOLD_COUNT)
    bare = STATEMENT.read_text(encoding="utf-8")
    counts: list[int] = []
    with serving(plant) as (suite, http):

        def ours(_: int) -> None:
            counts.append(_query(http, []))

        def anchor(_: int) -> None:
            with duckdb.connect(str(plant), read_only=True) as connection:
                connection.execute("set threads = 2")
                connection.sql(bare).to_arrow_table()

        def settle() -> None:
            await_idle(suite.pids().values())

        seconds = alternate(ours, anchor, rounds=ROUNDS, settle=settle)
        settle()
        start = time.perf_counter()
        _query(http, ["trend"])
        with_view_s = time.perf_counter() - start
    compared = Comparison("cold query of 2 M holds, against one bare statement", *seconds, at_most=4)
    return [compared], [f"rows of the query: {counts[-1]:,}", f"the same with its first view: {with_view_s:.1f} s"]


def _query(http: httpx.Client, views: list[str]) -> int:
    headers = {"Prefer": "wait=300", "Cache-Control": "no-cache"}
    answer = http.post("/api/hold-history/query", json=BODY | {"views": views}, headers=headers, timeout=320)
    answer.raise_for_status()
    receipt = answer.json()["receipt"]
    if receipt["status"] != "complete" or receipt["chunks"]["reused"]:
        raise RuntimeError(f"not a cold and complete answer: {receipt}")
    return int(receipt["row_count"])
