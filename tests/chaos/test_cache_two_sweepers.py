"""Two caches share a spool and a Redis and both sweep it, while frames come and go: no live file ever goes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_rpc.errors import NotFound

from tests.cache_process import Started, started
from tests.polling import poll_until

ROWS = pa.table({"n": pa.array(range(3000), pa.int64())})
ROUNDS = 40


@pytest.fixture
def two(tmp_path: Path, redis_url: str) -> Iterator[tuple[Started, Started]]:
    settings = {
        "redis_url": redis_url,
        "spool_dir": str(tmp_path / "spool"),
        "spill_row_count": "1000",
        "sweep_interval_s": "0.05",
        "orphan_grace_s": "0.5",
    }
    with started(tmp_path / "one", **settings) as one, started(tmp_path / "two", **settings) as other:
        yield one, other


def data_files(folder: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in folder.glob("*.parquet")}


def test_no_live_file_is_swept_and_each_reads_the_others(two: tuple[Started, Started]) -> None:
    one, other = two
    for number in range(ROUNDS):
        writer, reader = (one, other) if number % 2 else (other, one)
        writer.cache.put(f"frame-{number}", ROWS)
        assert reader.cache.get(f"frame-{number}").equals(ROWS)
    assert all(one.cache.get(f"frame-{number}").equals(ROWS) for number in range(ROUNDS))


def test_a_flush_of_redis_makes_no_live_file_an_orphan(
    two: tuple[Started, Started], tmp_path: Path, redis_url: str
) -> None:
    one, other = two
    one.cache.put("frame-one", ROWS)
    other.cache.put("frame-other", ROWS)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    orphan = tmp_path / "spool" / "frame-orphan.1.1-00000000.parquet"
    orphan.write_bytes(b"x")
    os.utime(orphan, (1, 1))
    poll_until(lambda: not orphan.exists(), 20.0, "a sweep after the flush")
    assert one.cache.get("frame-one").equals(ROWS)
    assert other.cache.get("frame-other").equals(ROWS)


def test_what_has_expired_goes_from_the_shared_spool(two: tuple[Started, Started], tmp_path: Path) -> None:
    one, other = two
    one.cache.put("frame-short", ROWS, keep_s=1.0)
    one.cache.put("frame-long", ROWS)
    assert other.cache.get("frame-short").equals(ROWS)
    poll_until(lambda: data_files(tmp_path / "spool") == {"frame-long"}, 20.0, "the expired file to go")
    with pytest.raises(NotFound):
        one.cache.get("frame-short")


def test_what_a_dead_process_left_is_swept_by_the_other(two: tuple[Started, Started], tmp_path: Path) -> None:
    one, other = two
    one.cache.put("frame-dead", ROWS, keep_s=2.0)
    one.process.kill()
    one.process.wait()
    other.cache.put("frame-live", ROWS)
    poll_until(lambda: data_files(tmp_path / "spool") == {"frame-live"}, 20.0, "the dead process's file to go")
    assert other.cache.get("frame-live").equals(ROWS)


def test_readers_and_deletion_meet_without_a_wrong_table(two: tuple[Started, Started]) -> None:
    one, other = two
    answers: list[bool] = []
    ended = time.monotonic() + 3.0

    def reading() -> None:
        while time.monotonic() < ended:
            try:
                answers.append(other.cache.get("frame-x").equals(ROWS))
            except NotFound:
                continue

    thread = threading.Thread(target=reading)
    thread.start()
    version = 0
    while time.monotonic() < ended:
        version += 1
        one.cache.put("frame-x", ROWS, version=version)
        if version % 3 == 0:
            one.cache.frames.DeleteFrame(pb.DeleteFrameRequest(frame_id="frame-x"))
    thread.join()
    assert all(answers)
    assert len(answers) > 5
