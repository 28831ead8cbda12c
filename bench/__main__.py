"""`make bench`: runs every workload, or those named, and prints versions, medians and ratios.

Exit code 1 when a promise was broken in this run.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version

from bench import (
    cache_memory,
    cache_restart,
    cache_views,
    cold_query,
    engine_memory,
    events_memory,
    export_memory,
    frame_transfer,
    full_year,
    hold_views,
    lineage_walk,
    long_query,
    oracle_fetch,
    page_times,
    reject_views,
    shared_tier,
    window_replay,
)
from bench.measure import Comparison

WORKLOADS: dict[str, Callable[[], tuple[list[Comparison], list[str]]]] = {
    "hold-views": hold_views.run,
    "reject-views": reject_views.run,
    "cold-query": cold_query.run,
    "engine-memory": engine_memory.run,
    "long-query": long_query.run,
    "full-year": full_year.run,
    "export-memory": export_memory.run,
    "window-replay": window_replay.run,
    "frame-transfer": frame_transfer.run,
    "cache-views": cache_views.run,
    "cache-restart": cache_restart.run,
    "cache-memory": cache_memory.run,
    "shared-tier": shared_tier.run,
    "oracle-fetch": oracle_fetch.run,
    "lineage-walk": lineage_walk.run,
    "events-memory": events_memory.run,
    "page-times": page_times.run,
}
_VERSIONS = ("duckdb", "pyarrow", "pandas", "grpcio", "redis")


def main(names: list[str]) -> int:
    """Run the named workloads, all if none is named, and return the exit code."""
    unknown = set(names) - set(WORKLOADS)
    if unknown:
        print(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}", file=sys.stderr)
        return 2
    libraries = ", ".join(f"{name} {version(name)}" for name in _VERSIONS)
    print(f"python {platform.python_version()}, {libraries}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    broken = False
    for name in names or WORKLOADS:
        print(f"\n{name}", flush=True)
        comparisons, lines = WORKLOADS[name]()
        for line in (*(comparison.line() for comparison in comparisons), *lines):
            print(f"  {line}", flush=True)
        broken |= any(not comparison.kept for comparison in comparisons) or any("BROKEN" in line for line in lines)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
