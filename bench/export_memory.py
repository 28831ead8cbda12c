"""Memory of the gateway, query-engine and cache while 5 M holds are exported, against what they hold for 500 k.

An export is streamed: what any process holds must not depend on its rows. A spreadsheet cannot hold as many, and says
so instead.
"""

from __future__ import annotations

import time

import httpx

from bench.hold_plant import hold_plant
from bench.measure import Comparison, PeakSampler
from bench.serving import serving

HOLD_COUNT = 5_000_000
SMALL: dict[str, object] = {"start_date": "2025-10-20", "end_date": "2025-12-31"}
LARGE: dict[str, object] = {"start_date": "2024-01-02", "end_date": "2025-12-31"}
FORMATS = ("csv", "parquet", "arrow")
PROCESSES = ("gateway", "query-engine", "cache")
LIMIT_MIB = {"gateway": 64, "query-engine": 64, "cache": 640}
"""Most MiB that a process may hold for the large export beyond what it held for the small one."""
CAPPED = {"query-engine": {"SLUICE_QUERY_ENGINE_WAREHOUSE_MEMORY_LIMIT_BYTES": "67108864"}}


def run() -> tuple[list[Comparison], list[str]]:
    """Return no comparison of times, and one line for each format and process."""
    plant = hold_plant(HOLD_COUNT)
    lines = []
    with serving(plant, CAPPED) as (suite, http):
        small_id, large_id = _ask(http, SMALL), _ask(http, LARGE)
        for form in FORMATS:
            small, _, _ = _peaks(http, suite.pids(), small_id, form)
            large, size, seconds = _peaks(http, suite.pids(), large_id, form)
            lines.append(f"{form}: {size / (1 << 20):,.0f} MiB in {seconds:.1f} s")
            lines += [_line(form, name, large[name] - small[name]) for name in PROCESSES]
        refused = http.get("/api/hold-history/export", params={"query_id": large_id, "format": "xlsx"})
        lines.append(f"xlsx: {refused.status_code} {'kept' if refused.status_code == 413 else 'BROKEN'}")
    return [], lines


def _ask(http: httpx.Client, dates: dict[str, object]) -> str:
    """Ask, and read a view, so that the derived table is there; return the `query_id`."""
    headers = {"Prefer": "wait=300"}
    answer = http.post("/api/hold-history/query", json=dates | {"views": []}, headers=headers, timeout=320)
    if answer.status_code != 200:
        raise RuntimeError(f"not an answer: {answer.text}")
    query_id = str(answer.json()["query_id"])
    view = http.get("/api/hold-history/view", params={"query_id": query_id, "view": "trend"}, timeout=320)
    if view.status_code != 200:
        raise RuntimeError(f"not a view: {view.text}")
    return query_id


def _peaks(http: httpx.Client, pids: dict[str, int], query_id: str, form: str) -> tuple[dict[str, float], int, float]:
    """Return each process's peak in MiB during an export, the export's bytes and its seconds."""
    parameters = {"query_id": query_id, "format": form, "record_type": "new,on_hold,released", "hold_type": "all"}
    start, size = time.perf_counter(), 0
    with (
        PeakSampler(pids["gateway"]) as gateway,
        PeakSampler(pids["query-engine"]) as engine,
        PeakSampler(pids["cache"]) as cache,
        http.stream("GET", "/api/hold-history/export", params=parameters, timeout=600) as answer,
    ):
        answer.raise_for_status()
        for piece in answer.iter_raw():
            size += len(piece)
    peaks = dict(zip(PROCESSES, (gateway, engine, cache), strict=True))
    return (
        {name: peak.peak_bytes / (1 << 20) for name, peak in peaks.items()},
        size,
        time.perf_counter() - start,
    )


def _line(form: str, name: str, growth_mib: float) -> str:
    kept = "kept" if growth_mib <= LIMIT_MIB[name] else "BROKEN"
    return f"{form}, {name}: {growth_mib:,.0f} MiB more than for the small one (at most {LIMIT_MIB[name]}) {kept}"
