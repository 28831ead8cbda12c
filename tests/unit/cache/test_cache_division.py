"""Derived tables in passes: the answer of the undivided statement, within the memory of one pass."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice_cache.sql.division import shares_of_ranges
from sluice_rpc.errors import DeadlineExceeded, InvalidArgument, Unavailable
from sluice_rpc.ports import FakeClock, SystemClock

from tests.unit.cache.driver import NOW, Cache, manifest_source, moment, running, sliced

MIB = 1 << 20
RANKED = """
with placed as (select id, lot, t from early union all select id, lot, t from late),

ranked as (
    select id, lot, t, row_number() over (partition by lot order by t desc nulls last, id) as rn, $day as day
    from placed
),

other as (select id, lot, t, note from early union all select id, lot, t, note from late)

select other.*, ranked.rn, ranked.day, names.name
from other
left join ranked on ranked.id = other.id
left join names on names.lot = other.lot
order by other.t, other.id
"""
SCHEMA = pa.schema([("id", pa.int64()), ("lot", pa.string()), ("t", pa.timestamp("s")), ("note", pa.string())])
NAMES = pa.table({"lot": ["a", "b"], "name": ["first", "second"]})
START = datetime(2025, 1, 1)

Row = tuple[str | None, int | None]
rows_of = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.none() | st.integers(0, 5)), max_size=40)


def table_of(rows: list[Row], first_id: int = 0) -> pa.Table:
    """Return rows of a lot and an hour each; ids count up."""
    return pa.Table.from_pylist(
        [
            {"id": number, "lot": lot, "t": None if hour is None else START + timedelta(hours=hour), "note": f"n{hour}"}
            for number, (lot, hour) in enumerate(rows, first_id)
        ],
        schema=SCHEMA,
    )


def in_passes(sql: str, divide_by: str, **steps: str) -> pb.ManifestTable:
    """Return the entry of a table that may be derived in passes."""
    listed = [pb.DerivedStep(name=name, divide_by=column) for name, column in steps.items()]
    return pb.ManifestTable(name="main", derived=pb.DerivedTable(sql=sql, divide_by=divide_by, steps=listed))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    with running(tmp_path_factory.mktemp("whole"), FakeClock(NOW)) as cache:
        yield cache


@pytest.fixture(scope="module")
def narrow_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("narrow")


@pytest.fixture(scope="module")
def narrow(narrow_dir: Path) -> Iterator[Cache]:
    """A cache in which a table of 40 rows takes a handful of passes; its clock is the machine's."""
    with running(narrow_dir, SystemClock(), derive_memory_bytes=2048) as cache:
        yield cache


numbers = count()


def derived_of(cache: Cache, early: pa.Table, late: pa.Table) -> pa.Table:
    """Put two tables, and return what is derived from them, in its order."""
    number = next(numbers)
    for name, table in (("early", early), ("late", late), ("names", NAMES)):
        cache.put(f"{name}-{number}", table)
    tables = [sliced(name, pb.FrameSlice(frame_id=f"{name}-{number}")) for name in ("early", "late", "names")]
    tables.append(in_passes(RANKED, "t", ranked="lot"))
    cache.put_manifest(cache.manifest(f"man-{number}", tables, binds={"day": moment("2025-01-01T00:00:00")}))
    return cache.one([manifest_source(f"man-{number}")], "select * from main")


@settings(max_examples=30)
@given(rows_of, rows_of)
def test_passes_give_what_the_whole_gives_in_its_order(
    whole: Cache, narrow: Cache, early: list[Row], late: list[Row]
) -> None:
    tables = table_of(early), table_of(late, first_id=1000)
    assert derived_of(narrow, *tables).equals(derived_of(whole, *tables))


def test_nothing_of_the_passes_is_left(narrow: Cache, narrow_dir: Path) -> None:
    derived_of(narrow, table_of([("a", 1), ("b", 2), ("a", 3)] * 20), table_of([], 1000))
    assert not list(narrow_dir.glob("tmp/step*"))


def test_ranges_take_every_value_once_and_missing_values_last() -> None:
    assert [share.condition for share in shares_of_ranges("t", [1, 1, 2])] == [
        '"t" < 1::BIGINT',
        '"t" >= 1::BIGINT and "t" < 2::BIGINT',
        '("t" >= 2::BIGINT or "t" is null)',
    ]


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (in_passes("select * from rows order by id", "t"), "does not order by 't' first"),
        (in_passes("select * from rows order by t desc", "t"), "does not order by 't' first"),
        (in_passes("select * from rows order by t nulls first", "t"), "does not order by 't' first"),
        (in_passes("select * from rows", "t"), "does not order by 't' first"),
        (in_passes("select * from rows order by t", "t", ranked="lot"), "no common table expression 'ranked'"),
        (in_passes("with r as (select 1 as n) select * from rows order by t", "t", r=""), "needs a column"),
        (in_passes("with r as (select 1 as n) select * from rows order by t", "", r="lot"), "need a column"),
    ],
)
def test_a_division_that_cannot_be_is_refused(cache: Cache, entry: pb.ManifestTable, fault: str) -> None:
    cache.put("frame-1", table_of([("a", 1)]))
    manifest = cache.manifest("man-1", [sliced("rows", pb.FrameSlice(frame_id="frame-1")), entry])
    with pytest.raises(InvalidArgument, match=fault):
        cache.put_manifest(manifest)


WIDE = "with r as (select id, row_number() over (partition by lot order by id desc) as rn from rows) "
WIDE += "select rows.*, r.rn from rows join r on r.id = rows.id order by rows.t, rows.id"


@pytest.fixture
def cramped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    """A cache with little memory, and hardly a disk to spill to, that takes every table for a small one."""
    with running(
        tmp_path_factory.mktemp("cramped"),
        FakeClock(NOW),
        duckdb_memory_limit_bytes=64 * MIB,
        native_max_bytes=0,
        duckdb_temp_max_bytes=16 * MIB,
        derive_memory_bytes=1 << 40,
    ) as cache:
        rows = pa.table(
            {
                "id": pa.array(range(300_000), pa.int64()),
                "lot": [f"lot-{number % 1000:030}" for number in range(300_000)],
                "t": pa.array([START + timedelta(seconds=number % 5000) for number in range(300_000)], "timestamp[s]"),
                "note": [f"note {number:0200}" for number in range(300_000)],
            }
        )
        cache.put("frame-1", rows)
        yield cache


def counted(cache: Cache, entry: pb.ManifestTable) -> int:
    cache.put_manifest(cache.manifest("man-1", [sliced("rows", pb.FrameSlice(frame_id="frame-1")), entry]))
    table = cache.one([manifest_source("man-1")], "select count(*) as n, count(distinct id) as ids from main")
    assert table["n"] == table["ids"]
    return int(table["n"][0].as_py())


def test_a_pass_that_does_not_fit_is_made_narrower(cramped: Cache) -> None:
    assert counted(cramped, in_passes(WIDE, "t", r="lot")) == 300_000


def test_a_table_that_cannot_be_divided_and_does_not_fit_is_refused_by_name(cramped: Cache) -> None:
    undivided = pb.ManifestTable(name="main", derived=pb.DerivedTable(sql=WIDE))
    with pytest.raises(Unavailable) as caught:
        counted(cramped, undivided)
    assert caught.value.reason == "MEMORY_PRESSURE"


def test_passes_end_when_their_time_is_up_and_leave_nothing(narrow: Cache, narrow_dir: Path) -> None:
    narrow.put("long-1", table_of([("a", number % 6) for number in range(50_000)]))
    table = in_passes(WIDE, "t", r="lot")
    narrow.put_manifest(narrow.manifest("man-long", [sliced("rows", pb.FrameSlice(frame_id="long-1")), table]))
    statement = sql_pb.SqlStatement(sql="select count(*) from main")
    request = sql_pb.RunQueryRequest(sources=[manifest_source("man-long")], statements=[statement], timeout_s=0.3)
    with pytest.raises(DeadlineExceeded):
        list(narrow.sql.RunQuery(request))
    listed = narrow.frames.ListFrames(pb.ListFramesRequest(labels={"derived_from": "man-long"}))
    assert not listed.frames
    assert not list(narrow_dir.glob("tmp/step*"))
