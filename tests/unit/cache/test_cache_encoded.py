"""What comes compressed is kept as it came: on the disk, in Redis, and on its way out; its rows are made at need."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import NotFound
from sluice_rpc.ports import FakeClock, SystemClock

from tests.polling import poll_until
from tests.unit.cache.driver import Cache, frame_source, running

TABLE = pa.table(
    {
        "n": pa.array(range(200_000), pa.int64()),
        "lot": pa.array([f"lot-{number // 7:06d}" for number in range(200_000)]),
        "reason": pa.array(["x", "y", None, "z"] * 50_000).dictionary_encode(),
    }
)
SUM = "select sum(n) as n, count(distinct lot) as lots, count(reason) as reasons from f"
SUMMED = {"n": [200_000 * 199_999 // 2], "lots": [28_572], "reasons": [150_000]}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


def suffixes(folder: Path) -> set[str]:
    return {path.suffix for path in (folder / "hot").iterdir()}


def stream(cache: Cache) -> bytes:
    responses = cache.frames.GetFrame(pb.GetFrameRequest(frame_id="frame-1", compression=pb.COMPRESSION_ZSTD))
    return b"".join(response.chunk.ipc for response in responses if response.WhichOneof("part") == "chunk")


def test_a_compressed_frame_leaves_byte_for_byte_as_it_came(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock) as cache:
        assert cache.put("frame-1", TABLE).frame.tier == table_pb2.TIER_MEMORY
        assert stream(cache) == b"".join(arrow.encode(TABLE.schema, TABLE.to_batches(), "zstd"))
        assert suffixes(tmp_path / "cache") == {".arrowz"}


def test_its_rows_are_made_when_a_statement_asks_and_then_stay(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock) as cache:
        cache.put("frame-1", TABLE)
        came = stream(cache)
        assert cache.one([frame_source("f", "frame-1")], SUM).to_pydict() == SUMMED
        assert suffixes(tmp_path / "cache") == {".arrows", ".arrowz"}
        assert cache.get("frame-1").equals(TABLE)
        assert stream(cache) == came
        assert cache.get("frame-1", compression=pb.COMPRESSION_ZSTD).equals(TABLE)
    with running(tmp_path / "cache", clock) as again:
        assert again.get("frame-1", columns=["lot"], offset=70_000, limit=3)["lot"].to_pylist() == ["lot-010000"] * 3


def test_a_compressed_file_beside_its_rows_goes_first_when_room_is_short(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock, memory_max_bytes=16 << 20, native_max_bytes=0) as cache:
        cache.put("frame-1", TABLE)
        cache.get("frame-1")
        assert suffixes(tmp_path / "cache") == {".arrows", ".arrowz"}
        for number in range(2, 3 + (16 << 20) // TABLE.nbytes):
            cache.put(f"frame-{number}", TABLE, codec=None)
        assert cache.get("frame-1").equals(TABLE)
        assert suffixes(tmp_path / "cache") == {".arrows"}


def test_a_deleted_frame_takes_the_compressed_file_beside_its_rows_along(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock) as cache:
        cache.put("frame-1", TABLE)
        cache.get("frame-1")
        cache.frames.DeleteFrame(pb.DeleteFrameRequest(frame_id="frame-1"))
        assert suffixes(tmp_path / "cache") == set()


def test_a_broken_compressed_file_beside_its_rows_is_never_sent(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock) as cache:
        cache.put("frame-1", TABLE)
        cache.get("frame-1")
        (beside,) = (tmp_path / "cache" / "hot").glob("*.arrowz")
        beside.write_bytes(bytes(beside.stat().st_size))
        assert cache.get("frame-1", compression=pb.COMPRESSION_ZSTD).equals(TABLE)


def test_a_restarted_process_finds_a_compressed_frame(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock) as cache:
        cache.put("frame-1", TABLE)
    with running(tmp_path / "cache", clock) as again:
        assert again.get("frame-1", compression=pb.COMPRESSION_ZSTD).equals(TABLE)
        assert again.one([frame_source("f", "frame-1")], SUM).to_pydict() == SUMMED


def test_larger_batches_than_ours_are_taken_apart(tmp_path: Path, clock: FakeClock) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, TABLE.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for start, count in ((0, arrow.BATCH_ROW_COUNT), (arrow.BATCH_ROW_COUNT, 200_000)):
            writer.write_table(TABLE.slice(start, count))
    with running(tmp_path / "cache", clock) as cache:

        def requests() -> list[pb.PutFrameRequest]:
            return [
                pb.PutFrameRequest(header=pb.FrameHeader(frame_id="frame-1", version=1)),
                pb.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=sink.getvalue().to_pybytes())),
                pb.PutFrameRequest(trailer=cache.trailer(TABLE.num_rows, {})),
            ]

        cache.frames.PutFrame(iter(requests()))
        assert suffixes(tmp_path / "cache") == {".arrows"}
        assert cache.get("frame-1").equals(TABLE)


def test_a_compressed_frame_that_grows_too_large_goes_on_in_the_spool(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock, spill_row_count=150_000) as cache:
        assert cache.put("frame-1", TABLE).frame.tier == table_pb2.TIER_SPOOL
        assert cache.get("frame-1").equals(TABLE)
        assert suffixes(tmp_path / "cache") == set()


def test_a_compressed_frame_comes_to_redis_as_it_came(tmp_path: Path, redis_url: str) -> None:
    with running(tmp_path / "one", SystemClock(), redis_url=redis_url) as one:
        one.put("frame-1", TABLE)
        # With the put where Redis keeps up with it, soon after it where not.
        poll_until(lambda: in_redis(one), 60.0, "the copy in Redis")
    with running(tmp_path / "two", SystemClock(), redis_url=redis_url) as other:
        assert stream(other) == b"".join(arrow.encode(TABLE.schema, TABLE.to_batches(), "zstd"))
        assert suffixes(tmp_path / "two") == {".arrowz"}
        assert other.one([frame_source("f", "frame-1")], SUM).to_pydict() == SUMMED


def test_what_redis_was_too_slow_for_comes_there_later_byte_for_byte(tmp_path: Path, redis_url: str) -> None:
    with (
        redis.Redis.from_url(redis_url) as client,
        running(tmp_path / "one", SystemClock(), redis_url=redis_url) as one,
        running(tmp_path / "two", SystemClock(), redis_url=redis_url) as two,
    ):
        client.client_pause(600)
        one.put("frame-1", TABLE)
        # Its pointer comes after it.
        poll_until(lambda: bool(client.exists("frame:meta:frame-1")), 60.0, "the copy in Redis")
        assert in_redis(one)
        assert stream(two) == b"".join(arrow.encode(TABLE.schema, TABLE.to_batches(), "zstd"))


def in_redis(cache: Cache) -> bool:
    """Return whether the first frame has its copy there."""
    return table_pb2.TIER_REDIS in cache.frames.StatFrame(pb.StatFrameRequest(frame_id="frame-1")).frame.tiers


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_damaged_values_are_never_sent_on(tmp_path: Path, redis_url: str, damage: str) -> None:
    with running(tmp_path / "one", SystemClock(), redis_url=redis_url) as one:
        one.put("frame-1", TABLE)
        poll_until(lambda: in_redis(one), 60.0, "the copy in Redis")
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.scan_iter("frame:data:*")
        value = client.get(key)
        assert isinstance(value, bytes)
        middle = len(value) // 2
        damaged = {"flipped": value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :], "cut": value[:middle]}
        client.set(key, damaged[damage]) if damage in damaged else client.delete(key)
    with running(tmp_path / "two", SystemClock(), redis_url=redis_url) as other, pytest.raises(NotFound):
        stream(other)


def test_a_refused_put_leaves_nothing_in_redis(tmp_path: Path, redis_url: str) -> None:
    with running(tmp_path / "one", SystemClock(), redis_url=redis_url) as one:
        with pytest.raises(Exception, match="the trailer says 4"):
            one.put("frame-1", TABLE, row_count=4)
        with pytest.raises(NotFound):
            stream(one)
    with redis.Redis.from_url(redis_url) as client:
        assert not list(client.scan_iter("frame:meta:*"))


@pytest.mark.parametrize("codec", ["zstd", None], ids=["as it came", "encoded behind"])
def test_redis_holds_no_more_of_a_process_than_it_may(tmp_path: Path, redis_url: str, codec: str | None) -> None:
    most = 2 * len(b"".join(arrow.encode(TABLE.schema, TABLE.to_batches(), "zstd"))) + 1000

    def in_redis(number: int) -> bool:
        stat = cache.frames.StatFrame(pb.StatFrameRequest(frame_id=f"frame-{number}"))
        return table_pb2.TIER_REDIS in stat.frame.tiers

    with (
        running(tmp_path / "cache", SystemClock(), redis_url=redis_url, redis_max_bytes=most) as cache,
        redis.Redis.from_url(redis_url) as client,
    ):
        for number in range(4):
            cache.put(f"frame-{number}", TABLE, codec=codec)
            poll_until(lambda n=number: in_redis(n), 20.0, "the copy in Redis")  # type: ignore[misc]
        poll_until(lambda: [in_redis(number) for number in range(4)] == [False, False, True, True], 20.0, "room")
        poll_until(lambda: len(list(client.scan_iter("frame:meta:*"))) == 2, 20.0, "two pointers")
        poll_until(lambda: sum(client.strlen(key) for key in client.scan_iter("frame:data:*")) <= most, 20.0, "bytes")
        assert all(cache.get(f"frame-{number}").equals(TABLE) for number in range(4))


def test_after_a_start_of_the_machine_a_hot_file_that_lost_bytes_is_not_served(
    tmp_path: Path, clock: FakeClock
) -> None:
    with running(tmp_path / "cache", clock) as cache:
        cache.put("frame-1", TABLE, codec=None)
        cache.put("frame-2", TABLE, codec=None)
    (path,) = (tmp_path / "cache" / "hot").glob("frame-1.*")
    told = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(4096))
    os.utime(path, ns=(told, told))
    (tmp_path / "cache" / ".boot").write_text("another start")
    with running(tmp_path / "cache", clock) as again:
        with pytest.raises(NotFound):
            again.get("frame-1")
        assert again.get("frame-2").equals(TABLE)
