"""A statement that makes DuckDB fail ends that DuckDB for everybody; the next statement finds one that answers."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice_cache.errors import StatementLost
from sluice_cache.sql.place import Inside, guarded
from sluice_cache.tiers.opened import Ending
from sluice_rpc import arrow
from sluice_rpc.errors import Internal, ServiceError

from tests.polling import poll_until
from tests.unit.cache.driver import Cache, derived, frame_source, manifest_source, sliced

# Past every calendar: showing it as text is an internal error of DuckDB. No put takes it, so it is laid in by hand.
FAULTY = pa.table({"t": pa.array([0, 2**62], pa.int64()).cast(pa.timestamp("s"))})
ROWS = pa.table({"reason": ["x", "y", "x"], "qty": pa.array([1, 2, 3], pa.int64())})
SUM = "select reason, sum(qty) as qty from rows group by reason order by reason"
SUMMED = {"reason": ["x", "y"], "qty": [4, 2]}
INSIDE = "select cast(t as varchar) as x from f"
APART = "select upper(cast(t as varchar)) as x from f"


@pytest.fixture
def faulty(cache: Cache) -> Cache:
    """A cache with a frame whose rows break DuckDB, and one that does not."""
    assert cache.process is not None
    ending = Ending(FAULTY.num_rows, FAULTY.nbytes, {}, None, None, None)
    cache.process.store.put("faulty", 1, FAULTY.schema, FAULTY.to_batches(), lambda: ending)
    cache.put("rows-1", ROWS)
    return cache


def put_manifest(cache: Cache, name: str, source: str, sql: str) -> list[sql_pb.SqlSource]:
    """Put a manifest with one derived table, `rows`, and return it as a source."""
    cache.put_manifest(cache.manifest(name, [sliced("f", pb.FrameSlice(frame_id=source)), derived("rows", sql)]))
    return [manifest_source(name)]


def breaks(cache: Cache, sources: list[sql_pb.SqlSource], sql: str) -> bool:
    """Run a statement that ends its DuckDB."""
    with pytest.raises(Internal):
        cache.one(sources, sql)
    return True


@pytest.mark.parametrize("sql", [INSIDE, APART], ids=["inside", "apart"])
def test_the_statement_after_one_that_broke_duckdb_is_answered(faulty: Cache, sql: str) -> None:
    answers = []
    for _ in range(3):
        assert breaks(faulty, [frame_source("f", "faulty")], sql)
        answers.append(faulty.one([frame_source("rows", "rows-1")], SUM).to_pydict())
    assert answers == [SUMMED] * 3


def test_tables_of_the_broken_duckdb_are_made_again(faulty: Cache) -> None:
    process = faulty.process
    assert process is not None

    def native_bytes() -> float:
        return process.registry.get_sample_value("sluice_cache_native_bytes") or 0.0

    good = put_manifest(faulty, "good-manifest", "rows-1", "select reason, qty from f order by qty")
    bad = put_manifest(faulty, "bad-manifest", "faulty", "select cast(t as varchar) as x from f")
    faulty.one(good, SUM)
    poll_until(native_bytes, 60.0, "DuckDB's own table")
    assert breaks(faulty, bad, "select x from rows order by x")
    assert native_bytes() == 0
    assert faulty.one(good, f"{SUM} desc").to_pydict() == {"reason": ["y", "x"], "qty": [2, 4]}
    poll_until(native_bytes, 60.0, "DuckDB's own table again")
    assert faulty.one(good, SUM).to_pydict() == SUMMED


def test_a_statement_under_way_meanwhile_is_read_whole_or_lost_by_name(faulty: Cache) -> None:
    numbers = pa.table({"n": pa.array(range(3_000_000), pa.int64())})
    faulty.put("numbers", numbers)
    asked = sql_pb.SqlStatement(sql="select n, n + 1 as m from numbers order by n")
    responses = faulty.sql.RunQuery(
        sql_pb.RunQueryRequest(sources=[frame_source("numbers", "numbers")], statements=[asked])
    )
    first = next(responses)
    assert breaks(faulty, [frame_source("f", "faulty")], INSIDE)
    try:
        rows = arrow.decode(item.chunk.ipc for item in responses if item.WhichOneof("part") == "chunk").read_all()
        end = "whole" if rows.num_rows == numbers.num_rows else "cut"
    except ServiceError as error:
        end = error.reason
    assert first.header.statement_index == 0
    assert end in {"whole", "SERVICE_UNAVAILABLE"}
    assert faulty.one([frame_source("rows", "rows-1")], SUM).to_pydict() == SUMMED


def test_a_statement_that_anothers_fault_ended_may_be_tried_again() -> None:
    told: list[str] = []
    with duckdb.connect() as connection:
        place = Inside(connection, str, has_native=False, broke=lambda: told.append("broke"))
        with pytest.raises(StatementLost) as caught, guarded(place):
            raise duckdb.FatalException("the database was ended by another statement")
    assert (told, caught.value.reason) == (["broke"], "SERVICE_UNAVAILABLE")
