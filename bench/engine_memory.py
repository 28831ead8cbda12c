"""(c) Anonymous memory of the query-engine while it reads 100 k and 2 M rows, the twin's buffers capped."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from sluice_client.redis_server import find_server

from bench.hold_plant import hold_plant
from bench.measure import Comparison, rss_anon_bytes
from tests.running_suite import open_http, running_suite

SIZES = (100_000, 2_000_000)
LIMIT_MIB = 64
SAMPLE_S = 0.02
BODY = {"start_date": "2024-01-02", "end_date": "2025-12-31", "views": ["trend"]}
CAPPED = {"query-engine": {"SLUICE_QUERY_ENGINE_WAREHOUSE_MEMORY_LIMIT_BYTES": "67108864"}}


def run() -> tuple[list[Comparison], list[str]]:
    """Return no comparison of times, and lines that say whether the promise on memory holds."""
    peaks = {size: _peak_mib(size) for size in SIZES}
    small, large = (peaks[size] for size in SIZES)
    kept = "kept" if large - small < LIMIT_MIB else "BROKEN"
    lines = [f"query-engine, peak RssAnon for {size:,} holds: {peak:,.0f} MiB" for size, peak in peaks.items()]
    return [], [*lines, f"difference {large - small:,.0f} MiB (less than {LIMIT_MIB} MiB) {kept}"]


def _peak_mib(hold_count: int) -> float:
    plant = hold_plant(hold_count)
    with tempfile.TemporaryDirectory() as folder, running_suite(Path(folder), plant, find_server(), CAPPED) as suite:
        pid = suite.pids()["query-engine"]
        with open_http(suite.url) as http, PeakSampler(pid) as sampler:
            answer = http.post("/api/hold-history/query", json=BODY, headers={"Prefer": "wait=300"}, timeout=320)
            answer.raise_for_status()
        if answer.json()["receipt"]["status"] != "complete":
            raise RuntimeError(f"not a complete answer: {answer.json()['receipt']}")
    return sampler.peak_bytes / (1 << 20)


class PeakSampler:
    """Samples a process's anonymous memory until left, and keeps the largest value."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="peak-sampler")
        self.peak_bytes = 0

    def __enter__(self) -> PeakSampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, rss_anon_bytes(self._pid))
