"""The client that `oracle_fetch` measures, in a process of its own: reads a statement one way and says what it cost.

`python -m bench.oracle_client arrow|pandas <oracle port> <cache target> <sql>` prints seconds of CPU, bytes of peak
memory above what its imports take, and rows, as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

import oracledb
import pandas as pd
from pydantic import SecretStr
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice_query_engine.cache import GrpcFrameCache
from sluice_query_engine.execution.small_frames import milliseconds, timestamp
from sluice_rpc import arrow
from sluice_rpc.ports import SystemClock
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_SERVICE, DEFAULT_USER
from sluice_warehouse import Tag
from sluice_warehouse.oracle import OracleWarehouse
from sluice_warehouse.oracle_address import OracleAddress
from sluice_warehouse.oracle_settings import OracleSettings
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import parse

from bench.measure import PeakSampler, rss_anon_bytes

COLUMNS = {
    "n": "int64",
    "lot": "string",
    "product": "string",
    "step": "int64",
    "qty": "int64",
    "scrap": "int64",
    "hours": "decimal(12,2)",
    "start_time": "timestamp[s]",
    "end_time": "timestamp[s]",
    "remark": "string",
}
FETCH_ROW_COUNT = 10_000
KEEP_S = 3600


def main(way: str, port: int, cache_target: str, sql: str) -> None:
    """Read the statement and print what it cost."""
    before_bytes = rss_anon_bytes(os.getpid())
    before_s = _cpu_s()
    with PeakSampler(os.getpid()) as sampler:
        row_count = _through_arrow(port, cache_target, sql) if way == "arrow" else _through_pandas(port, sql)
    cpu_s = _cpu_s() - before_s
    peak = max(0, sampler.peak_bytes - before_bytes)
    sys.stdout.write(json.dumps({"cpu_s": cpu_s, "peak_bytes": peak, "row_count": row_count}))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _through_arrow(port: int, cache_target: str, sql: str) -> int:
    """Read as a chunk is read: batch by batch, into a frame of the cache."""
    schema = parse_schema(COLUMNS)
    settings = OracleSettings(password=SecretStr(DEFAULT_PASSWORD))
    warehouse = OracleWarehouse(OracleAddress(DEFAULT_USER, "127.0.0.1", port, DEFAULT_SERVICE), settings)
    cache = GrpcFrameCache(cache_target)
    now = SystemClock().now()
    tag = Tag("bench", "bench", "bench")
    with (
        warehouse.open(parse("bench", sql), {}, schema=schema, deadline_s=300, tag=tag) as reading,
        cache.open_frame(f"bench-{time.time_ns()}", version=milliseconds(now), max_bytes=0, deadline_s=300) as writer,
    ):
        for piece in arrow.encode(schema, reading):
            writer.write(piece)
        trailer = frames.FrameTrailer(row_count=reading.row_count, keep_until_time=timestamp(now))
        trailer.keep_until_time.seconds += KEEP_S
        writer.commit(trailer)
        row_count = reading.row_count
    warehouse.close()
    cache.close()
    return row_count


def _through_pandas(port: int, sql: str) -> int:
    """Read as a script does: every row a tuple, then a frame of pandas."""
    with oracledb.connect(
        user=DEFAULT_USER, password=DEFAULT_PASSWORD, host="127.0.0.1", port=port, service_name=DEFAULT_SERVICE
    ) as connection:
        cursor = connection.cursor()
        cursor.arraysize = cursor.prefetchrows = FETCH_ROW_COUNT
        cursor.execute(sql)
        frame = pd.DataFrame(cursor.fetchall(), columns=list(COLUMNS))
    return len(frame)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
