"""Slices of a manifest that are limited to ids kept in a frame of their own."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_rpc.errors import InvalidArgument

from tests.unit.cache.driver import Cache, manifest_source, sliced

HOLDS = pa.table(
    {
        "lot": pa.array(["a", "b", None, "d"]),
        "qty": pa.array([1, 2, 3, 4], pa.int64()),
        "hold_time": pa.array([datetime(2024, 1, day) for day in (1, 2, 3, 4)], pa.timestamp("s")),
    }
)
IDS = pa.table({"id": ["a", "d", "b"], "number": pa.array([1, 1, 2], pa.int64())})


def quantities(cache: Cache, *slices: pb.FrameSlice) -> list[int]:
    cache.put_manifest(cache.manifest("lots", [sliced("slice", *slices)]))
    found: list[int] = cache.one([manifest_source("lots")], "select qty from slice order by qty")["qty"].to_pylist()
    return found


def selection(number: int, *, exclude: bool = False, frame_id: str = "ids-1", column: str = "lot") -> pb.IdSelection:
    return pb.IdSelection(column=column, frame_id=frame_id, number=number, exclude=exclude)


def test_a_slice_reads_the_rows_of_one_set_of_ids(cache: Cache) -> None:
    cache.put("holds-1", HOLDS)
    cache.put("ids-1", IDS)
    assert quantities(cache, pb.FrameSlice(frame_id="holds-1", ids=selection(1))) == [1, 4]


def test_a_slice_without_ids_reads_the_others_and_those_that_have_none(cache: Cache) -> None:
    cache.put("holds-1", HOLDS)
    cache.put("ids-1", IDS)
    assert quantities(cache, pb.FrameSlice(frame_id="holds-1", ids=selection(1, exclude=True))) == [2, 3]


def test_a_range_and_ids_both_count(cache: Cache) -> None:
    cache.put("holds-1", HOLDS)
    cache.put("ids-1", IDS)
    late = pb.FrameSlice(frame_id="holds-1", column="hold_time", start="2024-01-02T00:00:00", ids=selection(1))
    assert quantities(cache, late) == [4]


def test_an_unknown_set_holds_no_ids(cache: Cache) -> None:
    cache.put("holds-1", HOLDS)
    cache.put("ids-1", IDS)
    assert quantities(cache, pb.FrameSlice(frame_id="holds-1", ids=selection(9))) == []


def test_a_manifest_keeps_its_frame_of_ids(cache: Cache) -> None:
    cache.put("holds-1", HOLDS)
    cache.put("ids-1", IDS, keep_s=1.0)
    manifest = cache.manifest("lots", [sliced("slice", pb.FrameSlice(frame_id="holds-1", ids=selection(1)))])
    cache.put_manifest(manifest)
    kept = cache.frames.StatFrame(pb.StatFrameRequest(frame_id="ids-1")).frame
    assert kept.keep_until_time.ToDatetime() >= manifest.keep_until_time.ToDatetime()


def test_a_frame_that_holds_no_ids_is_refused(cache: Cache) -> None:
    cache.put("holds-1", HOLDS)
    with pytest.raises(InvalidArgument, match="holds no ids"):
        quantities(cache, pb.FrameSlice(frame_id="holds-1", ids=selection(1, frame_id="holds-1")))


def test_ids_without_a_column_are_refused(cache: Cache) -> None:
    cache.put("holds-1", HOLDS)
    cache.put("ids-1", IDS)
    with pytest.raises(InvalidArgument, match="need the column"):
        quantities(cache, pb.FrameSlice(frame_id="holds-1", ids=selection(1, column="")))
