"""What callers' SQL may do, and how it is stopped; what it may not do is in the corpus of hostile statements."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice_rpc.errors import Cancelled, DeadlineExceeded, InvalidArgument, OutOfRange, Unavailable
from sluice_rpc.ports import FakeClock

from tests.unit.cache.driver import NOW, Cache, frame_source, running

HOLDS = pa.table({"lot": ["a", "b"], "reason": ["x", "y"], "qty": [1, 2]})

ENDLESS = [
    "with recursive r as (select 1 as n union all select n + 1 from r) select max(n) from r",
    "select count(*) from range(1000000) as a, range(1000000) as b where a.range + b.range = 3",
    "select sum(a.range * b.range) from range(1000000) as a, range(1000000) as b",
]

ALLOWED = [
    "select lot, sum(qty) over (order by lot rows unbounded preceding) as running from holds order by lot",
    "with d as (select unnest(generate_series(date '2024-01-01', date '2024-01-03', interval 1 day))) select 1 from d",
    "select count(*) filter (where qty > 1) as n, coalesce(max(reason), '(not filled)') as r from holds",
    "select h.lot from holds as h left join (values ('a', 1)) as v(lot, rank) on h.lot = v.lot where v.rank is null",
    "select case when qty < 2 then 'few' else 'many' end as size, count(*) from holds group by all having count(*) > 0",
    "select * from holds where reason in ('x') or lot like 'b%' order by qty desc nulls last limit 5 offset 0",
    "select lot from holds union select reason from holds order by 1",
    "select distinct on (reason) lot from holds qualify row_number() over (partition by reason order by qty) = 1",
    "select count(*) from holds where list_contains(['a'], lot) and qty between 1 and 2 and reason is not null",
    "with recursive r as (select 1 as n union all select n + 1 from r where n < 5) select max(n) from r",
    "select date_trunc('day', timestamp '2024-01-01 07:30:00' - interval '450 minutes')::date as day",
    "select quantile_cont(qty, 0.5), string_agg(lot, ',' order by lot), list(lot) from holds",
    "from holds select lot",
    "select columns('l.*') from holds",
]


@pytest.fixture(scope="module")
def holds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    with running(tmp_path_factory.mktemp("cache"), FakeClock(NOW)) as cache:
        cache.put("holds-1", HOLDS)
        yield cache


@pytest.mark.parametrize("sql", ALLOWED)
def test_a_view_may_use_it(holds: Cache, sql: str) -> None:
    assert holds.one([frame_source("holds", "holds-1")], sql).num_columns >= 1


@pytest.mark.parametrize("sql", ENDLESS)
def test_a_statement_without_end_is_stopped_by_the_deadline(holds: Cache, sql: str) -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        holds.run([frame_source("holds", "holds-1")], sql_pb.SqlStatement(sql=sql), timeout=0.5)
    assert time.monotonic() - started < 5.0


def test_the_cache_answers_after_a_stopped_statement(holds: Cache) -> None:
    with pytest.raises(DeadlineExceeded):
        holds.run([], sql_pb.SqlStatement(sql=ENDLESS[1]), timeout=0.3)
    assert holds.one([frame_source("holds", "holds-1")], "select count(*) as n from holds")["n"].to_pylist() == [2]


def test_a_statement_ends_when_its_caller_leaves(holds: Cache) -> None:
    responses = holds.sql.RunQuery(sql_pb.RunQueryRequest(statements=[sql_pb.SqlStatement(sql=ENDLESS[1])]))
    threading.Timer(0.2, responses.cancel).start()
    with pytest.raises(Cancelled):
        next(responses)


def test_a_statement_that_wants_too_much_memory_is_refused(holds: Cache) -> None:
    with pytest.raises(Unavailable) as caught:
        holds.run([], sql_pb.SqlStatement(sql="select list(a.range) from range(400000000) as a"), timeout=60)
    assert caught.value.reason == "MEMORY_PRESSURE"


def test_more_rows_than_allowed_are_refused(holds: Cache) -> None:
    with pytest.raises(OutOfRange) as caught:
        holds.run([], sql_pb.SqlStatement(sql="select range from range(100)"), limit=99)
    assert (caught.value.reason, caught.value.metadata["limit"]) == ("RESULT_TOO_LARGE", "99")


def test_a_bound_text_is_a_value_whatever_it_says(holds: Cache) -> None:
    text = "x' or true or 'y"
    bound = bind_pb2.BindValue(string_value=text)
    table = holds.one([frame_source("holds", "holds-1")], "select count(*) as n from holds where reason = $r", r=bound)
    assert table["n"].to_pylist() == [0]


def test_an_integer_beyond_64_bits_refuses_the_statement(holds: Cache) -> None:
    with pytest.raises(InvalidArgument, match="does not fit"):
        holds.one([], "select sum(x) as s from (values (9223372036854775807), (9223372036854775807)) as v(x)")


def test_an_unknown_column_is_named_in_the_refusal(holds: Cache) -> None:
    with pytest.raises(InvalidArgument, match="nothing"):
        holds.one([frame_source("holds", "holds-1")], "select nothing from holds")


def test_a_callers_statement_cannot_name_a_file_of_the_spool(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "spool" / "x.parquet"
    pq.write_table(HOLDS, path)
    with pytest.raises(InvalidArgument, match="not allowed"):
        cache.one([], f"select * from read_parquet('{path}')")
