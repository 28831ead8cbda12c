"""Tables kept by frame versions, statement and values: hits are the same, and nothing old or partial is ever read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice_cache.frames import TierKind
from sluice_cache.sql.results import Result, Results
from sluice_rpc.errors import NotFound, OutOfRange, ServiceError
from sluice_rpc.ports import FakeClock

from tests.unit.cache.driver import NOW, Cache, frame_source, manifest_source, running, sliced

ROWS = pa.table({"n": pa.array(range(1000), pa.int64())})
SUM = "select sum(n) as s from rows"


@pytest.fixture
def rows(cache: Cache) -> Cache:
    cache.put("rows-1", ROWS)
    return cache


def ask(cache: Cache, sql: str = SUM, sources: list[sql_pb.SqlSource] | None = None, **binds: Any) -> tuple[Any, bool]:
    """Return the first value of a statement's table and whether the table was kept from before."""
    request = sql_pb.RunQueryRequest(
        sources=[frame_source("rows", "rows-1")] if sources is None else sources,
        statements=[sql_pb.SqlStatement(sql=sql, binds=binds)],
    )
    pieces = []
    cached = False
    for response in cache.sql.RunQuery(request, timeout=60):
        pieces.append(response.chunk.ipc)
        cached = response.done.cached
    table = pa.ipc.open_stream(b"".join(pieces)).read_all()
    return table.column(0).to_pylist()[0] if table.num_rows else None, cached


def test_the_same_statement_is_answered_from_what_is_kept(rows: Cache) -> None:
    assert [ask(rows), ask(rows)] == [(499_500, False), (499_500, True)]


def test_hits_misses_and_bytes_are_counted(rows: Cache) -> None:
    assert rows.process is not None
    values = rows.process.registry.get_sample_value
    ask(rows)
    ask(rows)
    assert (values("sluice_cache_result_hits_total"), values("sluice_cache_result_misses_total")) == (1.0, 1.0)
    assert (values("sluice_cache_results_bytes") or 0.0) > 0.0


def test_blanks_comments_and_case_of_keywords_do_not_matter(rows: Cache) -> None:
    ask(rows)
    assert ask(rows, "SELECT  sum(n) AS s -- all\nFROM rows") == (499_500, True)


@pytest.mark.parametrize(
    "sql",
    ["select sum(n) as t from rows", "select sum(n + 0) as s from rows", "select sum(n) as s from rows where n > 1"],
)
def test_another_statement_is_another_table(rows: Cache, sql: str) -> None:
    ask(rows)
    assert not ask(rows, sql)[1]


def test_another_value_is_another_table(rows: Cache) -> None:
    below = "select count(*) as c from rows where n < $n"
    values = [bind_pb2.BindValue(int64_value=5), bind_pb2.BindValue(int64_value=6), bind_pb2.BindValue(double_value=5)]
    assert [ask(rows, below, n=value) for value in values] == [(5, False), (6, False), (5, False)]


def test_a_newer_version_of_a_frame_is_read_anew(rows: Cache) -> None:
    ask(rows)
    rows.put("rows-1", ROWS.slice(0, 10), version=2)
    assert ask(rows) == (45, False)


def test_the_same_version_put_again_is_read_anew(rows: Cache) -> None:
    ask(rows)
    rows.put("rows-1", ROWS.slice(0, 10), version=1)
    assert ask(rows) == (45, False)


def test_a_deleted_frame_is_gone_although_its_table_was_kept(rows: Cache) -> None:
    ask(rows)
    rows.frames.DeleteFrame(pb.DeleteFrameRequest(frame_id="rows-1"))
    with pytest.raises(NotFound):
        ask(rows)


def test_an_expired_frame_is_gone_although_its_table_was_kept(rows: Cache, clock: FakeClock) -> None:
    ask(rows)
    clock.advance(901.0)
    with pytest.raises(NotFound):
        ask(rows)


def test_a_new_version_of_a_manifest_never_reads_what_was_kept_for_the_old_one(rows: Cache) -> None:
    rows.put("rows-2", ROWS.slice(0, 10))
    source = [manifest_source("both")]
    rows.put_manifest(rows.manifest("both", [sliced("rows", pb.FrameSlice(frame_id="rows-1"))]))
    assert [ask(rows, SUM, source), ask(rows, SUM, source)] == [(499_500, False), (499_500, True)]
    rows.put_manifest(rows.manifest("both", [sliced("rows", pb.FrameSlice(frame_id="rows-2"))], version=2))
    assert ask(rows, SUM, source) == (45, False)


def test_a_clip_bound_to_another_value_is_another_table(rows: Cache) -> None:
    def clipped(manifest_id: str, most: int) -> tuple[Any, bool]:
        table = sliced("rows", pb.FrameSlice(frame_id="rows-1"), clip="n < $most")
        binds = {"most": bind_pb2.BindValue(int64_value=most)}
        rows.put_manifest(rows.manifest(manifest_id, [table], binds=binds))
        return ask(rows, SUM, [manifest_source(manifest_id)])

    assert [clipped("first", 3), clipped("second", 4)] == [(3, False), (6, False)]


@pytest.mark.parametrize(
    "sql", ["select random() as r from rows limit 1", "select now() as r", "select current_date as r"]
)
def test_what_changes_by_itself_is_never_kept(rows: Cache, sql: str) -> None:
    assert [ask(rows, sql)[1], ask(rows, sql)[1]] == [False, False]


def test_statements_apart_are_kept_too(rows: Cache) -> None:
    sql = "select string_agg(n::varchar, ',' order by n) as s from rows where n < 3"
    assert [ask(rows, sql), ask(rows, sql)] == [("0,1,2", False), ("0,1,2", True)]


def test_a_table_that_was_refused_for_its_size_is_not_kept_in_part(rows: Cache) -> None:
    request = sql_pb.RunQueryRequest(
        sources=[frame_source("rows", "rows-1")],
        statements=[sql_pb.SqlStatement(sql="select n from rows order by n")],
        max_row_count=10,
    )
    with pytest.raises(OutOfRange):
        list(rows.sql.RunQuery(request))
    table = rows.one([frame_source("rows", "rows-1")], "select n from rows order by n")
    assert table.num_rows == 1000


def test_a_table_whose_reader_left_is_not_kept_in_part(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock, result_max_bytes=64 << 20) as cache:
        cache.put("rows-1", pa.table({"n": pa.array(range(3_000_000), pa.int64())}))
        request = sql_pb.RunQueryRequest(
            sources=[frame_source("rows", "rows-1")], statements=[sql_pb.SqlStatement(sql="select n from rows")]
        )
        responses = cache.sql.RunQuery(request)
        next(responses)
        next(responses)
        responses.cancel()
        assert cache.one([frame_source("rows", "rows-1")], "select n from rows").num_rows == 3_000_000


def test_identical_statements_at_the_same_time_run_once(tmp_path: Path) -> None:
    with running(tmp_path / "cache", FakeClock(NOW)) as cache:
        cache.put("rows-1", ROWS)
        slow = "select count(*) as c from rows as a, rows as b, rows as c where a.n + b.n + c.n = 10"
        answers: list[tuple[Any, bool]] = []
        threads = [threading.Thread(target=lambda: answers.append(ask(cache, slow))) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == [(66, False), *[(66, True)] * 4]


def test_without_a_budget_nothing_is_kept(tmp_path: Path) -> None:
    with running(tmp_path / "cache", FakeClock(NOW), result_max_bytes=0) as cache:
        cache.put("rows-1", ROWS)
        assert [ask(cache), ask(cache)] == [(499_500, False), (499_500, False)]


def result(size: int, frame_id: str = "frame-1") -> Result:
    """Return a result of about that many bytes."""
    batch = pa.RecordBatch.from_pydict({"n": pa.array([0] * (size // 8), pa.int64())})
    return Result(batch.schema, (batch,), TierKind.MEMORY, frozenset({frame_id}))


def test_the_least_recently_used_go_first_and_the_bytes_stay_within_the_budget() -> None:
    results = Results(max_bytes=100_000)
    kept = [results.put(f"key-{number}", result(8_000), 0) for number in range(7)]
    results.get("key-0")
    results.put("key-8", result(8_000), 0)
    results.put("key-9", result(8_000), 0)
    counts = results.counts()
    assert all(kept)
    assert results.get("key-0") is not None
    assert results.get("key-1") is None
    assert (counts.bytes <= counts.max_bytes, counts.eviction_count) == (True, 1)


def test_a_table_larger_than_an_eighth_of_the_budget_is_not_kept() -> None:
    assert not Results(max_bytes=100_000).put("key", result(12_000), 0)


def test_a_table_that_was_begun_before_a_frame_was_dropped_is_not_kept() -> None:
    results = Results(max_bytes=1_000_000)
    seen = results.drop_count
    results.drop_frame("frame-2")
    assert not results.put("key", result(8_000), seen)


def test_dropping_a_frame_drops_the_tables_of_it_and_no_others() -> None:
    results = Results(max_bytes=1_000_000)
    results.put("one", result(8_000, "frame-1"), 0)
    results.put("two", result(8_000, "frame-2"), 0)
    results.drop_frame("frame-1")
    assert (results.get("one"), results.get("two") is not None) == (None, True)


def failing(cache: Cache) -> Iterator[str]:
    """Yield the reason of one statement that fails."""
    try:
        ask(cache, "select error('no') from rows")
    except ServiceError as error:
        yield error.reason


def test_a_failure_is_not_kept(rows: Cache) -> None:
    assert [*failing(rows), *failing(rows)] == ["INVALID_PARAMETER", "INVALID_PARAMETER"]
