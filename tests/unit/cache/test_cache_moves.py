"""Frames that move between tiers while nobody waits for them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import redis
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_cache.bootstrap import Process, build
from sluice_cache.frames import TierKind
from sluice_cache.memory_readings import FakeReadings
from sluice_cache.settings import Settings
from sluice_cache.tiers.opened import Ending
from sluice_rpc.errors import NotFound
from sluice_rpc.ports import FakeClock, SystemClock

from tests.faulty_disk import faulty_disk
from tests.polling import poll_until
from tests.unit.cache.driver import NOW, Cache, running

ROWS = pa.table({"n": pa.array(range(1_200_000), pa.int64())})
"""Two of them are more than the first tier may hold."""


class Disk:
    """Refuses one kind of step once it is told to."""

    def __init__(self) -> None:
        self.refused = ""

    def before(self, step: str, path: str) -> None:
        if step == self.refused:
            raise OSError(errno.ENOSPC, "No space left on device", path)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def process(tmp_path: Path, disk: Disk) -> Iterator[Process]:
    """A cache, not served, whose spool lies on a disk that may refuse."""
    settings = Settings(
        data_dir=tmp_path, memory_max_bytes=16 << 20, native_max_bytes=0, result_max_bytes=0, duckdb_threads=1
    )
    built = build(settings, FakeClock(NOW), disk=faulty_disk(disk.before), readings=FakeReadings())
    with built.closing:
        yield built


def put(process: Process, frame_id: str) -> None:
    ending = Ending(ROWS.num_rows, ROWS.nbytes, {}, None, None, None)
    process.store.put(frame_id, 1, ROWS.schema, ROWS.to_batches(max_chunksize=65_536), lambda: ending)


def test_what_finds_no_room_moves_to_the_spool(process: Process) -> None:
    put(process, "frame-1")
    put(process, "frame-2")
    assert set(process.store.catalogue.get("frame-1").copies) == {TierKind.SPOOL}
    assert set(process.store.catalogue.get("frame-2").copies) == {TierKind.MEMORY}


@pytest.mark.parametrize("step", ["create", "write", "move"])
def test_a_spool_that_refuses_a_move_fails_nobodys_put(process: Process, disk: Disk, step: str) -> None:
    put(process, "frame-1")
    disk.refused = step
    put(process, "frame-2")
    assert process.store.catalogue.find("frame-1") is None
    with process.store.open("frame-2") as opened:
        assert pa.Table.from_batches(opened.copy.batches()).equals(ROWS)


def test_a_frame_that_is_no_longer_hot_outlives_what_redis_had_of_it(tmp_path: Path, redis_url: str) -> None:
    def tiers(frame_id: str) -> set[int]:
        return set(cache.frames.StatFrame(pb.StatFrameRequest(frame_id=frame_id)).frame.tiers)

    budgets: dict[str, Any] = {"memory_max_bytes": 16 << 20, "native_max_bytes": 0}
    with running(tmp_path / "cache", SystemClock(), redis_url=redis_url, **budgets) as cache:
        cache.put("frame-1", ROWS, codec=None)
        poll_until(lambda: table_pb2.TIER_REDIS in tiers("frame-1"), 60.0, "the copy in Redis")
        cache.put("frame-2", ROWS, codec=None)
        poll_until(lambda: table_pb2.TIER_MEMORY not in tiers("frame-1"), 60.0, "the move down")
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        assert cache.get("frame-1").equals(ROWS)


def rot(path: Path) -> None:
    """Change one bit of a file as a disk does: its time of change says nothing."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=times)


def known(cache: Cache, frame_id: str) -> bool:
    """Return whether a frame is there, without reading it."""
    try:
        cache.frames.StatFrame(pb.StatFrameRequest(frame_id=frame_id))
    except NotFound:
        return False
    return True


def test_a_hot_file_that_rotted_while_nobody_served_it_is_found_before_it_is_asked_for(tmp_path: Path) -> None:
    with running(tmp_path / "cache", FakeClock(NOW)) as cache:
        cache.put("frame-1", ROWS, codec=None)
        cache.put("frame-2", ROWS, codec=None)
    (path,) = (tmp_path / "cache" / "hot").glob("frame-1.*")
    rot(path)
    with running(tmp_path / "cache", FakeClock(NOW)) as cache:
        poll_until(lambda: not known(cache, "frame-1"), 60.0, "the rotten file to be found")
        assert cache.get("frame-2").equals(ROWS)
