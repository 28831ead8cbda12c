"""Memory of lineage while it streams the history of 114,000 containers of a plant of 1 M, and after a caller left.

The twin's buffers are capped and filled by a request of the same kind beforehand, so that what is above idle is what
lineage holds for the rows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import psutil
from sluice.health.v1 import details_service_pb2, details_service_pb2_grpc
from sluice.lineage.v1 import event_service_pb2 as pb
from sluice.lineage.v1 import event_service_pb2_grpc as pb_grpc
from sluice_client.ports import take_free
from sluice_rpc.client import open_channel
from sluice_rpc.healthcheck import problem_of
from sluice_rpc.interceptors import ResponseStream
from sluice_twin import write_plant
from sluice_twin.plant import DEFAULT_SEED, GENERATOR_VERSION

from bench.hold_plant import BUILD_DIR
from bench.measure import Comparison

CONTAINER_COUNT = 1_000_000
SIZES = {"DW_MES_CONTAINER": CONTAINER_COUNT, "DW_MES_LOTWIPHISTORY": 3_000_000}
ASKED = 114_000
WARM = 5_000
LIMIT_MIB = 64
DOMAIN = "history"
_MIB = 1 << 20
_SAMPLE_EVERY_S = 0.02
_PATIENCE_S = 30.0

Started = tuple[psutil.Process, pb_grpc.EventServiceStub, details_service_pb2_grpc.DetailsServiceStub]


def events_plant() -> Path:
    """Return a plant of 1 M containers and 3 M partial track-outs."""
    path = BUILD_DIR / f"events-{CONTAINER_COUNT}-v{GENERATOR_VERSION}.duckdb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_plant(path, scale=1, seed=DEFAULT_SEED, sizes=SIZES, tables=SIZES)
    return path


def run() -> tuple[list[Comparison], list[str]]:
    """Return no comparison of times, and lines that say whether the promises on memory and permits hold."""
    plant = events_plant()
    ids = container_ids(plant, WARM + ASKED)
    with tempfile.TemporaryDirectory() as folder, lineage_process(plant, Path(folder)) as (process, stub, details):
        for _ in range(2):
            read(stub, ids[:WARM], process)
        idle_mib = process.memory_info().rss / _MIB
        start = time.perf_counter()
        row_count, peak_mib = read(stub, ids[WARM:], process)
        elapsed_s = time.perf_counter() - start
        held, left_s = walk_away(stub, details, ids[WARM:])
        above = peak_mib - idle_mib
        kept = "kept" if above <= LIMIT_MIB else "BROKEN"
        return [], [
            f"{ASKED:,} containers in one request: {row_count:,} rows in {elapsed_s:,.1f} s",
            f"lineage, RSS idle {idle_mib:,.0f} MiB, peak {peak_mib:,.0f} MiB, {above:,.0f} MiB above idle "
            f"(at most {LIMIT_MIB} MiB) {kept}",
            f"a caller walked away in the middle: {held} permits were held, {left_s:.2f} s later none kept",
        ]


def container_ids(plant: Path, count: int) -> list[str]:
    """Return ids of containers that have a history, in no meaningful order."""
    with duckdb.connect(str(plant), read_only=True) as connection:
        found = connection.execute(
            "select trim(CONTAINERID) from (select distinct CONTAINERID from DWH.DW_MES_LOTWIPHISTORY) "
            "order by hash(CONTAINERID) limit ?",
            [count],
        ).fetchall()
    return [row[0] for row in found]


@contextmanager
def lineage_process(plant: Path, folder: Path) -> Iterator[Started]:
    """Give a lineage process of its own on the plant, and stubs to it."""
    target = f"127.0.0.1:{take_free(1)[0]}"
    settings = {
        "SLUICE_LINEAGE_LISTEN": target,
        "SLUICE_LINEAGE_WAREHOUSE_URL": f"duckdb://{plant.absolute()}",
        "SLUICE_LINEAGE_WAREHOUSE_MEMORY_LIMIT_BYTES": str(64 * _MIB),
        "SLUICE_PERMIT_SHARES": "lineage=3",
        "SLUICE_LINEAGE_STATEMENT_LOG": str(folder / "statements.jsonl"),
        "SLUICE_LINEAGE_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-P", "-m", "sluice_lineage"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    with subprocess.Popen(command, env={**inherited, **settings}) as started:
        try:
            while problem_of(target):
                time.sleep(0.1)
            with open_channel(target, "lineage") as channel:
                details = details_service_pb2_grpc.DetailsServiceStub(channel)
                yield psutil.Process(started.pid), pb_grpc.EventServiceStub(channel), details
        finally:
            started.terminate()


def read(stub: pb_grpc.EventServiceStub, ids: list[str], process: psutil.Process) -> tuple[int, float]:
    """Return the rows of a stream and the most MiB that the process held meanwhile."""
    peak, sampled, end = 0, 0.0, pb.EventEnd()
    for response in open_stream(stub, ids):
        if time.monotonic() - sampled > _SAMPLE_EVERY_S:
            peak, sampled = max(peak, process.memory_info().rss), time.monotonic()
        end = response.end
    if end.receipt.row_count == 0:
        raise RuntimeError("no rows were read")
    return end.receipt.row_count, max(peak, process.memory_info().rss) / _MIB


def walk_away(
    stub: pb_grpc.EventServiceStub, details: details_service_pb2_grpc.DetailsServiceStub, ids: list[str]
) -> tuple[int, float]:
    """Return the permits held when a caller leaves in the middle, and the seconds until none is."""
    with open_stream(stub, ids) as stream:
        for _ in range(20):
            next(stream)
        held = active_count(details)
    start = time.perf_counter()
    while active_count(details):
        if time.perf_counter() - start > _PATIENCE_S:
            raise RuntimeError("BROKEN: a permit was left behind")
        time.sleep(0.01)
    return held, time.perf_counter() - start


def active_count(details: details_service_pb2_grpc.DetailsServiceStub) -> int:
    """Return how many permits the process holds now, those in quarantine included."""
    return details.GetDetails(details_service_pb2.GetDetailsRequest(), timeout=10).permits.active_count


def open_stream(stub: pb_grpc.EventServiceStub, ids: list[str]) -> ResponseStream:
    """Return the responses of one request for an Arrow stream."""
    request = pb.ReadEventsRequest(
        domain=DOMAIN, container_ids=ids, format=pb.EVENT_FORMAT_ARROW, refresh=True, allow_partial=False
    )
    # The stub's annotations do not know the interceptor that wraps the call.
    stream: ResponseStream = stub.ReadEvents(request, timeout=900)  # type: ignore[assignment]
    return stream
