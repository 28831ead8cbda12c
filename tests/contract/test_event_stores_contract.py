"""Where answers about events are kept: frames in memory and in the cache service, pointers in memory and in Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from sluice_lineage.events.pointers import MemoryPointers, Pointers, PointersAway, RedisPointers
from sluice_lineage.frames import CacheFrames, FrameFacts, FrameStore
from sluice_lineage.frames_memory import MemoryFrames
from sluice_rpc import arrow
from sluice_rpc.errors import ServiceUnavailable
from sluice_rpc.ports import SystemClock

from tests.engine_rig import serving_cache
from tests.polling import poll_until

SCHEMA = pa.schema({"CONTAINERID": pa.string(), "QTY": pa.int64()})
ROWS = pa.record_batch({"CONTAINERID": ["a", "b", "b"], "QTY": pa.array([1, 2, None], pa.int64())}, schema=SCHEMA)
FRAME = "evt-holds-0123456789abcdef"
LARGE = 1 << 30


@pytest.fixture(params=["memory", "cache service"])
def frames(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FrameStore]:
    if request.param == "memory":
        yield MemoryFrames(SystemClock())
        return
    with serving_cache(tmp_path) as target, closing(CacheFrames(target)) as store:
        yield store


@pytest.fixture(params=["memory", "redis"])
def pointers(request: pytest.FixtureRequest) -> Iterator[Pointers]:
    if request.param == "memory":
        yield MemoryPointers(SystemClock())
        return
    with closing(RedisPointers(request.getfixturevalue("redis_url"), SystemClock(), prefix="site:")) as found:
        yield found


def facts(labels: dict[str, str] | None = None, *, fresh_s: float = 300) -> FrameFacts:
    now = datetime.now(UTC)
    fresh = now + timedelta(seconds=fresh_s)
    return FrameFacts(labels or {"kind": "events"}, now, fresh, fresh + timedelta(seconds=60))


def keep(frames: FrameStore, *, version: int = 1, row_count: int = 3, max_bytes: int = LARGE) -> bool:
    upload = frames.begin(FRAME, SCHEMA, version=version, max_bytes=max_bytes)
    upload.put(ROWS)
    return upload.commit(row_count, facts({"kind": "events", "truncated": "true"}))


def rows_of(frames: FrameStore) -> pa.Table:
    found = frames.open(FRAME)
    assert found is not None
    with found, arrow.decode(found.pieces()) as reader:
        return reader.read_all()


def test_what_was_put_comes_back(frames: FrameStore) -> None:
    assert keep(frames)
    assert rows_of(frames).equals(pa.Table.from_batches([ROWS]))


def test_what_is_known_of_a_frame_comes_back(frames: FrameStore) -> None:
    keep(frames)
    found = frames.open(FRAME)
    assert found is not None
    with found:
        assert (found.frame.row_count, found.frame.labels["truncated"]) == (3, "true")
        assert found.frame.fresh_until_time.seconds - found.frame.read_time.seconds == pytest.approx(300, abs=1)


def test_a_frame_that_nobody_put_is_none(frames: FrameStore) -> None:
    assert frames.open(FRAME) is None


def test_an_answer_without_rows_is_kept(frames: FrameStore) -> None:
    assert frames.begin(FRAME, SCHEMA, version=1, max_bytes=LARGE).commit(0, facts())
    assert rows_of(frames).num_rows == 0


def test_what_was_abandoned_leaves_nothing(frames: FrameStore) -> None:
    upload = frames.begin(FRAME, SCHEMA, version=1, max_bytes=LARGE)
    upload.put(ROWS)
    upload.abandon()
    assert frames.open(FRAME) is None


def test_rows_that_went_missing_on_the_way_are_not_kept(frames: FrameStore) -> None:
    assert not keep(frames, row_count=4)
    assert frames.open(FRAME) is None


def test_more_bytes_than_allowed_are_not_kept(frames: FrameStore) -> None:
    assert not keep(frames, max_bytes=10)


def test_a_newer_answer_takes_the_place_of_an_older(frames: FrameStore) -> None:
    keep(frames)
    upload = frames.begin(FRAME, SCHEMA, version=2, max_bytes=LARGE)
    upload.put(ROWS.slice(0, 1))
    assert upload.commit(1, facts())
    assert rows_of(frames).num_rows == 1


def test_a_cache_that_is_away_is_said_when_asked_and_keeps_nothing() -> None:
    with closing(CacheFrames("127.0.0.1:1")) as frames:
        with pytest.raises(ServiceUnavailable):
            frames.open(FRAME)
        assert not keep(frames)


def test_a_pointer_comes_back(pointers: Pointers) -> None:
    pointers.put("evt:holds:1", FRAME, 60)
    assert pointers.get("evt:holds:1") == FRAME


def test_a_pointer_that_nobody_put_is_none(pointers: Pointers) -> None:
    assert pointers.get("evt:holds:2") is None


def test_a_pointer_lives_as_long_as_it_was_given(pointers: Pointers) -> None:
    pointers.put("evt:holds:1", FRAME, 0.05)
    poll_until(lambda: pointers.get("evt:holds:1") is None, 5)


def test_pointers_are_seen_in_redis_under_the_deployments_prefix(redis_url: str) -> None:
    with (
        closing(RedisPointers(redis_url, SystemClock(), prefix="site:")) as pointers,
        redis.Redis.from_url(redis_url, decode_responses=True) as client,
    ):
        pointers.put("evt:holds:1", FRAME, 60)
        assert client.get("site:evt:holds:1") == FRAME
        assert 0 < client.pttl("site:evt:holds:1") <= 60_000


def test_a_redis_that_is_away_is_said_and_then_left_alone() -> None:
    with closing(RedisPointers("redis://127.0.0.1:1/0", SystemClock())) as pointers:
        with pytest.raises(PointersAway):
            pointers.get("evt:holds:1")
        with pytest.raises(PointersAway):
            pointers.put("evt:holds:1", FRAME, 60)
