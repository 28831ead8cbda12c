"""Frames above a threshold are Parquet files in the spool, known by a pointer in Redis, and read from there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
from sluice.table.v1 import table_pb2
from sluice_cache.errors import StatementLost
from sluice_cache.tiers import CopyBroken
from sluice_rpc.ports import FakeClock

from tests import broken_parquet
from tests.unit.cache.driver import frame_source, running

TABLE = pa.table({"n": pa.array(range(50_000), pa.int64())})
SUM = "select sum(n) as n from f"
SUMMED = [49_999 * 50_000 // 2]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.mark.parametrize(
    ("threshold", "tier"),
    [
        ({"spill_row_count": 49_999}, table_pb2.TIER_SPOOL),
        ({"spill_row_count": 50_000}, table_pb2.TIER_MEMORY),
        ({"spill_bytes": 50_000 * 8 - 1}, table_pb2.TIER_SPOOL),
        ({"spill_bytes": 50_000 * 16}, table_pb2.TIER_MEMORY),
    ],
    ids=["rows above", "rows at", "bytes above", "bytes below"],
)
def test_rows_and_bytes_decide_what_goes_straight_to_the_spool(
    tmp_path: Path, clock: FakeClock, threshold: dict[str, Any], tier: int
) -> None:
    with running(tmp_path / "cache", clock, **threshold) as cache:
        assert cache.put("frame-1", TABLE).frame.tier == tier


def test_a_spilled_frame_is_parquet_and_another_cache_finds_it_by_its_pointer_in_redis(
    tmp_path: Path, clock: FakeClock, redis_url: str
) -> None:
    shared: dict[str, Any] = {"redis_url": redis_url, "spool_dir": tmp_path / "spool", "spill_row_count": 1_000}
    with running(tmp_path / "one", clock, **shared) as one, running(tmp_path / "two", clock, **shared) as other:
        one.put("frame-1", TABLE)
        with redis.Redis.from_url(redis_url) as client:
            assert client.pttl("frame:meta:frame-1") > 0
        [file] = (tmp_path / "spool").glob("*.parquet")
        assert pq.read_table(file).column("n").equals(TABLE.column("n"))
        assert other.get("frame-1").equals(TABLE)
        assert other.one([frame_source("f", "frame-1")], SUM)["n"].to_pylist() == SUMMED


def test_a_reader_whose_file_broke_may_try_again_where_a_later_version_came_meanwhile(
    tmp_path: Path, clock: FakeClock
) -> None:
    later = pa.table({"n": pa.array(range(50_000, 70_000), pa.int64())})
    with running(tmp_path / "cache", clock, spill_row_count=1_000) as cache:
        cache.put("frame-1", TABLE)
        assert cache.process is not None
        store = cache.process.store
        with store.open("frame-1") as opened:
            [file] = (tmp_path / "cache" / "spool").glob("*.parquet")
            file.write_bytes(broken_parquet.without_first_page(file.read_bytes()))
            with pytest.raises(CopyBroken) as broken:
                list(opened.copy.batches())
            cache.put("frame-1", later, version=2)
            with pytest.raises(StatementLost) as lost:
                store.give_up(opened, broken.value)
        assert lost.value.reason == "SERVICE_UNAVAILABLE"
        assert cache.get("frame-1").equals(later)
        assert cache.one([frame_source("f", "frame-1")], SUM)["n"].to_pylist() == [sum(range(50_000, 70_000))]
