"""A frame that is read from Redis is sent on while it comes, and nothing of it that is not what was written."""

from __future__ import annotations

import queue
import random
import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_cache.frames import Frame, TierKind, from_json, to_json
from sluice_cache.tiers import CopyBroken
from sluice_cache.tiers.arriving import Arriving
from sluice_cache.tiers.redis import CheckedValues
from sluice_rpc import arrow
from sluice_rpc.errors import NotFound
from sluice_rpc.ports import SystemClock

from tests.polling import poll_until
from tests.unit.cache.driver import Cache, running

VALUES = [b"first", b"second", b"third"]
WHOLE = f"{zlib.crc32(b''.join(VALUES)):08x}"
EACH = "".join(f"{zlib.crc32(b''.join(VALUES[: count + 1])):08x}" for count in range(len(VALUES)))
WAIT_S = 60.0


@pytest.fixture(scope="module")
def table() -> pa.Table:
    numbers = random.Random(7)
    return pa.table({"n": pa.array([numbers.getrandbits(40) for _ in range(1_000_000)], pa.int64())})


def arriving(values: Iterator[bytes], sums: str = EACH, *copies: TierKind) -> Arriving:
    token = f"frame-1:1:abcd-{sums}:{len(VALUES)}"
    now = datetime.now(UTC)
    held = dict.fromkeys(copies, "other") | {TierKind.REDIS: token}
    return Arriving(Frame("frame-1", 1, 0, 0, 0, now, now, now, {}, held), CheckedValues(token, values))


def received(coming: Arriving) -> threading.Thread:
    def receive() -> None:
        try:
            for _ in coming.receive():
                pass
        except CopyBroken as error:
            coming.end(error)
        else:
            coming.end(None)

    thread = threading.Thread(target=receive)
    thread.start()
    return thread


def test_what_came_is_read_before_the_rest_comes() -> None:
    rest: queue.Queue[bytes] = queue.Queue()
    coming = arriving(rest.get(timeout=WAIT_S) for _ in VALUES)
    thread = received(coming)
    rest.put(VALUES[0])
    assert coming.first() == VALUES[0]
    reader = iter(coming)
    assert next(reader) == VALUES[0]
    for value in VALUES[1:]:
        rest.put(value)
    assert list(reader) == VALUES[1:]
    assert list(coming) == VALUES
    thread.join()


@pytest.mark.parametrize(
    ("sums", "copies"), [(WHOLE, ()), (EACH, (TierKind.SPOOL,))], ids=["one sum for all", "in the spool too"]
)
def test_where_that_could_be_regretted_nothing_is_read_before_all_came(sums: str, copies: tuple[TierKind, ...]) -> None:
    coming = arriving(iter([*VALUES[:2], b"damaged"]), sums, *copies)
    thread = received(coming)
    with pytest.raises(CopyBroken):
        coming.first()
    thread.join()


@pytest.mark.parametrize("sums", [WHOLE, EACH])
def test_copies_of_this_and_of_an_earlier_release_are_read(sums: str) -> None:
    coming = arriving(iter(VALUES), sums)
    thread = received(coming)
    assert coming.first() == VALUES[0]
    assert list(coming) == VALUES
    thread.join()


def test_a_damaged_value_is_given_to_no_reader() -> None:
    coming = arriving(iter([VALUES[0], b"damaged", VALUES[2]]))
    thread = received(coming)
    thread.join()
    got: list[bytes] = []
    with pytest.raises(CopyBroken):
        got.extend(coming)
    assert got == VALUES[:1]


@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_a_reader_learns_that_the_rest_is_lost_and_has_nothing_damaged(
    tmp_path: Path, redis_url: str, table: pa.Table, damage: str
) -> None:
    with running(tmp_path / "one", SystemClock(), redis_url=redis_url) as one:
        one.put("frame-1", table)
        poll_until(lambda: in_redis(one), WAIT_S, "the copy in Redis")
    written = b"".join(arrow.encode(table.schema, table.to_batches(), "zstd"))
    with redis.Redis.from_url(redis_url) as client:
        keys = sorted(client.scan_iter("frame:data:*"))
        assert len(keys) > 2
        value = client.get(keys[-1])
        assert isinstance(value, bytes)
        client.delete(keys[-1]) if damage == "gone" else client.set(keys[-1], value[:-1] + bytes([value[-1] ^ 1]))
    with running(tmp_path / "two", SystemClock(), redis_url=redis_url) as two:
        came = bytearray()
        with pytest.raises(NotFound) as refused:
            for response in two.frames.GetFrame(
                pb.GetFrameRequest(frame_id="frame-1", compression=pb.COMPRESSION_ZSTD)
            ):
                came += response.chunk.ipc
        assert refused.value.reason == "CACHE_EXPIRED"
        assert len(came) < len(written)
        assert written.startswith(came)
        assert not list((tmp_path / "two" / "hot").iterdir())


def test_readers_who_come_at_once_all_have_the_whole(tmp_path: Path, redis_url: str, table: pa.Table) -> None:
    with running(tmp_path / "one", SystemClock(), redis_url=redis_url) as one:
        one.put("frame-1", table)
        poll_until(lambda: in_redis(one), WAIT_S, "the copy in Redis")
    with running(tmp_path / "two", SystemClock(), redis_url=redis_url) as two:
        tables: list[pa.Table] = []

        def read(compression: pb.Compression) -> None:
            tables.append(two.get("frame-1", compression=compression))

        readers = [
            threading.Thread(target=read, args=(compression,))
            for compression in (pb.COMPRESSION_ZSTD, pb.COMPRESSION_NONE, pb.COMPRESSION_ZSTD)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert all(got.equals(table) for got in tables)
        assert len(tables) == len(readers)


def test_the_name_of_a_copy_of_many_values_is_known_to_others() -> None:
    frame = arriving(iter(VALUES), 500 * EACH).frame
    assert from_json(to_json(frame)) == frame


def in_redis(cache: Cache) -> bool:
    """Return whether the first frame has its copy there."""
    return table_pb2.TIER_REDIS in cache.frames.StatFrame(pb.StatFrameRequest(frame_id="frame-1")).frame.tiers
