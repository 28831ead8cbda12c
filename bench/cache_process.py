"""A cache of its own for a workload: a real process on a folder, and what callers do with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import frame_service_pb2_grpc, sql_service_pb2_grpc
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.client import open_channel

CALL_TIMEOUT_S = 600.0
START_TIMEOUT_S = 30.0
KEEP = timedelta(hours=2)


@dataclass(frozen=True)
class CacheProcess:
    """A cache that serves."""

    target: str
    """`host:port`."""
    pid: int
    """Its process."""
    channel: grpc.Channel
    """To it."""
    data_dir: Path
    """Its folder."""
    frames: Any
    """Stub of its frames."""
    sql: Any
    """Stub of its SQL."""

    def put(self, frame_id: str, table: pa.Table, codec: arrow.Codec | None = "zstd") -> pb.Frame:
        """Put a table and return its frame."""

        def requests() -> Iterator[pb.PutFrameRequest]:
            yield pb.PutFrameRequest(header=pb.FrameHeader(frame_id=frame_id, version=time.time_ns()))
            for piece in arrow.encode(table.schema, table.to_batches(), codec):
                yield pb.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=piece))
            trailer = pb.FrameTrailer(row_count=table.num_rows)
            trailer.keep_until_time.FromDatetime(keep_until())
            yield pb.PutFrameRequest(trailer=trailer)

        frame: pb.Frame = self.frames.PutFrame(requests()).frame
        return frame

    def run(self, sources: Sequence[sql_pb.SqlSource], statements: Sequence[sql_pb.SqlStatement]) -> list[pa.Table]:
        """Run statements in one call and return their tables."""
        tables: list[pa.Table] = []
        pieces: list[bytes] = []
        for response in self.sql.RunQuery(sql_pb.RunQueryRequest(sources=sources, statements=statements)):
            match response.WhichOneof("part"):
                case "header":
                    pieces = []
                case "chunk":
                    pieces.append(response.chunk.ipc)
                case "done":
                    tables.append(arrow.decode(pieces).read_all())
        return tables

    def tier_of(self, frame_id: str) -> str:
        """Return the fastest tier that holds a frame, `memory`, `redis` or `spool`."""
        frame = self.frames.StatFrame(pb.StatFrameRequest(frame_id=frame_id)).frame
        return table_pb2.Tier.Name(frame.tier).removeprefix("TIER_").lower()


@contextmanager
def cache_process(data_dir: Path, **settings: object) -> Iterator[CacheProcess]:
    """Run a cache until left; what it wrote stays in the folder.

    Args:
        data_dir: its folder.
        settings: fields of its settings.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{free.getsockname()[1]}"
    given = {"listen": target, "data_dir": data_dir, "log_level": "warning", **settings}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    environment |= {f"SLUICE_CACHE_{name.upper()}": str(value) for name, value in given.items()}
    with ExitStack() as closing:
        process = subprocess.Popen([sys.executable, "-m", "sluice_cache"], env=environment)
        closing.callback(process.wait)
        closing.callback(process.terminate)
        channel = open_channel(target, "cache", timeout_s=CALL_TIMEOUT_S)
        closing.callback(channel.close)
        with grpc.insecure_channel(target) as probe:
            grpc.channel_ready_future(probe).result(timeout=START_TIMEOUT_S)
        frames = frame_service_pb2_grpc.FrameServiceStub(channel)
        sql = sql_service_pb2_grpc.SqlServiceStub(channel)
        yield CacheProcess(target, process.pid, channel, data_dir, frames, sql)


def keep_until() -> datetime:
    """Return an instant past the end of any workload."""
    return datetime.now(UTC) + KEEP
