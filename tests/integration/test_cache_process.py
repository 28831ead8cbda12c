"""The cache as a real process: killed, restarted, started wrongly."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import NotFound, ServiceError

from tests.cache_process import started
from tests.polling import poll_until
from tests.unit.cache.driver import Cache, frame_source, manifest_source, sliced

ROWS = pa.table({"n": pa.array(range(1000), pa.int64()), "s": pa.array([f"lot-{n}" for n in range(1000)])})


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    return number


def test_a_restarted_process_answers_from_what_its_disk_holds(tmp_path: Path, port: int) -> None:
    with started(tmp_path, port) as first:
        first.cache.put("frame-1", ROWS)
        first.cache.put_manifest(first.cache.manifest("man-1", [sliced("rows", pb.FrameSlice(frame_id="frame-1"))]))
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(timeout=20) == 0
    with started(tmp_path, port) as second:
        answer = second.cache.one([manifest_source("man-1")], "select sum(n) as n from rows")
    assert answer["n"].to_pylist() == [499_500]


def test_a_process_killed_after_a_put_has_the_frame(tmp_path: Path, port: int) -> None:
    with started(tmp_path, port) as first:
        first.cache.put("frame-1", ROWS)
        first.process.kill()
        first.process.wait()
    with started(tmp_path, port) as second:
        assert second.cache.get("frame-1").equals(ROWS)


@pytest.mark.parametrize("spill_row_count", ["1000000", "500"])
def test_a_process_killed_during_a_put_has_nothing_of_the_frame(
    tmp_path: Path, port: int, spill_row_count: str
) -> None:
    with started(tmp_path, port, spill_row_count=spill_row_count) as first:
        half_sent, ended = threading.Event(), threading.Event()
        pieces = list(arrow.encode(ROWS.schema, ROWS.to_batches()))

        def requests() -> Iterator[pb.PutFrameRequest]:
            yield pb.PutFrameRequest(header=pb.FrameHeader(frame_id="frame-1"))
            for piece in pieces:
                yield pb.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=piece))
            half_sent.set()
            ended.wait(20)

        put = threading.Thread(target=_expecting_failure, args=(lambda: first.cache.frames.PutFrame(requests()),))
        put.start()
        assert half_sent.wait(20)
        parts = [tmp_path / "hot", tmp_path / "spool"]
        poll_until(lambda: any(list(folder.glob("*.part")) for folder in parts), 20.0, "the private file")
        first.process.kill()
        first.process.wait()
        ended.set()
        put.join()
    with started(tmp_path, port) as second:
        with pytest.raises(NotFound):
            second.cache.get("frame-1")
        assert [path for folder in parts for path in folder.iterdir()] == []


def _expecting_failure(call: Callable[[], object]) -> None:
    with pytest.raises(ServiceError):
        call()


@pytest.mark.parametrize(
    ("name", "value"),
    [("SLUICE_CACHE_LISTENN", "x"), ("SLUICE_CACHE_REDIS_URL", "nowhere"), ("SLUICE_CACHE_DUCKDB_THREADS", "-1")],
)
def test_a_wrong_setting_ends_the_start_with_one_line_and_code_2(tmp_path: Path, name: str, value: str) -> None:
    environment = {**os.environ, "SLUICE_CACHE_DATA_DIR": str(tmp_path), name: value}
    ended = subprocess.run(
        [sys.executable, "-m", "sluice_cache"], env=environment, capture_output=True, timeout=30, check=False
    )
    lines = ended.stderr.decode().splitlines()
    assert (ended.returncode, len(lines)) == (2, 1)
    assert name in lines[0]


def test_a_second_process_on_the_same_folder_ends_with_one_line(tmp_path: Path, port: int) -> None:
    with started(tmp_path, port):
        environment = {**os.environ, "SLUICE_CACHE_DATA_DIR": str(tmp_path), "SLUICE_CACHE_LISTEN": "127.0.0.1:0"}
        ended = subprocess.run(
            [sys.executable, "-m", "sluice_cache"], env=environment, capture_output=True, timeout=30, check=False
        )
    assert ended.returncode == 2
    assert "another cache process" in ended.stderr.decode()


def test_frames_and_manifests_come_back_from_redis_on_a_fresh_disk(tmp_path: Path, port: int, redis_url: str) -> None:
    with started(tmp_path / "one", port, redis_url=redis_url) as first:
        first.cache.put("frame-1", ROWS, labels={"series": "s"})
        first.cache.put_manifest(first.cache.manifest("man-1", [sliced("rows", pb.FrameSlice(frame_id="frame-1"))]))
        poll_until(lambda: _redis_counts(first.cache).frame_count == 1, 20.0, "the copy in Redis")
        poll_until(lambda: _has_values(redis_url), 20.0, "the pointer in Redis")
    with started(tmp_path / "two", port, redis_url=redis_url) as second:
        listed = second.cache.frames.ListFrames(pb.ListFramesRequest(labels={"series": "s"}))
        assert [frame.frame_id for frame in listed.frames] == ["frame-1"]
        assert second.cache.get("frame-1").equals(ROWS)
        answer = second.cache.one([manifest_source("man-1")], "select count(*) as n from rows")
    assert answer["n"].to_pylist() == [1000]


def _redis_counts(cache: Cache) -> pb.TierStats:
    stats: pb.GetStatsResponse = cache.frames.GetStats(pb.GetStatsRequest())
    return next(tier for tier in stats.tiers if tier.tier == table_pb2.TIER_REDIS)


def _has_values(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        return bool(client.exists("frame:meta:frame-1"))


def test_a_put_is_answered_and_read_while_redis_is_away(tmp_path: Path, port: int) -> None:
    with started(tmp_path, port, redis_url="redis://127.0.0.1:1/0") as running:
        running.cache.put("frame-1", ROWS)
        answer = running.cache.one([frame_source("f", "frame-1")], "select count(*) as n from f")
        counts = _redis_counts(running.cache)
    assert answer["n"].to_pylist() == [1000]
    assert (counts.available, "does not answer" in counts.reason) == (False, True)


def test_values_in_redis_expire_with_their_frame(tmp_path: Path, port: int, redis_url: str) -> None:
    with started(tmp_path, port, redis_url=redis_url) as running, redis.Redis.from_url(redis_url) as client:
        running.cache.put("frame-1", ROWS, keep_s=500, labels={"series": "s"})
        poll_until(lambda: client.exists("frame:meta:frame-1"), 20.0, "the pointer in Redis")
        poll_until(lambda: len(list(client.scan_iter("frame:data:*"))) == 1, 20.0, "the values in Redis")
        (value,) = client.scan_iter("frame:data:*")
        poll_until(lambda: int(client.ttl(value)) > 200, 20.0, "the life of the values")
        lives = [int(client.ttl(key)) for key in (value, "frame:meta:frame-1", "extent:series=s")]
    assert all(480 <= life <= 500 for life in lives)
