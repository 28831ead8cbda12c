"""The disk is full, or may not be written, under a cache: what it holds it answers, what is new it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import ServiceError

from tests.cache_process import Started, started
from tests.chaos.small_disk import SmallDisk, small_disk
from tests.polling import poll_until
from tests.unit.cache.driver import Cache, frame_source, manifest_source, sliced

HOT = pa.table({"n": pa.array(range(1000), pa.int64())})
SPOOLED = pa.table({"n": pa.array(range(20_000), pa.int64())})
SETTINGS = {
    "spill_row_count": "10000",
    "sweep_interval_s": "0.5",
    "orphan_grace_s": "1",
    "memory_max_bytes": "67108864",
}
SETTINGS |= {"native_max_bytes": "0"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as made:
        yield made


@pytest.fixture(params=["full", "read-only"])
def starved(request: pytest.FixtureRequest, disk: SmallDisk) -> Iterator[Started]:
    """A cache that holds two frames and a manifest, on a disk that takes no more."""
    with started(disk.folder, **SETTINGS) as running:
        running.cache.put("frame-hot", HOT, labels={"series": "s"})
        running.cache.put("frame-spooled", SPOOLED, labels={"series": "s"})
        running.cache.put_manifest(
            running.cache.manifest("man-1", [sliced("rows", pb.FrameSlice(frame_id="frame-hot"))])
        )
        make = disk.fill if request.param == "full" else disk.forbid
        make(running.process.pid)
        yield running


def lying(folder: Path) -> set[str]:
    """Return the frames that files lie about of."""
    files = [path for name in ("hot", "spool") for path in (folder / name).iterdir()]
    return {path.name.partition(".")[0] for path in files}


def refused(running: Started, frame_id: str, table: pa.Table) -> str:
    """Put what finds no room and return the error's code."""
    with pytest.raises(ServiceError) as caught:
        running.cache.put(frame_id, table)
    return str(caught.value.reason)


def test_what_it_holds_is_answered(starved: Started) -> None:
    cache = starved.cache
    assert cache.get("frame-hot").equals(HOT)
    assert cache.get("frame-spooled").equals(SPOOLED)
    summed = cache.one(
        [manifest_source("man-1"), frame_source("f", "frame-spooled")], "select count(*) as n from f, rows"
    )
    assert summed["n"].to_pylist() == [20_000_000]


def disk_reasons(running: Started) -> list[bool]:
    """Return for each tier whether it says that its disk refuses: memory, Redis, spool."""
    return [bool(tier.disk_reason) for tier in running.cache.frames.GetStats(pb.GetStatsRequest()).tiers]


def test_the_tiers_on_the_disk_say_so_until_there_is_room(starved: Started, disk: SmallDisk) -> None:
    starving = disk_reasons(starved)
    disk.relieve(starved.process.pid)
    assert (starving, disk_reasons(starved)) == ([True, False, True], [False, False, False])


@pytest.mark.parametrize("table", [HOT, SPOOLED], ids=["hot", "spooled"])
def test_a_new_frame_is_refused_with_memory_pressure(starved: Started, table: pa.Table) -> None:
    assert refused(starved, "frame-new", table) == "MEMORY_PRESSURE"


def test_a_refused_version_leaves_the_one_before(starved: Started) -> None:
    with pytest.raises(ServiceError):
        starved.cache.put("frame-hot", SPOOLED, version=2)
    assert starved.cache.get("frame-hot").equals(HOT)


def test_a_manifest_is_served_though_it_is_not_kept(starved: Started) -> None:
    table = sliced("rows", pb.FrameSlice(frame_id="frame-spooled"))
    assert starved.cache.put_manifest(starved.cache.manifest("man-2", [table])).stored
    assert starved.cache.one([manifest_source("man-2")], "select count(*) as n from rows")["n"].to_pylist() == [20_000]


def test_once_there_is_room_it_takes_frames_again_and_nothing_was_left_behind(
    starved: Started, disk: SmallDisk
) -> None:
    refused(starved, "frame-new", HOT)
    refused(starved, "frame-new", SPOOLED)
    disk.relieve(starved.process.pid)
    starved.cache.put("frame-new", HOT)
    assert starved.cache.get("frame-new").equals(HOT)
    named = {"frame-hot", "frame-spooled", "frame-new"}
    poll_until(lambda: lying(disk.folder) == named, 10.0, "no file of a refused put")


def test_killed_on_such_a_disk_and_started_on_a_better_one_it_has_what_it_had(
    starved: Started, disk: SmallDisk
) -> None:
    refused(starved, "frame-new", HOT)
    starved.process.kill()
    starved.process.wait()
    disk.relieve_the_next()
    with started(disk.folder, **SETTINGS) as again:
        assert again.cache.get("frame-hot").equals(HOT)
        assert again.cache.get("frame-spooled").equals(SPOOLED)


LARGE = pa.table({"n": pa.array(range(1_500_000), pa.int64())})
LARGE_COUNT = "select count(*) as n from f"


def test_a_frame_that_moved_down_is_read_where_it_lies_while_there_is_no_room_above(disk: SmallDisk) -> None:
    small = {**SETTINGS, "spill_row_count": "2000000", "memory_max_bytes": str(16 << 20)}
    with started(disk.folder, **small) as running:
        cache = running.cache
        cache.put("frame-down", LARGE, codec=None)
        cache.put("frame-above", LARGE, codec=None)
        assert {path.name.partition(".")[0] for path in (disk.folder / "spool").iterdir()} == {"frame-down"}
        disk.fill(running.process.pid)
        assert cache.get("frame-down").equals(LARGE)
        assert cache.one([frame_source("f", "frame-down")], LARGE_COUNT)["n"].to_pylist() == [LARGE.num_rows]
        disk.relieve(running.process.pid)
        assert cache.get("frame-down").equals(LARGE)


def test_a_frame_in_redis_outlives_reads_that_find_no_room_on_the_disk(
    disk: SmallDisk, tmp_path: Path, redis_url: str
) -> None:
    with started(tmp_path / "one", redis_url=redis_url, **SETTINGS) as one:
        one.cache.put("frame-1", HOT)
        poll_until(lambda: in_redis(one.cache), 30.0, "the copy in Redis")
    with started(disk.folder, redis_url=redis_url, **SETTINGS) as other:
        disk.fill(other.process.pid)
        assert streamed(other.cache).equals(HOT)
        with pytest.raises(ServiceError) as caught:
            other.cache.one([frame_source("f", "frame-1")], LARGE_COUNT)
        assert caught.value.reason == "MEMORY_PRESSURE"
        disk.relieve(other.process.pid)
        assert other.cache.one([frame_source("f", "frame-1")], LARGE_COUNT)["n"].to_pylist() == [HOT.num_rows]


def in_redis(cache: Cache) -> bool:
    """Return whether the first frame has its copy there."""
    return table_pb2.TIER_REDIS in cache.frames.StatFrame(pb.StatFrameRequest(frame_id="frame-1")).frame.tiers


def streamed(cache: Cache) -> pa.Table:
    """Return the first frame as it is sent compressed."""
    responses = cache.frames.GetFrame(pb.GetFrameRequest(frame_id="frame-1", compression=pb.COMPRESSION_ZSTD))
    return arrow.decode(item.chunk.ipc for item in responses if item.WhichOneof("part") == "chunk").read_all()
