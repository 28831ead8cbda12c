"""Writers, readers, expiry and eviction at the same time: late writers lose, and what was begun ends well."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_cache.frames import TierKind
from sluice_cache.memory_readings import FakeReadings
from sluice_cache.pressure import Reading
from sluice_rpc import arrow
from sluice_rpc.errors import NotFound, Unavailable
from sluice_rpc.ports import FakeClock, SystemClock

from tests.polling import poll_until
from tests.unit.cache.driver import Cache, frame_source, running

VERSIONS = 24
LONG = pa.table({"n": pa.array(range(400_000), pa.int64())})


def rows_of(version: int, row_count: int) -> pa.Table:
    return pa.table({"n": pa.array([version] * row_count, pa.int64())})


@pytest.mark.parametrize("row_count", [100, 3000], ids=["hot", "spooled"])
def test_of_writers_in_any_order_the_newest_version_stands(tmp_path: Path, row_count: int) -> None:
    order = list(range(1, VERSIONS + 1))
    random.Random(7).shuffle(order)
    with running(tmp_path / "cache", SystemClock(), spill_row_count=1000) as cache, ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda version: cache.put("frame-1", rows_of(version, row_count), version=version), order))
        assert cache.get("frame-1").equals(rows_of(VERSIONS, row_count))
        folder = tmp_path / "cache" / ("hot" if row_count < 1000 else "spool")
        assert len([path for path in folder.iterdir() if path.suffix != ".json"]) == 1


def test_a_version_that_is_late_in_redis_loses_there_too(tmp_path: Path, redis_url: str) -> None:
    with (
        running(tmp_path / "one", SystemClock(), redis_url=redis_url) as one,
        running(tmp_path / "two", SystemClock(), redis_url=redis_url) as other,
    ):
        one.put("frame-1", rows_of(2, 10), version=2)
        poll_until(lambda: TierKind.REDIS in copies(one), 20.0, "the newer copy in Redis")
        other.put("frame-1", rows_of(1, 10), version=1)
        poll_until(lambda: other.get("frame-1").equals(rows_of(2, 10)), 20.0, "the older to have lost")
        with running(tmp_path / "three", SystemClock(), redis_url=redis_url) as third:
            assert third.get("frame-1").equals(rows_of(2, 10))


def copies(cache: Cache) -> set[TierKind]:
    assert cache.process is not None
    return set(cache.process.store.catalogue.get("frame-1").copies)


def delete(cache: Cache, clock: FakeClock) -> None:
    cache.frames.DeleteFrame(pb.DeleteFrameRequest(frame_id="frame-1"))


def expire(cache: Cache, clock: FakeClock) -> None:
    clock.advance(901)
    assert cache.process is not None
    assert cache.process.sweeper.sweep().frame_count == 1


def replace(cache: Cache, clock: FakeClock) -> None:
    cache.put("frame-1", rows_of(2, 10), version=2)


def demote(cache: Cache, clock: FakeClock) -> None:
    assert cache.process is not None
    store = cache.process.store
    frame = store.catalogue.get("frame-1")
    if TierKind.MEMORY in frame.copies:
        store.moves.demote(frame)


@pytest.mark.parametrize("spill_row_count", [1_000_000, 1000], ids=["hot", "spooled"])
@pytest.mark.parametrize("meanwhile", [delete, expire, replace, demote])
def test_a_read_begun_before_ends_well(
    tmp_path: Path, clock: FakeClock, meanwhile: Callable[[Cache, FakeClock], None], spill_row_count: int
) -> None:
    with running(tmp_path / "cache", clock, spill_row_count=spill_row_count) as cache:
        cache.put("frame-1", LONG)
        responses = cache.frames.GetFrame(pb.GetFrameRequest(frame_id="frame-1"))
        next(responses)
        meanwhile(cache, clock)
        assert arrow.decode(response.chunk.ipc for response in responses).read_all().equals(LONG)


def test_many_readers_while_frames_are_evicted_see_whole_frames_or_none(tmp_path: Path) -> None:
    table = pa.table({"n": pa.array(range(700_000), pa.int64())})
    settings: dict[str, Any] = {"memory_max_bytes": 16 << 20, "native_max_bytes": 0, "result_max_bytes": 0}

    def read(number: int) -> bool:
        return bool(cache.get(f"frame-{number % 5}").equals(table))

    with running(tmp_path / "cache", SystemClock(), **settings) as cache, ThreadPoolExecutor(4) as pool:
        for number in range(5):
            cache.put(f"frame-{number}", table)
        assert all(pool.map(read, range(30)))


def test_a_clock_set_back_keeps_frames_and_takes_no_file(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock, orphan_grace_s=0.0) as cache:
        cache.put("frame-1", LONG, keep_s=100)
        clock.step(-86_400)
        assert cache.process is not None
        cache.process.sweeper.sweep()
        assert cache.get("frame-1").equals(LONG)


def test_a_clock_set_forward_ends_frames_and_never_answers_wrongly(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock, orphan_grace_s=0.0) as cache:
        cache.put("frame-1", LONG, keep_s=100)
        clock.step(86_400)
        assert cache.process is not None
        cache.process.sweeper.sweep()
        clock.step(-86_400)
        with pytest.raises(NotFound):
            cache.get("frame-1")
        cache.put("frame-1", LONG, keep_s=100)
        assert cache.get("frame-1").equals(LONG)


def tier_stats(cache: Cache, tier: table_pb2.Tier.ValueType) -> pb.TierStats:
    stats: pb.GetStatsResponse = cache.frames.GetStats(pb.GetStatsRequest())
    return next(item for item in stats.tiers if item.tier == tier)


def test_stats_tell_the_ages_of_what_a_tier_holds(cache: Cache) -> None:
    assert not tier_stats(cache, table_pb2.TIER_MEMORY).HasField("oldest_time")
    cache.put("frame-1", LONG)
    cache.put("frame-2", LONG)
    stats = tier_stats(cache, table_pb2.TIER_MEMORY)
    age = stats.newest_time.ToDatetime() - stats.oldest_time.ToDatetime()
    assert timedelta(0) < age < timedelta(minutes=1)


def test_stats_forget_what_is_not_there_any_more(cache: Cache) -> None:
    cache.put("frame-1", LONG)
    cache.frames.DeleteFrame(pb.DeleteFrameRequest(frame_id="frame-1"))
    stats = tier_stats(cache, table_pb2.TIER_MEMORY)
    assert (stats.frame_count, stats.bytes) == (0, 0)


def test_a_frame_tells_every_tier_that_holds_it(tmp_path: Path, redis_url: str) -> None:
    with running(tmp_path / "cache", SystemClock(), redis_url=redis_url) as cache:
        cache.put("frame-1", LONG)
        poll_until(lambda: TierKind.REDIS in copies(cache), 20.0, "the copy in Redis")
        frame = cache.frames.StatFrame(pb.StatFrameRequest(frame_id="frame-1")).frame
        assert list(frame.tiers) == [table_pb2.TIER_MEMORY, table_pb2.TIER_REDIS]
        assert tier_stats(cache, table_pb2.TIER_REDIS).frame_count == 1


def test_under_pressure_puts_and_statements_are_refused_and_reads_go_on(tmp_path: Path, clock: FakeClock) -> None:
    readings = FakeReadings(Reading(10, 100))
    with running(tmp_path / "cache", clock, readings=readings) as cache:
        cache.put("frame-1", LONG)
        readings.value = Reading(96, 100)
        clock.advance(1)
        with pytest.raises(Unavailable) as caught:
            cache.put("frame-2", LONG)
        assert (caught.value.reason, caught.value.retry_after_s) == ("MEMORY_PRESSURE", 5.0)
        with pytest.raises(Unavailable):
            cache.one([frame_source("f", "frame-1")], "select count(*) as n from f")
        assert cache.get("frame-1").equals(LONG)
        readings.value = Reading(80, 100)
        clock.advance(1)
        assert cache.one([frame_source("f", "frame-1")], "select count(*) as n from f")["n"].to_pylist() == [400_000]


def test_a_frame_that_a_full_spool_does_not_take_is_served_hot(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock, spill_row_count=1000, spool_max_bytes=0) as cache:
        assert cache.put("frame-1", LONG).frame.tier == table_pb2.TIER_MEMORY
        assert cache.get("frame-1").equals(LONG)
