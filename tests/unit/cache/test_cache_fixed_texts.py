"""A frame whose texts of one length came without their offsets is the frame that was put, whoever reads it and how."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_client.transfer import put_frame, read_frame
from sluice_rpc import arrow, fixed_texts
from sluice_rpc.errors import InvalidArgument, NotFound
from sluice_rpc.ports import FakeClock, SystemClock

from tests.polling import poll_until
from tests.unit.cache.driver import Cache, frame_source, running

ROW_COUNT = 200_000
TABLE = pa.table(
    {
        "lot": pa.array([f"lot-{number // 7:06d}" for number in range(ROW_COUNT)]),
        "note": pa.array([f"note {number % 1000}" for number in range(ROW_COUNT)]),
    }
)
COUNT = "select count(distinct lot) as lots, max(lot) as last from f"
COUNTED = {"lots": [28_572], "last": ["lot-028571"]}
ZSTD = pb.COMPRESSION_ZSTD


def put(cache: Cache, table: pa.Table = TABLE) -> None:
    """Put a table as callers of the client library do."""
    put_frame(cache.channel, pb.FrameHeader(frame_id="frame-1", version=1), table, cache.trailer(table.num_rows, {}))


@pytest.fixture
def filled(cache: Cache) -> Cache:
    put(cache)
    return cache


def test_it_lies_without_offsets_until_its_rows_are_asked_for(filled: Cache, tmp_path: Path) -> None:
    (path,) = (tmp_path / "cache" / "hot").iterdir()
    with pa.ipc.open_stream(path.read_bytes()) as reader:
        assert fixed_texts.is_packed(reader.schema)


def test_a_reader_that_knows_of_it_gets_it_as_it_lies(filled: Cache) -> None:
    request = pb.GetFrameRequest(frame_id="frame-1", compression=ZSTD, packed_texts=True)
    parts = [item.chunk.ipc for item in filled.frames.GetFrame(request) if item.WhichOneof("part") == "chunk"]
    with pa.ipc.open_stream(b"".join(parts)) as reader:
        assert fixed_texts.is_packed(reader.schema)
    assert read_frame(filled.channel, "frame-1", compression="zstd").read_all().equals(TABLE)


@pytest.mark.parametrize("compression", [pb.COMPRESSION_NONE, ZSTD], ids=["plain", "compressed"])
def test_a_reader_that_does_not_gets_text(filled: Cache, compression: pb.Compression.ValueType) -> None:
    request = pb.GetFrameRequest(frame_id="frame-1", compression=compression)
    parts = [item.chunk.ipc for item in filled.frames.GetFrame(request) if item.WhichOneof("part") == "chunk"]
    with pa.ipc.open_stream(b"".join(parts)) as reader:
        assert reader.read_all().equals(TABLE)


def test_statements_read_text(filled: Cache) -> None:
    assert filled.one([frame_source("f", "frame-1")], COUNT).to_pydict() == COUNTED


def test_a_range_of_some_columns_is_text(filled: Cache) -> None:
    read = read_frame(filled.channel, "frame-1", columns=["lot"], offset=70_000, limit=2, compression="zstd").read_all()
    assert read.to_pydict() == {"lot": ["lot-010000"] * 2}


def test_a_frame_that_is_spooled_holds_text(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock, spill_row_count=150_000) as cache:
        put(cache)
        assert cache.get("frame-1").equals(TABLE)
        assert cache.one([frame_source("f", "frame-1")], COUNT).to_pydict() == COUNTED


def in_redis(cache: Cache) -> bool:
    frame = cache.frames.StatFrame(pb.StatFrameRequest(frame_id="frame-1")).frame
    return table_pb2.TIER_REDIS in frame.tiers


@pytest.fixture(params=["knows", "does not know", "asks SQL"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_another_cache_reads_it_from_redis(tmp_path: Path, redis_url: str, way: str) -> None:
    with running(tmp_path / "one", SystemClock(), redis_url=redis_url) as one:
        put(one)
        poll_until(lambda: in_redis(one), 60.0, "the copy in Redis")
    with running(tmp_path / "two", SystemClock(), redis_url=redis_url) as other:
        if way == "asks SQL":
            assert other.one([frame_source("f", "frame-1")], COUNT).to_pydict() == COUNTED
        elif way == "knows":
            assert read_frame(other.channel, "frame-1", compression="zstd").read_all().equals(TABLE)
        else:
            assert other.get("frame-1", compression=ZSTD).equals(TABLE)


def marked(values: pa.Array) -> Iterator[pb.PutFrameRequest]:
    """Yield the pieces of a stream whose bytes are said to be text."""
    field = pa.field("t", values.type, metadata={fixed_texts.MARK: b""})
    batch = pa.RecordBatch.from_arrays([values], schema=pa.schema([field]))
    yield pb.PutFrameRequest(header=pb.FrameHeader(frame_id="frame-1", version=1))
    for piece in arrow.encode(batch.schema, [batch]):
        yield pb.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=piece))


def test_bytes_that_are_said_to_be_text_and_are_not_are_refused(cache: Cache) -> None:
    with pytest.raises(InvalidArgument, match="UTF8"):
        cache.frames.PutFrame(marked(pa.array([b"ab", b"\xff\xfe"], pa.binary(2))))
    with pytest.raises(NotFound):
        cache.get("frame-1")
