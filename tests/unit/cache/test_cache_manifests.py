"""Manifests: versions, what they keep alive, what they refuse, and that derived tables are computed once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice.table.v1 import table_pb2
from sluice_rpc.errors import InvalidArgument, NotFound
from sluice_rpc.ports import FakeClock

from tests.unit.cache.driver import Cache, derived, frame_source, manifest_source, moment, running, sliced

DAYS = [datetime(2024, 1, day) for day in (1, 2, 3)]
ROWS = pa.table({"n": pa.array([1, 2, 3], pa.int64()), "t": pa.array(DAYS, pa.timestamp("s"))})


def one_frame(frame_id: str = "frame-1") -> pb.ManifestTable:
    return sliced("rows", pb.FrameSlice(frame_id=frame_id))


def derived_ids(cache: Cache, manifest_id: str = "man-1") -> list[str]:
    request = pb.ListFramesRequest(labels={"derived_from": manifest_id})
    return [frame.frame_id for frame in cache.frames.ListFrames(request).frames]


def test_a_manifest_comes_back_with_its_receipt(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    receipt = table_pb2.Receipt(query_id="0123456789abcdef", plan="1 chunk read")
    manifest = cache.manifest("man-1", [one_frame()], receipt=receipt, labels={"dataset": "x"})
    cache.put_manifest(manifest)
    assert cache.frames.GetManifest(pb.GetManifestRequest(manifest_id="man-1")).manifest == manifest


def test_a_manifest_keeps_its_frames_as_long_as_itself(cache: Cache, clock: FakeClock) -> None:
    cache.put("frame-1", ROWS, keep_s=10)
    cache.put_manifest(cache.manifest("man-1", [one_frame()]))
    clock.advance(899)
    assert cache.one([manifest_source("man-1")], "select count(*) as n from rows")["n"].to_pylist() == [3]


def test_a_late_manifest_does_not_replace_a_newer_one(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    cache.put_manifest(cache.manifest("man-1", [one_frame()], version=2))
    response = cache.put_manifest(cache.manifest("man-1", [one_frame()], version=1))
    assert (response.stored, response.manifest.version) == (False, 2)


def test_a_manifest_over_a_missing_frame_is_cache_expired(cache: Cache) -> None:
    with pytest.raises(NotFound) as caught:
        cache.put_manifest(cache.manifest("man-1", [one_frame("frame-9")]))
    assert caught.value.metadata == {"frame_id": "frame-9"}


def test_an_unknown_manifest_is_cache_expired(cache: Cache) -> None:
    with pytest.raises(NotFound) as caught:
        cache.one([manifest_source("0123456789abcdef")], "select 1")
    assert (caught.value.reason, caught.value.metadata) == ("CACHE_EXPIRED", {"manifest_id": "0123456789abcdef"})


def test_a_manifest_is_gone_when_its_time_has_come(cache: Cache, clock: FakeClock) -> None:
    cache.put("frame-1", ROWS, keep_s=10_000)
    cache.put_manifest(cache.manifest("man-1", [one_frame()]))
    clock.advance(900)
    with pytest.raises(NotFound):
        cache.one([manifest_source("man-1")], "select 1")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (sliced("rows"), "no frame"),
        (sliced("Rows", pb.FrameSlice(frame_id="frame-1")), "must be 1 to 63"),
        (sliced("rows", pb.FrameSlice(frame_id="frame-1", start="2024-01-01T00:00:00")), "needs the column"),
        (sliced("rows", pb.FrameSlice(frame_id="frame-1", column="t", start="yesterday")), "yesterday"),
        (sliced("rows", pb.FrameSlice(frame_id="frame-1", column="t", end="2024-01-01T00:00:00Z")), "zone"),
        (sliced("rows", pb.FrameSlice(frame_id="frame-1"), clip="n > $missing"), "not bound"),
        (sliced("rows", pb.FrameSlice(frame_id="frame-1"), clip="true; drop table x"), "must be one SELECT"),
        (sliced("rows", pb.FrameSlice(frame_id="frame-1"), clip="n in (select 1)"), "one expression"),
        (sliced("rows", pb.FrameSlice(frame_id="frame-1"), clip="n from other"), "one expression"),
        (sliced("rows", pb.FrameSlice(frame_id="frame-1"), clip="n, t"), "one expression"),
        (derived("rows", "select * from later"), "unknown relation"),
        (derived("rows", "select * from rows"), "unknown relation"),
        (derived("rows", "select $x as x"), "not bound"),
        (pb.ManifestTable(name="rows"), "no source"),
    ],
)
def test_a_malformed_table_is_refused(cache: Cache, table: pb.ManifestTable, said: str) -> None:
    cache.put("frame-1", ROWS)
    with pytest.raises(InvalidArgument, match=said):
        cache.put_manifest(cache.manifest("man-1", [table]))


def test_frames_that_do_not_share_a_schema_are_refused_when_read(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    cache.put("frame-2", ROWS.select(["t", "n"]))
    cache.put_manifest(
        cache.manifest("man-1", [sliced("rows", *(pb.FrameSlice(frame_id=f"frame-{n}") for n in (1, 2)))])
    )
    with pytest.raises(InvalidArgument, match="do not share a schema"):
        cache.one([manifest_source("man-1")], "select * from rows")


@pytest.mark.parametrize(
    ("value", "clip", "kept"),
    [
        (bind_pb2.BindValue(int64_value=2), "n >= $v", [2, 3]),
        (bind_pb2.BindValue(double_value=2.5), "n > $v", [3]),
        (bind_pb2.BindValue(bool_value=False), "$v", []),
        (bind_pb2.BindValue(string_value="2'; drop table x; --"), "n::varchar = $v", []),
        (bind_pb2.BindValue(date_value="2024-01-02"), "t::date = $v", [2]),
        (bind_pb2.BindValue(timestamp_value="2024-01-02T00:00:00"), "t < $v", [1]),
        (
            bind_pb2.BindValue(string_list=bind_pb2.StringList(values=["1", "3"])),
            "list_contains($v, n::varchar)",
            [1, 3],
        ),
        (bind_pb2.BindValue(date_list=bind_pb2.StringList(values=["2024-01-03"])), "list_contains($v, t::date)", [3]),
        (bind_pb2.BindValue(), "n = 1 or $v is not null", [1]),
    ],
)
def test_a_clip_binds_every_kind_of_value(cache: Cache, value: bind_pb2.BindValue, clip: str, kept: list[int]) -> None:
    cache.put("frame-1", ROWS)
    manifest = cache.manifest(
        "man-1", [sliced("rows", pb.FrameSlice(frame_id="frame-1"), clip=clip)], binds={"v": value}
    )
    cache.put_manifest(manifest)
    assert cache.one([manifest_source("man-1")], "select n from rows order by n")["n"].to_pylist() == kept


def test_a_derived_table_is_computed_once_for_many_callers(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    tables = [one_frame(), derived("ranked", "select n, random() as luck from rows")]
    cache.put_manifest(cache.manifest("man-1", tables))
    with ThreadPoolExecutor(8) as callers:
        sql = "select luck from ranked order by n"
        answers = list(callers.map(lambda _: cache.one([manifest_source("man-1")], sql)["luck"].to_pylist(), range(8)))
    assert answers == [answers[0]] * 8
    assert len(derived_ids(cache)) == 1


def test_a_derived_table_is_not_computed_before_it_is_read(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    cache.put_manifest(cache.manifest("man-1", [one_frame(), derived("ranked", "select n from rows")]))
    cache.one([manifest_source("man-1")], "select n from rows")
    assert derived_ids(cache) == []


def test_a_newer_manifest_derives_anew(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    cache.put("frame-2", ROWS.slice(0, 1))
    for version, frame_id in ((1, "frame-1"), (2, "frame-2")):
        tables = [one_frame(frame_id), derived("ranked", "select n from rows")]
        cache.put_manifest(cache.manifest("man-1", tables, version=version))
        answer = cache.one([manifest_source("man-1")], "select count(*) as n from ranked")
    assert answer["n"].to_pylist() == [1]


def test_derived_tables_read_derived_tables(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    tables = [
        one_frame(),
        derived("doubled", "select n * 2 as n from rows"),
        derived("summed", "select sum(n)::bigint as n from doubled"),
    ]
    cache.put_manifest(cache.manifest("man-1", tables))
    assert cache.one([manifest_source("man-1")], "select n from summed")["n"].to_pylist() == [12]


def test_dictionary_columns_of_a_derived_table_are_encoded(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    tables = [one_frame(), derived("named", "select n, 'name-' || (n % 2) as name from rows", "name")]
    cache.put_manifest(cache.manifest("man-1", tables))
    cache.one([manifest_source("man-1")], "select count(*) from named")
    assert cache.get(derived_ids(cache)[0]).schema.field("name").type == pa.dictionary(pa.int32(), pa.string())


def test_a_statements_own_value_wins_over_the_manifests(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    cache.put_manifest(cache.manifest("man-1", [one_frame()], binds={"low": bind_pb2.BindValue(int64_value=1)}))
    sql = "select count(*) as n from rows where n > $low"
    theirs = cache.one([manifest_source("man-1")], sql)
    own = cache.one([manifest_source("man-1")], sql, low=bind_pb2.BindValue(int64_value=2))
    assert (theirs["n"].to_pylist(), own["n"].to_pylist()) == ([2], [1])


def test_one_request_reads_frames_and_manifests_together(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    cache.put("names-1", pa.table({"n": pa.array([1, 2], pa.int64()), "name": ["one", "two"]}))
    cache.put_manifest(cache.manifest("man-1", [one_frame()]))
    sources = [manifest_source("man-1"), frame_source("names", "names-1")]
    answers = cache.run(
        sources,
        sql_pb.SqlStatement(sql="select name from rows join names using (n) order by n"),
        sql_pb.SqlStatement(sql="select count(*) as n from rows"),
    )
    assert [answer.to_pydict() for answer in answers] == [{"name": ["one", "two"]}, {"n": [3]}]


def test_two_sources_of_one_name_are_refused(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    cache.put_manifest(cache.manifest("man-1", [one_frame()]))
    with pytest.raises(InvalidArgument, match="two sources"):
        cache.one([manifest_source("man-1"), frame_source("rows", "frame-1")], "select 1")


def test_a_restarted_process_finds_manifests_and_what_they_derived(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock) as cache:
        cache.put("frame-1", ROWS)
        tables = [one_frame(), derived("ranked", "select n, random() as luck from rows")]
        cache.put_manifest(cache.manifest("man-1", tables))
        before = cache.one([manifest_source("man-1")], "select * from ranked order by n")
    with running(tmp_path / "cache", clock) as cache:
        assert cache.one([manifest_source("man-1")], "select * from ranked order by n").equals(before)


def test_types_of_an_answer_do_not_depend_on_the_tier(tmp_path: Path, clock: FakeClock) -> None:
    schemas = []
    for spill_row_count in (1, 100):
        with running(tmp_path / str(spill_row_count), clock, spill_row_count=spill_row_count) as cache:
            cache.put("frame-1", ROWS)
            cache.put_manifest(cache.manifest("man-1", [one_frame()], binds={"x": moment("2024-01-01T00:00:00")}))
            schemas.append(
                cache.one([manifest_source("man-1")], "select n, t, max(t) over () as last from rows").schema
            )
    assert schemas[0].equals(schemas[1])
