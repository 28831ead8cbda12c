"""What every tier keeps: copies come back whole or not at all, and writers in the making are invisible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import fs
from sluice_cache.frames import Frame, TierKind
from sluice_cache.redis_link import RedisLink
from sluice_cache.tiers import CopyBroken, Tier
from sluice_cache.tiers.memory import MemoryTier
from sluice_cache.tiers.redis import RedisTier
from sluice_cache.tiers.spool import SpoolTier
from sluice_cache.tiers.spool_folder import SpoolFolder
from sluice_rpc.ports import SystemClock

TABLE = pa.table(
    {
        "lot": pa.array([f"lot-{number}" for number in range(200_000)]),
        "reason": pa.array(["x", "y", None, "z"] * 50_000).dictionary_encode(),
        "time": pa.array(range(200_000), pa.timestamp("s")),
    }
)


@pytest.fixture(params=["memory", "redis", "spool on this disk", "spool below a folder", "spool in an object store"])
def tier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tier]:
    with ExitStack() as closing:
        built: dict[str, Callable[[], Tier]] = {
            "memory": lambda: MemoryTier(tmp_path, 1 << 30),
            "redis": lambda: _redis_tier(request.getfixturevalue("redis_url"), closing),
            "spool on this disk": lambda: SpoolTier(SpoolFolder.on_disk(tmp_path), 1 << 30),
            "spool below a folder": lambda: SpoolTier(SpoolFolder(_below(tmp_path)), 1 << 30),
            # Keeps nothing on a disk and knows no folders of this machine, as an object store.
            "spool in an object store": lambda: SpoolTier(SpoolFolder(fs._MockFileSystem(), "bucket/frames"), 1 << 30),
        }
        yield built[request.param]()


def _below(folder: Path) -> fs.FileSystem:
    return fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())


def _redis_tier(url: str, closing: ExitStack) -> Tier:
    link = RedisLink(url, "contract:", SystemClock())
    closing.callback(link.close)
    return RedisTier(link)


def frame_of(tier: Tier, token: str, row_count: int = TABLE.num_rows) -> Frame:
    now = datetime.now(UTC)
    return Frame("frame-1", 1, row_count, 0, 0, now, now, now + timedelta(hours=1), {}, {tier.kind: token})


def stored(tier: Tier, table: pa.Table = TABLE) -> str:
    writer = tier.create("frame-1", 1, table.schema)
    for batch in table.to_batches():
        writer.write(batch)
    return writer.commit()


def test_a_committed_copy_comes_back_equal(tier: Tier) -> None:
    copy = tier.open(frame_of(tier, stored(tier)))
    assert copy is not None
    assert pa.Table.from_batches(copy.batches(), schema=copy.schema).equals(TABLE)
    copy.close()


def test_columns_of_a_copy_come_in_the_order_wanted(tier: Tier) -> None:
    copy = tier.open(frame_of(tier, stored(tier)))
    assert copy is not None
    assert next(copy.batches(["time", "lot"])).schema.names == ["time", "lot"]
    copy.close()


def test_batches_never_pass_the_row_count_of_the_wire(tier: Tier) -> None:
    copy = tier.open(frame_of(tier, stored(tier)))
    assert copy is not None
    assert max(batch.num_rows for batch in copy.batches()) <= 65_536
    copy.close()


def test_a_copy_without_rows_keeps_its_schema(tier: Tier) -> None:
    copy = tier.open(frame_of(tier, stored(tier, TABLE.slice(0, 0)), row_count=0))
    assert copy is not None
    assert copy.schema.equals(TABLE.schema)
    copy.close()


def test_a_deleted_copy_is_not_there(tier: Tier) -> None:
    token = stored(tier)
    tier.delete(token)
    assert tier.open(frame_of(tier, token)) is None


def test_deleting_twice_succeeds(tier: Tier) -> None:
    token = stored(tier)
    tier.delete(token)
    tier.delete(token)
    assert tier.open(frame_of(tier, token)) is None


def test_a_frame_of_another_tier_is_not_there(tier: Tier) -> None:
    other = next(kind for kind in TierKind if kind is not tier.kind)
    frame = frame_of(tier, stored(tier))
    moved = frame.without_copy(tier.kind).with_copy(other, "elsewhere")
    assert tier.open(moved) is None


def test_a_copy_with_other_rows_than_its_frame_is_broken(tier: Tier) -> None:
    frame = frame_of(tier, stored(tier), row_count=TABLE.num_rows + 1)
    with pytest.raises(CopyBroken):
        _read_all(tier, frame)


def test_an_aborted_copy_leaves_no_file(tier: Tier, tmp_path: Path) -> None:
    writer = tier.create("frame-1", 1, TABLE.schema)
    writer.write(TABLE.to_batches()[0])
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_two_copies_of_one_frame_do_not_meet(tier: Tier) -> None:
    first = stored(tier)
    second = stored(tier, TABLE.slice(0, 1))
    tier.delete(second)
    assert _read_all(tier, frame_of(tier, first)) == TABLE.num_rows


def test_hits_and_misses_are_counted(tier: Tier) -> None:
    frame = frame_of(tier, stored(tier))
    _read_all(tier, frame)
    tier.open(frame.without_copy(tier.kind))
    counts = tier.counts()
    assert (counts.hit_count, counts.miss_count) == (1, 1)


def _read_all(tier: Tier, frame: Frame) -> int:
    copy = tier.open(frame)
    assert copy is not None
    try:
        return sum(batch.num_rows for batch in copy.batches())
    finally:
        copy.close()
