"""(d) GetFrame of 1 M rows against a bare Flight DoGet of the same table, decoding included, plain and zstd.

The columns come as both decode them, so neither may be lazy: every round ends with a whole table in memory.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pyarrow as pa
from pyarrow import flight
from sluice_client.transfer import Compression, read_frame
from sluice_rpc.client import open_bulk_channel

from bench.cache_process import cache_process
from bench.made_holds import made_holds
from bench.measure import Comparison, alternate

ROW_COUNT = 1_000_000
ROUNDS = 15
AT_LEAST = 0.9
FRAME_ID = "bench-transfer"


def run() -> tuple[list[Comparison], list[str]]:
    """Return a comparison per compression and lines of throughput."""
    table = made_holds(ROW_COUNT)
    with ExitStack() as closing:
        folder = closing.enter_context(tempfile.TemporaryDirectory())
        cache = closing.enter_context(cache_process(Path(folder)))
        bare = closing.enter_context(_flight())
        cache.put(FRAME_ID, table)
        channel = open_bulk_channel(cache.target, "cache")
        closing.callback(channel.close)
        compared = [_compare(channel, bare, table, compression) for compression in ("none", "zstd")]
    megabytes = table.nbytes / 1e6
    lines = [f"{each.name}: {megabytes / each.ours_median_s:,.0f} MB/s of decoded columns" for each in compared]
    return compared, [f"decoded columns: {megabytes:,.0f} MB", *lines]


def _compare(channel: grpc.Channel, bare: flight.FlightClient, table: pa.Table, compression: Compression) -> Comparison:
    ticket = flight.Ticket("" if compression == "none" else compression)

    def ours(_: int) -> None:
        _require(read_frame(channel, FRAME_ID, compression=compression).read_all(), table)

    def anchor(_: int) -> None:
        _require(bare.do_get(ticket).read_all(), table)

    return Comparison(f"GetFrame, {compression}", *alternate(ours, anchor, rounds=ROUNDS), at_least=AT_LEAST)


def _require(read: pa.Table, sent: pa.Table) -> None:
    if (read.schema, read.num_rows, read.nbytes) != (sent.schema, sent.num_rows, sent.nbytes):
        raise RuntimeError("what came back is not what was put")


@contextmanager
def _flight() -> Iterator[flight.FlightClient]:
    command = [sys.executable, "-m", "bench.flight_server", str(ROW_COUNT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with flight.connect(f"grpc://127.0.0.1:{int(process.stdout.readline())}") as client:
                yield client
        finally:
            process.kill()
