"""(g) Anonymous memory of the cache above idle while it answers a view of a spooled frame of 10 M rows."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sluice.cache.v1 import sql_service_pb2 as sql_pb

from bench import hold_statements
from bench.cache_process import cache_process
from bench.hold_statements import Asked
from bench.made_holds import made_holds
from bench.measure import Comparison, PeakSampler, await_idle, rss_anon_bytes

ROW_COUNT = 10_000_000
FRAME_ID = "bench-memory"
SOURCE = sql_pb.SqlSource(frame=sql_pb.NamedFrame(name="holds", frame_id=FRAME_ID))
MIB = 1 << 20


def run() -> tuple[list[Comparison], list[str]]:
    """Return no comparison of times, and a line per view that says whether the promise on memory holds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with cache_process(folder) as cache:
            cache.put(FRAME_ID, made_holds(ROW_COUNT))
            tier = cache.tier_of(FRAME_ID)
        lines = [_line(folder, view, asked, at_most) for view, asked, at_most in _views()]
    return [], [f"{ROW_COUNT:,} rows were read from {tier}", *lines]


def _views() -> list[tuple[str, Asked, int]]:
    aggregate, listed = hold_statements.click(1, ["reason_pareto", "list"])
    return [("aggregate", aggregate, 128), ("list", listed, 640), ("rank", hold_statements.ranks(1), 640)]


def _line(folder: Path, view: str, asked: Asked, at_most_mib: int) -> str:
    """Ask a process of its own, so that no view finds what another left."""
    with cache_process(folder) as cache:
        await_idle([cache.pid])
        idle = rss_anon_bytes(cache.pid)
        with PeakSampler(cache.pid) as sampler:
            cache.run([SOURCE], [asked.to_proto()])
        above = (max(sampler.peak_bytes, idle) - idle) / MIB
    kept = "kept" if above <= at_most_mib else "BROKEN"
    return f"{view} view: RssAnon {above:,.0f} MiB above {idle / MIB:,.0f} MiB idle (at most {at_most_mib} MiB) {kept}"
