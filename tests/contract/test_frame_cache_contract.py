"""What every cache gives the engine: frames whole or not at all, manifests by version, SQL over them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.cache.v1 import sql_service_pb2 as sql
from sluice_query_engine.cache import FrameCache, GrpcFrameCache
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_query_engine.execution.small_frames import timestamp
from sluice_rpc import arrow
from sluice_rpc.errors import NotFound, ServiceError
from sluice_rpc.ports import SystemClock

from tests.engine_rig import decoded, serving_cache

NUMBERS = pa.table({"n": [1, 2, 3], "at": pa.array([datetime(2025, 1, day) for day in (1, 2, 3)], pa.timestamp("s"))})


@pytest.fixture(params=["memory", "cache service"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FrameCache]:
    if request.param == "memory":
        yield MemoryFrameCache(SystemClock())
        return
    with serving_cache(tmp_path) as target:
        client = GrpcFrameCache(target)
        yield client
        client.close()


def trailer(row_count: int, **labels: str) -> frames.FrameTrailer:
    now = datetime.now(UTC)
    return frames.FrameTrailer(
        row_count=row_count,
        labels=labels,
        read_time=timestamp(now),
        fresh_until_time=timestamp(now + timedelta(minutes=5)),
        keep_until_time=timestamp(now + timedelta(minutes=10)),
    )


def put(cache: FrameCache, frame_id: str, table: pa.Table = NUMBERS, **labels: str) -> frames.Frame:
    with cache.open_frame(frame_id, version=1, max_bytes=0, deadline_s=10) as writer:
        for piece in arrow.encode(table.schema, table.to_batches()):
            writer.write(piece)
        return writer.commit(trailer(table.num_rows, **labels))


def manifest(version: int, clip: str = "") -> frames.Manifest:
    slices = [
        frames.FrameSlice(frame_id="frame-a", column="at", start="2025-01-01T00:00:00", end="2025-01-03T00:00:00"),
        frames.FrameSlice(frame_id="frame-b", column="at", start="2025-01-03T00:00:00", end="2025-01-04T00:00:00"),
    ]
    return frames.Manifest(
        manifest_id="0123456789abcdef",
        version=version,
        tables=[
            frames.ManifestTable(name="slice", slices=frames.FrameSlices(frames=slices, clip=clip)),
            frames.ManifestTable(
                name="doubled", derived=frames.DerivedTable(sql="select n, 2 * n as twice from slice order by n")
            ),
        ],
        binds={"least": bind_pb2.BindValue(int64_value=2)},
        keep_until_time=timestamp(datetime.now(UTC) + timedelta(minutes=5)),
    )


def answer(cache: FrameCache, text: str) -> pa.Table:
    request = sql.RunQueryRequest(
        sources=[sql.SqlSource(manifest_id="0123456789abcdef")], statements=[sql.SqlStatement(sql=text)]
    )
    with cache.run_query(request, deadline_s=10) as responses:
        return decoded([item.chunk.ipc for item in responses if item.WhichOneof("part") == "chunk"])


def test_a_frame_comes_back_as_it_was_put(cache: FrameCache) -> None:
    put(cache, "frame-a")
    assert decoded(list(cache.read_frame("frame-a"))).to_pylist() == NUMBERS.to_pylist()


def test_frames_are_found_by_all_their_labels(cache: FrameCache) -> None:
    put(cache, "frame-a", series="s", part="slice")
    put(cache, "frame-b", series="s", part="carry_in")
    assert [frame.frame_id for frame in cache.list_frames({"series": "s", "part": "carry_in"})] == ["frame-b"]


def test_a_frame_left_before_its_end_does_not_exist(cache: FrameCache) -> None:
    with cache.open_frame("frame-a", version=1, max_bytes=0, deadline_s=10) as writer:
        writer.write(next(arrow.encode(NUMBERS.schema, NUMBERS.to_batches())))
    with pytest.raises(NotFound) as caught:
        list(cache.read_frame("frame-a"))
    assert caught.value.reason == "CACHE_EXPIRED"


def test_a_frame_whose_rows_differ_from_its_trailer_is_refused(cache: FrameCache) -> None:
    with cache.open_frame("frame-a", version=1, max_bytes=0, deadline_s=10) as writer:
        for piece in arrow.encode(NUMBERS.schema, NUMBERS.to_batches()):
            writer.write(piece)
        with pytest.raises(ServiceError) as caught:
            writer.commit(trailer(99))
    assert caught.value.reason == "INVALID_PARAMETER"


def test_a_frame_that_was_given_up_cannot_be_committed(cache: FrameCache) -> None:
    with cache.open_frame("frame-a", version=1, max_bytes=0, deadline_s=10) as writer:
        writer.cancel()
        with pytest.raises(ServiceError) as caught:
            writer.commit(trailer(0))
    assert caught.value.reason == "CANCELLED"


def test_a_manifest_reads_each_frames_own_range(cache: FrameCache) -> None:
    put(cache, "frame-a")
    put(cache, "frame-b")
    cache.put_manifest(manifest(1))
    assert answer(cache, "select n from slice order by n").column("n").to_pylist() == [1, 2, 3]


def test_a_clip_binds_the_manifests_values(cache: FrameCache) -> None:
    put(cache, "frame-a")
    put(cache, "frame-b")
    cache.put_manifest(manifest(1, clip="n >= $least"))
    assert answer(cache, "select twice from doubled order by twice").column("twice").to_pylist() == [4, 6]


def test_an_older_manifest_does_not_replace_a_newer_one(cache: FrameCache) -> None:
    put(cache, "frame-a")
    put(cache, "frame-b")
    cache.put_manifest(manifest(2, clip="n = 1"))
    cache.put_manifest(manifest(1))
    found = cache.get_manifest("0123456789abcdef")
    assert found is not None
    assert found.version == 2


def test_the_same_version_put_again_carries_a_new_receipt(cache: FrameCache) -> None:
    put(cache, "frame-a")
    put(cache, "frame-b")
    again = manifest(1)
    cache.put_manifest(manifest(1))
    again.receipt.row_count = 3
    cache.put_manifest(again)
    found = cache.get_manifest("0123456789abcdef")
    assert found is not None
    assert found.receipt.row_count == 3


def test_a_manifest_of_a_frame_that_is_gone_is_refused(cache: FrameCache) -> None:
    put(cache, "frame-a")
    with pytest.raises(NotFound) as caught:
        cache.put_manifest(manifest(1))
    assert caught.value.reason == "CACHE_EXPIRED"


def test_a_manifest_that_is_not_there_is_none(cache: FrameCache) -> None:
    assert cache.get_manifest("fedcba9876543210") is None


def test_a_cache_that_cannot_be_reached_says_so_at_once() -> None:
    client = GrpcFrameCache("127.0.0.1:1")
    with pytest.raises(ServiceError) as caught:
        put(client, "frame-a")
    client.close()
    assert caught.value.reason == "SERVICE_UNAVAILABLE"


def test_a_client_that_is_closed_leaves_no_thread(tmp_path: Path) -> None:
    with serving_cache(tmp_path) as target:
        before = set(threading.enumerate())
        client = GrpcFrameCache(target)
        watchers = set(threading.enumerate()) - before
        client.close()
        assert watchers
        assert not [thread for thread in watchers if thread.is_alive()]
