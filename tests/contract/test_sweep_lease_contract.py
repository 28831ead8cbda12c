"""The right to sweep a spool: one has it at a time, and it comes free when its holder leaves or dies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from sluice_cache.redis_link import RedisLink
from sluice_cache.sweep_lease import FileLease, RedisLease, SweepLease
from sluice_rpc.ports import SystemClock

MakeLease = Callable[[], SweepLease]

HOLDER = """
import os, sys
from pathlib import Path
from sluice_cache.sweep_lease import FileLease
with FileLease(Path(sys.argv[1])).hold() as held:
    print(held is not None, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["a folder of this machine", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeLease]:
    """Make one more process's lease of the same spool."""
    with ExitStack() as closing:

        def of_redis() -> SweepLease:
            link = RedisLink(url, "lease:", SystemClock())
            closing.callback(link.close)
            return RedisLease(link, "spool-1")

        if request.param == "redis":
            url = request.getfixturevalue("redis_url")
            yield of_redis
        else:
            yield lambda: FileLease(tmp_path)


def test_one_has_it_and_the_other_does_not(make: MakeLease) -> None:
    with make().hold() as first, make().hold() as second:
        assert first is not None
        assert second is None


def test_its_holder_still_has_it(make: MakeLease) -> None:
    with make().hold() as still_held:
        assert still_held is not None
        assert still_held()


def test_it_comes_free_when_its_holder_leaves(make: MakeLease) -> None:
    with make().hold() as first:
        assert first is not None
    with make().hold() as second:
        assert second is not None


def test_it_comes_free_when_its_holder_fails(make: MakeLease) -> None:
    with pytest.raises(OSError, match="gone"), make().hold():
        raise OSError("the disk is gone")
    with make().hold() as second:
        assert second is not None


def test_the_kernel_takes_a_folders_lease_from_the_dead(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with FileLease(tmp_path).hold() as while_alive:
            assert while_alive is None
        holder.kill()
        holder.wait()
    with FileLease(tmp_path).hold() as after:
        assert after is not None


def test_a_lease_in_redis_ends_by_itself(redis_url: str) -> None:
    link = RedisLink(redis_url, "lease:", SystemClock())
    with RedisLease(link, "spool-1").hold(), redis.Redis.from_url(redis_url) as client:
        assert 0 < int(client.ttl("lease:frame:sweep:spool-1")) <= 120
    link.close()


def test_whoever_lost_it_meanwhile_knows_and_takes_it_from_nobody(redis_url: str) -> None:
    link = RedisLink(redis_url, "lease:", SystemClock())
    key = "lease:frame:sweep:spool-1"
    with redis.Redis.from_url(redis_url) as client:
        with RedisLease(link, "spool-1").hold() as still_held:
            client.set(key, "another")
            assert still_held is not None
            assert not still_held()
        assert client.get(key) == b"another"
    link.close()


def test_without_an_answer_of_redis_nobody_sweeps() -> None:
    link = RedisLink("redis://127.0.0.1:1/0", "lease:", SystemClock())
    with RedisLease(link, "spool-1").hold() as held:
        assert held is None
    link.close()
