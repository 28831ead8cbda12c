"""What a caller of the cache does, in few words; and a cache that runs in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
from sluice.cache.v1 import bind_pb2, frame_service_pb2_grpc, sql_service_pb2_grpc
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice.table.v1 import table_pb2
from sluice_cache.bootstrap import Process, build
from sluice_cache.memory_readings import FakeReadings, MemoryReadings
from sluice_cache.settings import Settings
from sluice_rpc import arrow
from sluice_rpc.client import open_channel
from sluice_rpc.ports import Clock

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
"""Where the clocks of tests stand."""


@dataclass
class Cache:
    """What a caller of the cache does, in few words."""

    channel: grpc.Channel
    clock: Clock
    process: Process | None = None
    frames: Any = field(init=False)
    sql: Any = field(init=False)

    def __post_init__(self) -> None:
        self.frames = frame_service_pb2_grpc.FrameServiceStub(self.channel)
        self.sql = sql_service_pb2_grpc.SqlServiceStub(self.channel)

    def put(
        self,
        frame_id: str,
        table: pa.Table,
        *,
        version: int = 1,
        labels: dict[str, str] | None = None,
        keep_s: float = 900.0,
        row_count: int | None = None,
        codec: Any = "zstd",
        max_bytes: int = 0,
    ) -> pb.PutFrameResponse:
        """Put a table."""
        trailer = self.trailer(table.num_rows if row_count is None else row_count, labels or {}, keep_s)

        def requests() -> Iterator[pb.PutFrameRequest]:
            yield pb.PutFrameRequest(header=pb.FrameHeader(frame_id=frame_id, version=version, max_bytes=max_bytes))
            for piece in arrow.encode(table.schema, table.to_batches(), codec):
                yield pb.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=piece))
            yield pb.PutFrameRequest(trailer=trailer)

        response: pb.PutFrameResponse = self.frames.PutFrame(requests())
        return response

    def trailer(self, row_count: int, labels: dict[str, str], keep_s: float = 900.0) -> pb.FrameTrailer:
        """Return a trailer whose times count from the cache's clock."""
        trailer = pb.FrameTrailer(row_count=row_count, labels=labels)
        trailer.read_time.FromDatetime(self.clock.now())
        trailer.fresh_until_time.FromDatetime(self.clock.now() + timedelta(seconds=keep_s))
        trailer.keep_until_time.FromDatetime(self.clock.now() + timedelta(seconds=keep_s))
        return trailer

    def get(self, frame_id: str, **request: Any) -> pa.Table:
        """Get a frame's table."""
        responses = self.frames.GetFrame(pb.GetFrameRequest(frame_id=frame_id, **request))
        assert next(responses).WhichOneof("part") == "frame"
        return arrow.decode(response.chunk.ipc for response in responses).read_all()

    def manifest(self, manifest_id: str, tables: list[pb.ManifestTable], **rest: Any) -> pb.Manifest:
        """Return a manifest that is kept for 900 s."""
        manifest = pb.Manifest(manifest_id=manifest_id, version=rest.pop("version", 1), tables=tables, **rest)
        manifest.keep_until_time.FromDatetime(self.clock.now() + timedelta(seconds=900))
        return manifest

    def put_manifest(self, manifest: pb.Manifest) -> pb.PutManifestResponse:
        """Put a manifest."""
        response: pb.PutManifestResponse = self.frames.PutManifest(pb.PutManifestRequest(manifest=manifest))
        return response

    def run(self, sources: list[sql_pb.SqlSource], *statements: sql_pb.SqlStatement, **rest: Any) -> list[pa.Table]:
        """Run statements and return their tables."""
        request = sql_pb.RunQueryRequest(sources=sources, statements=statements, max_row_count=rest.pop("limit", 0))
        tables: list[pa.Table] = []
        pieces: list[bytes] = []
        for response in self.sql.RunQuery(request, **rest):
            match response.WhichOneof("part"):
                case "header":
                    assert response.header.statement_index == len(tables)
                    pieces = []
                case "chunk":
                    pieces.append(response.chunk.ipc)
                case "done":
                    tables.append(arrow.decode(pieces).read_all())
                    assert tables[-1].num_rows == response.done.row_count
        return tables

    def one(self, sources: list[sql_pb.SqlSource], sql: str, **binds: bind_pb2.BindValue) -> pa.Table:
        """Run one statement and return its table."""
        (table,) = self.run(sources, sql_pb.SqlStatement(sql=sql, binds=binds))
        return table


def frame_source(name: str, frame_id: str) -> sql_pb.SqlSource:
    """Return a frame as a source."""
    return sql_pb.SqlSource(frame=sql_pb.NamedFrame(name=name, frame_id=frame_id))


def manifest_source(manifest_id: str) -> sql_pb.SqlSource:
    """Return a manifest as a source."""
    return sql_pb.SqlSource(manifest_id=manifest_id)


def sliced(name: str, *frames: pb.FrameSlice, clip: str = "") -> pb.ManifestTable:
    """Return a manifest table of slices."""
    return pb.ManifestTable(name=name, slices=pb.FrameSlices(frames=frames, clip=clip))


def derived(name: str, sql: str, *dictionary_columns: str) -> pb.ManifestTable:
    """Return a derived manifest table."""
    return pb.ManifestTable(name=name, derived=pb.DerivedTable(sql=sql, dictionary_columns=dictionary_columns))


def moment(text: str) -> bind_pb2.BindValue:
    """Return a bound timestamp."""
    return bind_pb2.BindValue(timestamp_value=text)


@contextmanager
def running(
    data_dir: Path, clock: Clock, *, readings: MemoryReadings | None = None, **settings: Any
) -> Iterator[Cache]:
    """Run a cache on a folder until left; its machine has memory enough unless a test says otherwise."""
    small = {"duckdb_memory_limit_bytes": 512 << 20, "native_max_bytes": 128 << 20, "memory_max_bytes": 512 << 20}
    chosen = Settings(listen="127.0.0.1:0", data_dir=data_dir, duckdb_threads=2, **{**small, **settings})
    process = build(chosen, clock, readings=readings or FakeReadings())
    with ExitStack() as closing:
        closing.enter_context(process.closing)
        port = process.server.start()
        closing.callback(process.server.stop, 0.0)
        channel = open_channel(f"127.0.0.1:{port}", "cache")
        closing.callback(channel.close)
        yield Cache(channel, clock, process)
