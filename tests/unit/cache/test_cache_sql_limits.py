"""Limits that a call names for itself, each with its typed error; and plans on request."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice_rpc.errors import Cancelled, DeadlineExceeded, InvalidArgument, OutOfRange, ServiceError, Unavailable
from sluice_rpc.ports import FakeClock

from tests.polling import poll_until
from tests.unit.cache.driver import NOW, Cache, derived, frame_source, manifest_source, running, sliced

ROWS = pa.table({"n": pa.array(range(20_000), pa.int64()), "name": [f"row-{number}" for number in range(20_000)]})
MIB = 1 << 20

ENDLESS = "with recursive r as (select 1 as n union all select n + 1 from r) select max(n) from r"
DEAF = "select max(levenshtein(s, s || 'y')) from (select string_agg('xy', '') as s from range(200000))"
"""One call of one function on one row: DuckDB does not look for an interrupt before it has ended."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    root = tmp_path_factory.mktemp("cache")
    with running(root, FakeClock(NOW), spill_row_count=50_000, apart_count=1, apart_memory_bytes=192 * MIB) as cache:
        cache.put("rows-1", ROWS)
        cache.put("spooled-1", pa.concat_tables([ROWS, ROWS, ROWS]))
        yield cache


def ran(cache: Cache, sql: str, **limits: Any) -> sql_pb.StatementDone:
    """Run one statement over `rows` and return how it ended."""
    request = sql_pb.RunQueryRequest(
        sources=[frame_source("rows", "rows-1")], statements=[sql_pb.SqlStatement(sql=sql)], **limits
    )
    *_, last = cache.sql.RunQuery(request, timeout=60)
    assert last.WhichOneof("part") == "done"
    done: sql_pb.StatementDone = last.done
    return done


@pytest.mark.parametrize(
    ("limits", "limit"),
    [({"max_row_count": 19_999}, "19999"), ({"max_result_bytes": 100_000}, "100000")],
    ids=["rows", "bytes"],
)
@pytest.mark.parametrize(
    "sql", ["select n from rows", "select n, name || '' as name from rows"], ids=["inside", "apart"]
)
def test_a_table_larger_than_its_call_allows_is_refused(
    rows: Cache, sql: str, limits: dict[str, int], limit: str
) -> None:
    with pytest.raises(OutOfRange) as caught:
        ran(rows, sql, **limits)
    assert (caught.value.reason, caught.value.metadata["limit"]) == ("RESULT_TOO_LARGE", limit)


def test_a_table_of_exactly_the_rows_allowed_is_answered(rows: Cache) -> None:
    assert ran(rows, "select n from rows", max_row_count=20_000).row_count == 20_000


def test_a_kept_table_is_held_against_the_limits_of_whoever_asks_for_it_again(rows: Cache) -> None:
    assert ran(rows, "select n from rows where n < 100").row_count == 100
    with pytest.raises(OutOfRange):
        ran(rows, "select n from rows where n < 100", max_row_count=99)


def test_a_callers_limit_is_never_above_the_processs_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("capped")
    with running(root, FakeClock(NOW), max_result_row_count=10, max_result_bytes=1 << 20) as cache:
        cache.put("rows-1", ROWS)
        with pytest.raises(OutOfRange, match="more than 10 rows"):
            ran(cache, "select n from rows", max_row_count=1_000_000)


def test_a_call_that_names_its_memory_gets_no_more(rows: Cache) -> None:
    wide = "select count(distinct a.n * 20000 + b.n) as n from rows as a, rows as b where b.n < 1000"
    with pytest.raises(Unavailable) as caught:
        ran(rows, f"select sum(n) from ({wide})", max_memory_bytes=1)
    assert caught.value.reason == "MEMORY_PRESSURE"


def test_a_call_that_names_memory_and_threads_is_answered_within_them(rows: Cache) -> None:
    assert ran(rows, "select sum(n) as s from rows", max_memory_bytes=128 * MIB, thread_count=1).row_count == 1


@pytest.mark.parametrize("sql", [ENDLESS, DEAF], ids=["endless", "deaf"])
def test_a_statement_is_stopped_at_the_time_its_call_names(rows: Cache, sql: str) -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        ran(rows, sql, timeout_s=0.5)
    assert caught.value.reason == "QUERY_TIMEOUT"
    # Not by the caller's own deadline, which is a minute.
    assert time.monotonic() - started < 45.0


def test_a_statement_that_hears_no_interrupt_ends_when_its_caller_leaves(rows: Cache) -> None:
    responses = rows.sql.RunQuery(sql_pb.RunQueryRequest(statements=[sql_pb.SqlStatement(sql=DEAF)]), timeout=60)
    threading.Timer(0.3, responses.cancel).start()
    with pytest.raises(Cancelled):
        next(responses)
    # There is one process for such statements here, so this is answered only if it was ended.
    assert ran(rows, "select name || '!' as name from rows limit 1", timeout_s=20).row_count == 1


def test_whoever_waits_for_a_process_waits_no_longer_than_its_own_time(rows: Cache) -> None:
    responses = rows.sql.RunQuery(sql_pb.RunQueryRequest(statements=[sql_pb.SqlStatement(sql=ENDLESS)]), timeout=60)
    threading.Thread(target=lambda: list(_until_error(responses)), daemon=True).start()
    with pytest.raises(DeadlineExceeded):
        ran(rows, DEAF, timeout_s=0.5)
    responses.cancel()


def _until_error(responses: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from responses
    except ServiceError:
        return


@pytest.mark.parametrize(
    "field", ["max_row_count", "max_result_bytes", "max_memory_bytes", "thread_count", "timeout_s"]
)
def test_a_negative_limit_is_refused_by_name(rows: Cache, field: str) -> None:
    with pytest.raises(InvalidArgument, match=field):
        ran(rows, "select 1", **{field: -1})


def test_a_time_that_is_no_number_is_refused(rows: Cache) -> None:
    with pytest.raises(InvalidArgument, match="timeout_s"):
        ran(rows, "select 1", timeout_s=float("nan"))


@pytest.mark.parametrize("frame_id", ["rows-1", "spooled-1"])
def test_statements_apart_answer_what_statements_inside_do(rows: Cache, frame_id: str) -> None:
    source = [frame_source("rows", frame_id)]
    inside = rows.one(source, "select name, n from rows where n % 1000 = 7 order by n, name")
    apart = rows.one(source, "select name || '' as name, n from rows where n % 1000 = 7 order by n, name")
    assert apart.equals(inside)


def test_binds_of_every_kind_arrive_in_a_process_apart(rows: Cache) -> None:
    bound = {
        "b": bind_pb2.BindValue(bool_value=True),
        "i": bind_pb2.BindValue(int64_value=-(2**62)),
        "d": bind_pb2.BindValue(double_value=float("inf")),
        "s": bind_pb2.BindValue(string_value="x' \u0000 ö"),
        "day": bind_pb2.BindValue(date_value="2024-02-29"),
        "t": bind_pb2.BindValue(timestamp_value="2024-02-29T07:30:00"),
        "names": bind_pb2.BindValue(string_list=bind_pb2.StringList(values=["a", "b"])),
        "days": bind_pb2.BindValue(date_list=bind_pb2.StringList(values=["2024-02-29"])),
        "none": bind_pb2.BindValue(),
    }
    listed = ", ".join(f"${name} as {name}" for name in bound)
    inside = rows.one([], f"select {listed}", **bound)
    assert rows.one([], f"select {listed} where 'a' || 'b' = 'ab'", **bound).equals(inside)


def test_a_process_apart_sees_nothing_of_the_environment(rows: Cache) -> None:
    ran(rows, "select name || '!' as name from rows limit 1")
    environments = [_environment(pid) for pid in _children(os.getpid())]
    assert environments
    assert all(set(environment) <= {"ARROW_DEFAULT_MEMORY_POOL", "MALLOC_ARENA_MAX"} for environment in environments)


def _children(parent: int) -> list[int]:
    """Return the ids of the processes for statements that a process has begun."""
    found = [
        path for path in Path("/proc").iterdir() if path.name.isdigit() and f"\nPPid:\t{parent}\n" in _status(path)
    ]
    return [int(path.name) for path in found if b"apart_process" in (path / "cmdline").read_bytes()]


def _status(path: Path) -> str:
    try:
        return (path / "status").read_text(encoding="utf-8")
    except OSError:
        return ""


def _environment(pid: int) -> list[str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return [pair.partition(b"=")[0].decode() for pair in pairs if pair]


def test_no_process_apart_outlives_the_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    before = set(_children(os.getpid()))
    with running(tmp_path_factory.mktemp("ending"), FakeClock(NOW)) as cache:
        cache.put("rows-1", ROWS)
        ran(cache, "select name || '!' as name from rows limit 1")
        assert set(_children(os.getpid())) - before
    poll_until(lambda: not set(_children(os.getpid())) - before, 5.0, "the end of the process")


def test_a_plan_tells_what_is_done_and_runs_nothing(rows: Cache) -> None:
    done = ran(rows, "select name, count(*) as n from rows where n > 100 group by name order by n", explain=True)
    assert done.row_count == 0
    assert "HASH_GROUP_BY" in done.plan
    assert "count_star()" in done.plan
    assert done.plan.splitlines()[1].startswith("  ")


def test_the_plan_of_a_statement_without_end_is_told(rows: Cache) -> None:
    assert "REC_CTE_SCAN" in ran(rows, ENDLESS, explain=True).plan


@pytest.mark.parametrize("frame_id", ["rows-1", "spooled-1"])
@pytest.mark.parametrize("more", ["", " || ''"], ids=["inside", "apart"])
def test_a_plan_names_no_file_and_no_table_of_ours(rows: Cache, frame_id: str, more: str) -> None:
    request = sql_pb.RunQueryRequest(
        sources=[frame_source("rows", frame_id)],
        statements=[sql_pb.SqlStatement(sql=f"select name{more} as name from rows where n > 5")],
        explain=True,
    )
    *_, last = rows.sql.RunQuery(request)
    assert "name" in last.done.plan
    assert not [
        word for word in ("/", "spool", "hot", "parquet(", ".arrows", "_frame_", frame_id) if word in last.done.plan
    ]


def test_the_plan_of_a_refused_statement_is_refused(rows: Cache) -> None:
    with pytest.raises(InvalidArgument, match="not allowed"):
        ran(rows, "select * from read_text('/etc/passwd')", explain=True)


def test_a_derived_table_that_is_not_plain_is_made_apart(rows: Cache) -> None:
    tables = [
        sliced("raw", pb.FrameSlice(frame_id="rows-1")),
        derived("named", "select n, name || '!' as name from raw order by n"),
    ]
    rows.put_manifest(rows.manifest("apart-manifest", tables))
    table = rows.one([manifest_source("apart-manifest")], "select name from named where n = 7")
    assert table["name"].to_pylist() == ["row-7!"]
