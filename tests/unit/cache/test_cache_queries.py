"""Statements over frames and manifests, through the real server."""

from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pytest
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_rpc.errors import InvalidArgument

from tests.unit.cache.driver import Cache, derived, frame_source, manifest_source, moment, sliced

HOLDS = pa.table(
    {
        "lot": pa.array(["a", "b", "c", "d"]),
        "reason": pa.array(["x", "y", None, "x"]).dictionary_encode(),
        "qty": pa.array([1, 2, 3, 4], pa.int64()),
        "hold_time": pa.array([datetime(2024, 1, day, 7, 30) for day in (1, 2, 3, 4)], pa.timestamp("s")),
        "release_time": pa.array([datetime(2024, 1, 2), None, datetime(2024, 1, 4), None], pa.timestamp("s")),
    }
)


def test_a_statement_reads_a_frame_under_the_name_it_was_given(cache: Cache) -> None:
    cache.put("holds-1", HOLDS)
    table = cache.one(
        [frame_source("h", "holds-1")],
        "select lot, qty from h where qty > $n order by lot",
        n=bind_pb2.BindValue(int64_value=2),
    )
    assert table.to_pydict() == {"lot": ["c", "d"], "qty": [3, 4]}


def test_integer_sums_leave_as_int64_and_dictionaries_as_text(cache: Cache) -> None:
    cache.put("holds-1", HOLDS)
    table = cache.one(
        [frame_source("h", "holds-1")],
        "select reason, sum(qty) as qty, max(hold_time) as last from h group by reason order by qty",
    )
    assert table.schema.types == [pa.string(), pa.int64(), pa.timestamp("s")]


def test_slices_of_a_table_are_cut_and_clipped_on_every_read(cache: Cache) -> None:
    cache.put("holds-1", HOLDS.slice(0, 2))
    cache.put("holds-2", HOLDS.slice(2, 2))
    table = sliced(
        "slice",
        pb.FrameSlice(frame_id="holds-1", column="hold_time", start="2024-01-02T07:30:00", end="2024-01-03T07:30:00"),
        pb.FrameSlice(frame_id="holds-2", column="hold_time", start="2024-01-03T07:30:00"),
        clip="hold_time < $end_time and (release_time is null or release_time >= $start_time)",
    )
    binds = {"start_time": moment("2024-01-03T07:30:00"), "end_time": moment("2024-01-04T07:30:00")}
    cache.put_manifest(cache.manifest("year", [table], binds=binds))
    assert cache.one([manifest_source("year")], "select lot from slice order by lot")["lot"].to_pylist() == ["b", "c"]


def test_a_derived_table_reads_those_before_it_and_binds_the_manifest_values(cache: Cache) -> None:
    cache.put("holds-1", HOLDS)
    tables = [
        sliced("slice", pb.FrameSlice(frame_id="holds-1")),
        derived("holds", "select lot, reason, qty, cast($day as date) as day from slice where qty > 1", "reason"),
    ]
    cache.put_manifest(cache.manifest("year", tables, binds={"day": bind_pb2.BindValue(date_value="2024-01-04")}))
    table = cache.one([manifest_source("year")], "select lot, day from holds where reason = 'x'")
    assert table.to_pydict() == {"lot": ["d"], "day": [date(2024, 1, 4)]}


def test_an_unknown_relation_is_refused_by_name(cache: Cache) -> None:
    cache.put("holds-1", HOLDS)
    with pytest.raises(InvalidArgument, match="unknown relation 'other'"):
        cache.one([frame_source("h", "holds-1")], "select * from other")
