"""(c) Anonymous memory of the query-engine while it reads 100 k and 2 M rows, the twin's buffers capped.

Both ask the same plant. Many queries of 100 k rows one after the other fill the twin's buffers as the one of 2 M does,
so that only what the engine holds for the rows can differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from bench.hold_plant import hold_plant
from bench.measure import Comparison, PeakSampler
from bench.serving import serving

HOLD_COUNT = 2_000_000
FIRST, LAST = date(2024, 1, 2), date(2025, 12, 31)
SMALL_DAYS = 37
"""About 100 k of the plant's holds."""
LIMIT_MIB = 64
CAPPED = {"query-engine": {"SLUICE_QUERY_ENGINE_WAREHOUSE_MEMORY_LIMIT_BYTES": "67108864"}}


def run() -> tuple[list[Comparison], list[str]]:
    """Return no comparison of times, and lines that say whether the promise on memory holds."""
    starts = range(0, (LAST - FIRST).days - SMALL_DAYS, SMALL_DAYS)
    small_ranges = [(FIRST + timedelta(days=day), FIRST + timedelta(days=day + SMALL_DAYS - 1)) for day in starts]
    small, small_rows = _peak(small_ranges)
    large, large_rows = _peak([(FIRST, LAST)])
    kept = "kept" if large - small < LIMIT_MIB else "BROKEN"
    return [], [
        f"query-engine, peak RssAnon over {len(small_ranges)} queries of up to {small_rows:,} holds: {small:,.0f} MiB",
        f"query-engine, peak RssAnon of one query of {large_rows:,} holds: {large:,.0f} MiB",
        f"difference {large - small:,.0f} MiB (less than {LIMIT_MIB} MiB) {kept}",
    ]


def _peak(ranges: Sequence[tuple[date, date]]) -> tuple[float, int]:
    """Return the peak in MiB over queries of these ranges, asked one after the other, and the most rows of one."""
    plant = hold_plant(HOLD_COUNT)
    most = 0
    with (
        serving(plant, CAPPED) as (suite, http),
        PeakSampler(suite.pids()["query-engine"]) as sampler,
    ):
        for start, end in ranges:
            body = {"start_date": start.isoformat(), "end_date": end.isoformat(), "views": ["trend"]}
            headers = {"Prefer": "wait=300", "Cache-Control": "no-cache"}
            answer = http.post("/api/hold-history/query", json=body, headers=headers, timeout=320)
            answer.raise_for_status()
            receipt = answer.json()["receipt"]
            if receipt["status"] != "complete":
                raise RuntimeError(f"not a complete answer: {receipt}")
            most = max(most, receipt["row_count"])
    return sampler.peak_bytes / (1 << 20), most
