"""A 24-month query of 10 M holds end to end: what each process holds for it, and when the first progress is seen.

The query-engine streams, so its anonymous memory must not grow with the rows; what the twin inside it takes for the
same statements is measured apart and printed beside it. The cache keeps frames within its byte budget, which the
large ones leave for the spool; Redis holds what is small enough, below its own bound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
from redis import Redis
from sluice.cache.v1 import frame_service_pb2 as cache_pb
from sluice.cache.v1.frame_service_pb2_grpc import FrameServiceStub
from sluice.table.v1 import table_pb2 as table_pb
from sluice_rpc.client import open_channel

from bench.hold_plant import hold_plant
from bench.measure import Comparison, PeakSampler
from bench.serving import serving
from bench.twin_memory import BUFFER_BYTES, twin_growth_mib
from tests.running_suite import RunningSuite

HOLD_COUNT = 10_000_000
BODY: dict[str, object] = {"start_date": "2024-01-02", "end_date": "2025-12-31", "views": []}
ENGINE_LIMIT_MIB = 64
FIRST_PROGRESS_LIMIT_S = 1.0
REDIS_LIMIT_MIB = 1536
CACHE_BUDGET_BYTES = 2048 << 20
VIEW_TIMEOUT_S = 320.0
DERIVED_LIMIT_S = 1200.0
VIEWS: tuple[tuple[str, dict[str, str]], ...] = (
    ("trend", {}),
    ("trend", {"hold_type": "non-quality"}),
    ("reason_pareto", {"record_type": "on_hold"}),
    ("list", {"page_size": "50"}),
    ("list", {"page_size": "50", "sort": "hold_hours"}),
)
"""The first waits until the main table is derived; the others look at it from all sides."""
CAPPED = {
    "query-engine": {"SLUICE_QUERY_ENGINE_WAREHOUSE_MEMORY_LIMIT_BYTES": str(BUFFER_BYTES)},
    "cache": {"SLUICE_CACHE_MEMORY_MAX_BYTES": str(CACHE_BUDGET_BYTES)},
}
_MIB = 1 << 20


@dataclass(frozen=True)
class Watched:
    """What a watcher of the query saw."""

    first_progress_s: float
    elapsed_s: float
    receipt: dict[str, object]


def run() -> tuple[list[Comparison], list[str]]:
    """Return no comparison of times, and lines that say whether the promises on memory and progress hold."""
    plant = hold_plant(HOLD_COUNT)
    with serving(plant, CAPPED) as (suite, http):
        # A small query first, so that what every process loads once is not counted as growth.
        _ask(http, {"start_date": "2024-01-02", "end_date": "2024-01-04", "views": []})
        pids = suite.pids()
        with PeakSampler(pids["query-engine"]) as engine, PeakSampler(pids["cache"]) as cache:
            watched = _ask(http, BODY)
            views = [_view(http, watched.receipt, name, **parameters) for name, parameters in VIEWS]
        redis_mib, memory_bytes = _redis_mib(suite), memory_tier_bytes(suite)
    twin_mib = twin_growth_mib(plant)
    if watched.receipt["status"] != "complete":
        raise RuntimeError(f"not a complete answer: {watched.receipt}")
    return [], [
        f"{watched.receipt['row_count']:,} rows in {watched.elapsed_s:.1f} s",
        *views,
        _line("first progress", watched.first_progress_s, FIRST_PROGRESS_LIMIT_S, "s"),
        _line("query-engine, RssAnon above idle, with the twin in it", engine.growth_mib, ENGINE_LIMIT_MIB, "MiB"),
        f"the twin alone, same statements, in a process of its own: {twin_mib:,.0f} MiB",
        f"cache, RssAnon above idle, the views included: {cache.growth_mib:,.0f} MiB",
        _line("cache, bytes of its first tier", memory_bytes / _MIB, CACHE_BUDGET_BYTES / _MIB, "MiB"),
        _line("Redis, used memory at its peak", redis_mib, REDIS_LIMIT_MIB, "MiB"),
    ]


def _ask(http: httpx.Client, body: dict[str, object]) -> Watched:
    """Ask without waiting, watch the query's events, and return when it has ended."""
    start = time.perf_counter()
    answer = http.post("/api/hold-history/query", json=body, headers={"Prefer": "wait=0"})
    answer.raise_for_status()
    query_id = answer.json()["query_id"]
    first_progress_s = 0.0
    with http.stream("GET", f"/api/queries/{query_id}/events", timeout=600) as events:
        for line in events.iter_lines():
            if line.startswith("data:") and not first_progress_s:
                first_progress_s = time.perf_counter() - start
            if line.startswith("event: end"):
                break
    elapsed_s = time.perf_counter() - start
    state = http.get(f"/api/queries/{query_id}").raise_for_status().json()
    return Watched(first_progress_s, elapsed_s, state["receipt"])


def _view(http: httpx.Client, receipt: dict[str, object], name: str, **parameters: str) -> str:
    """Read a view, and return a line on it; the first one waits for the derived table."""
    start = time.perf_counter()
    asked = {"query_id": str(receipt["query_id"]), "view": name, **parameters}
    answer = http.get("/api/hold-history/view", params=asked, timeout=VIEW_TIMEOUT_S)
    while answer.status_code == 504 and time.perf_counter() - start < DERIVED_LIMIT_S:
        # The table goes on being derived; whoever asks again finds it.
        answer = http.get("/api/hold-history/view", params=asked, timeout=VIEW_TIMEOUT_S)
    kept = "kept" if answer.status_code == 200 else f"{answer.json()['code']} BROKEN"
    return f"view {name} {' '.join(parameters.values())} after {time.perf_counter() - start:.1f} s {kept}"


def _redis_mib(suite: RunningSuite) -> float:
    with Redis(port=suite.ports.redis) as redis:
        return float(redis.info("memory")["used_memory_peak"]) / _MIB


def memory_tier_bytes(suite: RunningSuite) -> int:
    """Return what the cache counts in its first tier, from its own statistics."""
    with open_channel(f"127.0.0.1:{suite.ports.cache}", "cache") as channel:
        stats = FrameServiceStub(channel).GetStats(cache_pb.GetStatsRequest())
    return next(tier.bytes for tier in stats.tiers if tier.tier == table_pb.TIER_MEMORY)


def _line(what: str, value: float, limit: float, unit: str) -> str:
    return f"{what}: {value:,.2f} {unit} (at most {limit:,g} {unit}) {'kept' if value <= limit else 'BROKEN'}"
