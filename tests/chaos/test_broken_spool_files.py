"""Broken Parquet in the spool of a real cache process: the same table, or nothing by name; and it lives on."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice_cache.frames import Frame, TierKind, to_json
from sluice_cache.seals import Seal
from sluice_client.redis_server import RedisServer
from sluice_rpc.errors import InvalidArgument, NotFound, ServiceError

from tests import broken_ipc, broken_parquet
from tests.cache_process import Started, started
from tests.unit.cache.driver import frame_source

TABLE_COUNT = len(broken_ipc.tables())
SAME = "same"


@dataclass(frozen=True)
class Ground:
    """A process that finds in Redis which files of its spool are frames, and whole files to break."""

    running: Started
    client: redis.Redis
    spool: Path
    whole: list[tuple[pa.Table, bytes]]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("spooled")
    limits = {"log_level": "error", "duckdb_threads": "1", "spill_row_count": str(broken_ipc.ROW_COUNT // 2)}
    with (
        redis.Redis.from_url(redis_server.url) as client,
        started(folder / "cache", redis_url=redis_server.url, redis_prefix="parquet:", **limits) as running,
    ):
        yield Ground(running, client, folder / "cache" / "spool", broken_parquet.spooled(folder / "made"))


def laid_in(ground: Ground, named_for: bytes, lies: bytes) -> str:
    """Let a file lie in the spool, with the stamp of its name as its time of change, and return its frame's id."""
    stamp_ns = time.time_ns()
    frame_id = f"broken-{stamp_ns}"
    path = ground.spool / f"{frame_id}.1.{Seal(stamp_ns, zlib.crc32(named_for))}.parquet"
    path.write_bytes(lies)
    os.utime(path, ns=(stamp_ns, stamp_ns))
    now = datetime.now(UTC)
    copies = {TierKind.SPOOL: path.name}
    frame = Frame(frame_id, 1, broken_ipc.ROW_COUNT, 1, 1, now, now, now + timedelta(minutes=10), {}, copies)
    ground.client.set(f"parquet:frame:meta:{frame_id}", to_json(frame), ex=600)
    return frame_id


def end_of(call: Callable[[], pa.Table], expected: pa.Table) -> str:
    """Return how a read ended: by the reason it failed for, or whether its table is the one expected."""
    try:
        return SAME if call().equals(expected) else "another table"
    except ServiceError as error:
        return error.reason


def ends(ground: Ground, frame_id: str, table: pa.Table) -> set[str]:
    """Read a frame in every way and return how that went."""
    cache, source = ground.running.cache, [frame_source("f", frame_id)]
    counted = pa.table({"n": pa.array([table.num_rows], pa.int64())})
    found = {
        # Where DuckDB reads the file in place, before any other reader has found fault with it.
        end_of(lambda: cache.one(source, "select count(*) as n from f"), counted),
        end_of(lambda: _texts(ground, source), _texts_of(table)),
        end_of(lambda: cache.get(frame_id), table),
    }
    cache.frames.DeleteFrame(pb.DeleteFrameRequest(frame_id=frame_id))
    return found


def _texts(ground: Ground, source: list[sql_pb.SqlSource]) -> pa.Table:
    shown = ground.running.cache.one(source, "select cast(f as varchar) as row_text from f")
    return pa.table({"n": pa.array([shown.num_rows], pa.int64())})


def _texts_of(table: pa.Table) -> pa.Table:
    return pa.table({"n": pa.array([table.num_rows], pa.int64())})


@pytest.mark.parametrize("number", range(TABLE_COUNT))
def test_a_whole_file_that_lies_in_the_spool_is_the_same_table(ground: Ground, number: int) -> None:
    table, content = ground.whole[number]
    assert ends(ground, laid_in(ground, content, content), table) == {SAME}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(number=st.integers(0, TABLE_COUNT - 1), steps=broken_parquet.mutations())
def test_a_file_that_broke_is_the_same_table_or_gone(
    ground: Ground, number: int, steps: Sequence[broken_ipc.Mutation]
) -> None:
    table, content = ground.whole[number]
    broken = broken_ipc.after(content, steps)
    found = ends(ground, laid_in(ground, content, broken), table)
    assert found == ({SAME} if broken == content else {"CACHE_EXPIRED"})
    assert ground.running.process.poll() is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(number=st.integers(0, TABLE_COUNT - 1), steps=broken_parquet.mutations())
def test_a_file_that_was_broken_before_it_got_its_name_is_gone_or_read(
    ground: Ground, number: int, steps: Sequence[broken_ipc.Mutation]
) -> None:
    table, content = ground.whole[number]
    broken = broken_ipc.after(content, steps)
    # Its name vouches for it, as that of a file does which somebody else made: the readers are all there is.
    found = ends(ground, laid_in(ground, broken, broken), table)
    # No statement is blamed for it.
    assert found <= {SAME, "another table", "CACHE_EXPIRED"}
    assert ground.running.process.poll() is None


@pytest.mark.parametrize("sql", ["select n from f", "select list(n) as numbers from f"], ids=["inside", "apart"])
def test_a_page_that_was_broken_before_it_got_its_name_is_the_files_fault(ground: Ground, sql: str) -> None:
    _, content = ground.whole[0]
    broken = broken_parquet.without_first_page(content)
    frame_id = laid_in(ground, broken, broken)
    with pytest.raises(NotFound):
        ground.running.cache.one([frame_source("f", frame_id)], sql)
    with pytest.raises(NotFound):
        ground.running.cache.frames.StatFrame(pb.StatFrameRequest(frame_id=frame_id))


def test_a_statement_that_its_rows_do_not_suit_leaves_a_whole_file_alone(ground: Ground) -> None:
    table, content = ground.whole[0]
    frame_id = laid_in(ground, content, content)
    with pytest.raises(InvalidArgument):
        ground.running.cache.one([frame_source("f", frame_id)], "select cast('no number' as integer) + n as n from f")
    assert ground.running.cache.get(frame_id).equals(table)
