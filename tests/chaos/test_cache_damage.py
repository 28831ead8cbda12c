"""Files and values that were cut, swapped or flipped by a bit: another copy answers, or nobody; never a wrong table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_rpc.errors import NotFound

from tests.cache_process import Started, started
from tests.polling import poll_until
from tests.unit.cache.driver import Cache, frame_source

ONE = pa.table({"n": pa.array(range(20_000), pa.int64())})
OTHER = pa.table({"n": pa.array(range(50_000, 70_000), pa.int64())})
SPOOLED = {"spill_row_count": "10000"}


def cut(path: Path, other: Path) -> None:
    """Take the last part of a file away."""
    os.truncate(path, path.stat().st_size - 4096)


def swap(path: Path, other: Path) -> None:
    """Let another frame's file stand in its place."""
    other.replace(path)


def flip(path: Path, other: Path) -> None:
    """Change one bit in the middle of its values."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path, other: Path) -> None:
    """Leave its name alone."""
    os.truncate(path, 0)


def rot(path: Path, other: Path) -> None:
    """Change one bit as a disk does: nobody is told, not even by the time of change."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    flip(path, other)
    os.utime(path, ns=times)


DAMAGES = [cut, swap, flip, empty]
UNUSED = [*DAMAGES, rot]
"""What is seen of a file that nobody has used yet; later the pages of the system are trusted."""
Damage = Callable[[Path, Path], None]


def file_of(folder: Path, frame_id: str) -> Path:
    (path,) = [path for path in folder.glob(f"{frame_id}.*") if path.suffix != ".json"]
    return path


@pytest.fixture(scope="module", params=["hot", "spool"])
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def serving(place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Started, Path]]:
    """A cache whose frames lie in one place only, and that place."""
    folder = tmp_path_factory.mktemp(place)
    with started(folder, **(SPOOLED if place == "spool" else {})) as running:
        yield running, folder / place


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_running_cache_never_serves_a_damaged_file(serving: tuple[Started, Path], damage: Damage) -> None:
    running, folder = serving
    one, other = f"read-{damage.__name__}", f"beside-{damage.__name__}"
    running.cache.put(one, ONE)
    running.cache.put(other, OTHER)
    assert running.cache.get(one).equals(ONE)
    damage(file_of(folder, one), file_of(folder, other))
    with pytest.raises(NotFound) as caught:
        running.cache.get(one)
    assert caught.value.reason == "CACHE_EXPIRED"


@pytest.mark.parametrize("damage", UNUSED)
def test_sql_never_reads_a_damaged_file(serving: tuple[Started, Path], damage: Damage) -> None:
    running, folder = serving
    one, other = f"asked-{damage.__name__}", f"besides-{damage.__name__}"
    running.cache.put(one, ONE)
    running.cache.put(other, OTHER)
    damage(file_of(folder, one), file_of(folder, other))
    with pytest.raises(NotFound):
        running.cache.one([frame_source("f", one)], "select sum(n) as n from f")


def test_a_started_cache_never_serves_what_was_damaged_while_it_was_away(place: str, tmp_path: Path) -> None:
    settings = SPOOLED if place == "spool" else {}
    names = [damage.__name__ for damage in UNUSED]
    with started(tmp_path, **settings) as first:
        for name in names:
            first.cache.put(f"frame-{name}", ONE)
            first.cache.put(f"other-{name}", OTHER)
        first.cache.put("frame-whole", ONE)
    for damage in UNUSED:
        name = damage.__name__
        damage(file_of(tmp_path / place, f"frame-{name}"), file_of(tmp_path / place, f"other-{name}"))
    with started(tmp_path, **settings) as second:
        assert [_gone(second.cache, f"frame-{name}") for name in names] == [True] * len(names)
        assert second.cache.get("frame-whole").equals(ONE)


def _gone(cache: Cache, frame_id: str) -> bool:
    with pytest.raises(NotFound):
        cache.get(frame_id)
    return True


def test_redis_answers_for_a_damaged_file(tmp_path: Path, redis_url: str) -> None:
    with started(tmp_path, redis_url=redis_url) as running, redis.Redis.from_url(redis_url) as client:
        running.cache.put("frame-1", ONE)
        poll_until(lambda: client.exists("frame:meta:frame-1"), 20.0, "the copy in Redis")
        hot = file_of(tmp_path / "hot", "frame-1")
        flip(hot, hot)
        assert running.cache.get("frame-1").equals(ONE)


def value_of(client: redis.Redis, key: bytes) -> bytes:
    value = client.get(key)
    assert isinstance(value, bytes)
    return value


def cut_value(client: redis.Redis, key: bytes, other: bytes) -> None:
    """Take the last part of a value away."""
    client.set(key, value_of(client, key)[:-64], keepttl=True)


def swap_value(client: redis.Redis, key: bytes, other: bytes) -> None:
    """Let another frame's value stand in its place."""
    client.set(key, value_of(client, other), keepttl=True)


def flip_value(client: redis.Redis, key: bytes, other: bytes) -> None:
    """Change one bit in the middle of a value."""
    content = bytearray(value_of(client, key))
    content[len(content) // 2] ^= 1
    client.set(key, bytes(content), keepttl=True)


def lose_value(client: redis.Redis, key: bytes, other: bytes) -> None:
    """Take a value away after its pointer was read."""
    client.delete(key)


@pytest.mark.parametrize("damage", [cut_value, swap_value, flip_value, lose_value])
def test_a_damaged_value_is_no_answer_on_a_fresh_disk(
    tmp_path: Path, redis_url: str, damage: Callable[[redis.Redis, bytes, bytes], None]
) -> None:
    with started(tmp_path / "one", redis_url=redis_url) as first, redis.Redis.from_url(redis_url) as client:
        first.cache.put("frame-1", ONE)
        first.cache.put("frame-2", OTHER)
        poll_until(lambda: client.exists("frame:meta:frame-1", "frame:meta:frame-2") == 2, 20.0, "the copies in Redis")
        (key,), (other,) = (list(client.scan_iter(f"frame:data:frame-{number}:*")) for number in (1, 2))
        with started(tmp_path / "two", redis_url=redis_url) as second:
            assert _row_count(second.cache, "frame-1") == ONE.num_rows  # it knows of the frame
            damage(client, key, other)
            with pytest.raises(NotFound) as caught:
                second.cache.get("frame-1")
    assert caught.value.reason == "CACHE_EXPIRED"


def _row_count(cache: Cache, frame_id: str) -> int:
    return int(cache.frames.StatFrame(pb.StatFrameRequest(frame_id=frame_id)).frame.row_count)
