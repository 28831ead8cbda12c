"""What statements of one request have in common is made once, and their answers are those that each gives by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import duckdb
import pyarrow as pa
import pytest
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice_cache.sql import check
from sluice_cache.sql.shared import Shared, Sharing
from sluice_cache.sql.tables import Bound

from tests.polling import poll_until
from tests.unit.cache.driver import Cache, derived, manifest_source, sliced

ROWS = pa.table(
    {
        "lot": [f"lot-{number % 90}" for number in range(1000)],
        "reason": [f"reason-{(number * 31) % 13}" for number in range(1000)],
        "qty": pa.array(range(1000), pa.int64()),
    }
)
SOURCES = [manifest_source("rows-manifest")]
SELECTED = "with selected as (select * from rows where qty >= $least),"
LOTS = "lots as (select distinct lot, reason from selected)"
TOTAL = f"{SELECTED} {LOTS} select count(*) as n, count(distinct lot) as lots from lots order by n"
WRITTEN_OTHERWISE = LOTS.replace("select distinct", "SELECT  -- the same\n distinct")
BY_REASON = f"{SELECTED} {WRITTEN_OTHERWISE} select reason, count(*) as n from lots group by 1 order by 1"
BESIDE = f"{SELECTED} {LOTS}, sums as (select reason, sum(qty) as qty from selected group by reason) \
select sums.reason, sums.qty, count(*) as n from sums join lots on lots.reason = sums.reason group by 1, 2 order by 1"
OTHERS = f"{SELECTED} lots as (select distinct lot from selected) select count(*) as n from lots order by n"
NAMED = f"{SELECTED} {LOTS} select count(*) as n from lots where reason <> $name order by n"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as opened:
        yield opened


@pytest.fixture
def parse(connection: duckdb.DuckDBPyConnection) -> check.Parse:
    """Gives DuckDB's tree of a text."""

    def tree(sql: str) -> check.Node:
        ((text,),) = connection.execute("select json_serialize_sql($sql::varchar)", {"sql": sql}).fetchall()
        return check.parsed(text)

    return tree


@pytest.fixture
def shared(connection: duckdb.DuckDBPyConnection, parse: check.Parse) -> Callable[..., list[Shared | None]]:
    """Returns what statements with these values have in common."""

    def text_of(tree: check.Node) -> str:
        told = json.dumps({"error": False, "statements": [tree]})
        ((text,),) = connection.execute("select json_deserialize_sql($tree::json)", {"tree": told}).fetchall()
        return str(text)

    sharing = Sharing(parse, text_of)
    return lambda *asked: sharing.of([Bound(check.select_of(sql, parse), values) for sql, values in asked])


def statement(sql: str, **more: bind_pb2.BindValue) -> sql_pb.SqlStatement:
    return sql_pb.SqlStatement(sql=sql, binds={"least": bind_pb2.BindValue(int64_value=100), **more})


def put_rows(cache: Cache) -> None:
    cache.put("rows-1", ROWS)
    told = "select lot, reason, qty from raw order by qty"
    tables = [sliced("raw", pb.FrameSlice(frame_id="rows-1")), derived("rows", told, "reason")]
    cache.put_manifest(cache.manifest("rows-manifest", tables))


def test_a_group_of_two_statements_is_made_once(shared: Callable[..., list[Shared | None]]) -> None:
    first, second = shared((TOTAL, {"least": 1}), (BY_REASON, {"least": 1}))
    assert first is not None
    assert second is not None
    assert first.groups == second.groups
    assert len(first.groups) == 1


@pytest.mark.parametrize(
    ("sql", "values"), [(BY_REASON, {"least": 2}), (OTHERS, {"least": 1}), ("select 1 as n order by n", {})]
)
def test_other_values_or_another_text_share_nothing(
    shared: Callable[..., list[Shared | None]], sql: str, values: dict[str, int]
) -> None:
    assert shared((TOTAL, {"least": 1}), (sql, values)) == [None, None]


@pytest.mark.parametrize("unwritten", ["the group", "what reads it"])
def test_statements_that_duckdb_cannot_write_down_run_as_they_were_sent(
    connection: duckdb.DuckDBPyConnection, parse: check.Parse, unwritten: str
) -> None:
    def text_of(tree: check.Node) -> str:
        told = json.dumps(tree)
        if unwritten == "the group" or "_shared_" in told:
            raise duckdb.SerializationException("no text of this tree")
        ((text,),) = connection.execute(
            "select json_deserialize_sql($tree::json)",
            {"tree": json.dumps({"error": False, "statements": [tree]})},
        ).fetchall()
        return str(text)

    asked = [Bound(check.select_of(sql, parse), {"least": 1}) for sql in (TOTAL, BY_REASON)]
    assert Sharing(parse, text_of).of(asked) == [None, None]


def test_what_changes_by_itself_is_not_shared(shared: Callable[..., list[Shared | None]]) -> None:
    fickle = "with lots as (select distinct random() as lot from rows) select lot from lots order by lot"
    assert shared((fickle, {}), (fickle.replace("order by lot", "order by 1"), {})) == [None, None]


def test_a_statement_that_shares_binds_what_it_still_reads(shared: Callable[..., list[Shared | None]]) -> None:
    [total, beside] = shared((TOTAL, {"least": 1}), (BESIDE, {"least": 1}))
    assert total is not None
    assert beside is not None
    assert (total.values, beside.values) == ({}, {"least": 1})


def test_answers_of_a_request_are_those_of_each_statement_by_itself(cache: Cache) -> None:
    put_rows(cache)
    asked = [statement(sql) for sql in (TOTAL, BY_REASON, BESIDE, OTHERS)]
    together = cache.run(SOURCES, *asked)
    put_rows(cache)  # what was kept is of rows that were replaced
    assert together == [cache.run(SOURCES, item)[0] for item in asked]
    assert together[0].to_pylist() == [{"n": 900, "lots": 90}]


def test_a_name_is_the_same_in_whatever_case_it_is_written(cache: Cache) -> None:
    put_rows(cache)
    few = "with Rows as (select * from rows where qty < 7), lots as (select distinct lot from rows)"
    asked = [sql_pb.SqlStatement(sql=f"{few} select count(*) as {name} from LOTS order by 1") for name in ("a", "b")]
    assert [table.to_pylist() for table in cache.run(SOURCES, *asked)] == [[{"a": 7}], [{"b": 7}]]


def test_a_request_leaves_no_table_behind_for_the_next(cache: Cache) -> None:
    put_rows(cache)
    cache.run(SOURCES, statement(TOTAL), statement(BY_REASON))
    later = bind_pb2.BindValue(int64_value=900)
    binds = {"least": later}
    answers = cache.run(
        SOURCES, sql_pb.SqlStatement(sql=TOTAL, binds=binds), sql_pb.SqlStatement(sql=BY_REASON, binds=binds)
    )
    assert answers[0].to_pylist() == [{"n": 100, "lots": 90}]


def test_a_text_that_no_row_has_is_compared_where_statements_share_rows_of_a_native_table(cache: Cache) -> None:
    put_rows(cache)
    cache.run(SOURCES, statement(TOTAL))
    process = cache.process
    assert process is not None
    poll_until(
        lambda: (process.registry.get_sample_value("sluice_cache_native_bytes") or 0.0) > 0.0, 60.0, "the native table"
    )
    nobody = bind_pb2.BindValue(string_value="no such reason")
    named, by_reason = cache.run(SOURCES, statement(NAMED, name=nobody), statement(BY_REASON))
    assert named.to_pylist() == [{"n": 900}]
    assert sum(by_reason.column("n").to_pylist()) == 900
