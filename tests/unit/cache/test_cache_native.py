"""Derived tables as DuckDB's own: answers are the same before and after, whatever a statement does with their texts."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import frame_service_pb2 as pb

from tests.polling import poll_until
from tests.unit.cache.driver import Cache, derived, manifest_source, sliced

ROWS = pa.table(
    {
        "lot": [f"lot-{number}" for number in range(1000)],
        "reason": [None if number % 7 == 0 else f"reason-{(number * 31) % 13}" for number in range(1000)],
        "qty": pa.array(range(1000), pa.int64()),
    }
)

STATEMENTS = [
    "select reason, count(*) as n, sum(qty) as qty from rows group by reason order by reason nulls last",
    "select lag(reason, 1, 'none of them') over (order by qty) as before from rows order by qty limit 3",
    "select coalesce(reason, '(not filled)') as reason from rows order by qty limit 3",
    "select count(*) as n from rows where reason = 'no such reason' or reason > 'reason-5'",
    "select min(reason) as low, max(reason) as high from rows",
    "select case when qty < 500 then reason else 'rest' end as name, count(*) from rows group by 1 order by 1",
    "select reason from rows union select 'another' order by 1 nulls last",
]

NAMED_ROWS = pa.table(
    {
        "lot": [None if number % 1201 == 0 else f"lot-{number * 7919 % 1201}" for number in range(12_000)],
        "reason": [f"reason-{number % 13}" for number in range(12_000)],
        "qty": pa.array(range(12_000), pa.int64()),
    }
)
OF_NAMES = [
    "select lot, count(*) as n from rows where qty >= $least group by lot order by lot nulls last",
    "select lot from rows where qty >= $least order by lot desc nulls first, qty limit 9",
    "select min(lot) as low, max(lot) as high, count(distinct lot) as n from rows where qty >= $least",
    "select coalesce(lot, '(NA)') as lot, qty from rows where qty >= $least order by qty limit 9",
    "select count(*) as n from rows where qty >= $least and (lot = 'no such lot' or lot > 'lot-5' or lot like '%-7%')",
    "select count(*) as n from rows where qty >= $least and list_contains(['lot-7', 'no such lot'], lot)",
    "select lot from rows where qty >= $least union select 'another' order by 1 nulls last",
]


@pytest.fixture
def native(cache: Cache) -> Callable[[], bool]:
    """Puts the rows as a derived table; returns a question whether DuckDB has it as its own."""
    cache.put("rows-1", ROWS)
    tables = [
        sliced("raw", pb.FrameSlice(frame_id="rows-1")),
        derived("rows", "select lot, reason, qty from raw order by qty", "reason"),
    ]
    cache.put_manifest(cache.manifest("rows-manifest", tables))
    process = cache.process
    assert process is not None
    return lambda: (process.registry.get_sample_value("sluice_cache_native_bytes") or 0.0) > 0.0


def enums(cache: Cache) -> set[str]:
    """Return the columns of native tables that are ENUMs."""
    assert cache.process is not None
    found = "select column_name from duckdb_columns() where database_name = 'memory' and starts_with(data_type, 'ENUM')"
    return {name for (name,) in cache.process.database.connection().execute(found).fetchall()}


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_native_table_answers_as_the_mapped_frame_did(cache: Cache, native: Callable[[], bool], sql: str) -> None:
    mapped = cache.one([manifest_source("rows-manifest")], sql)
    poll_until(native, 10.0, "the native table")
    assert cache.one([manifest_source("rows-manifest")], sql).equals(mapped)


@pytest.mark.parametrize("sql", OF_NAMES)
def test_names_of_things_answer_as_their_texts_did(cache: Cache, native: Callable[[], bool], sql: str) -> None:
    cache.put("rows-1", NAMED_ROWS)
    sources = [manifest_source("rows-manifest")]
    mapped = cache.one(sources, sql, least=bind_pb2.BindValue(int64_value=-1))
    poll_until(native, 60.0, "the native table")
    assert enums(cache) == {"lot", "reason"}
    answer = cache.one(sources, sql, least=bind_pb2.BindValue(int64_value=-2))
    assert (answer, answer.schema) == (mapped, mapped.schema)


def test_a_text_that_hardly_repeats_stays_a_text(cache: Cache, native: Callable[[], bool]) -> None:
    cache.put("rows-1", NAMED_ROWS.set_column(0, "lot", pa.array([f"lot-{number // 2}" for number in range(12_000)])))
    sources = [manifest_source("rows-manifest")]
    cache.one(sources, "select count(*) as n from rows")
    poll_until(native, 60.0, "the native table")
    assert enums(cache) == {"reason"}


def test_a_deleted_derived_frame_gives_its_native_table_back(cache: Cache, native: Callable[[], bool]) -> None:
    cache.one([manifest_source("rows-manifest")], STATEMENTS[0])
    poll_until(native, 10.0, "the native table")
    listed = cache.frames.ListFrames(pb.ListFramesRequest(labels={"derived_from": "rows-manifest"}))
    cache.frames.DeleteFrame(pb.DeleteFrameRequest(frame_id=listed.frames[0].frame_id))
    assert not native()
