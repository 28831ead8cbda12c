"""Frames through the real server: what is put comes back, and what is wrong leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pyarrow as pa
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import InvalidArgument, NotFound, OutOfRange
from sluice_rpc.ports import FakeClock

from tests.unit.cache.driver import Cache, frame_source, running

ROWS = pa.table({"lot": pa.array(["a", "b", None]), "qty": pa.array([1, 2, 3], pa.int64())})


def stat(cache: Cache, frame_id: str) -> pb.Frame:
    response: pb.StatFrameResponse = cache.frames.StatFrame(pb.StatFrameRequest(frame_id=frame_id))
    return response.frame


def listed(cache: Cache, **labels: str) -> list[str]:
    response = cache.frames.ListFrames(pb.ListFramesRequest(labels=labels))
    return [frame.frame_id for frame in response.frames]


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def test_a_frame_comes_back_as_it_was_put(cache: Cache) -> None:
    table = pa.table(
        {
            "text": pa.array(["ä", None, ""]),
            "code": pa.array(["x", "y", None]).dictionary_encode(),
            "amount": pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(9, 2)),
            "time": pa.array([datetime(2024, 1, 1, 7, 30), None, datetime(2024, 1, 2)], pa.timestamp("s")),
            "zoned": pa.array([datetime(2024, 1, 1), None, None], pa.timestamp("us", "Asia/Taipei")),
            "nothing": pa.nulls(3, pa.float64()),
        }
    )
    cache.put("frame-1", table)
    assert cache.get("frame-1").equals(table)


def test_columns_and_rows_of_a_frame_can_be_chosen(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    assert cache.get("frame-1", columns=["qty"], offset=1, limit=1).to_pydict() == {"qty": [2]}


def test_an_unknown_column_is_refused(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    with pytest.raises(InvalidArgument, match="no column 'other'"):
        cache.get("frame-1", columns=["other"])


def test_a_frame_without_rows_is_a_frame(cache: Cache) -> None:
    cache.put("frame-1", ROWS.slice(0, 0))
    assert cache.get("frame-1").schema == ROWS.schema


def test_a_malformed_id_is_an_invalid_parameter(cache: Cache) -> None:
    with pytest.raises(InvalidArgument) as caught:
        stat(cache, "../etc/passwd")
    assert caught.value.violations[0].field == "frame_id"


def test_an_unknown_frame_is_cache_expired(cache: Cache) -> None:
    with pytest.raises(NotFound) as caught:
        stat(cache, "frame-1")
    assert (caught.value.reason, caught.value.metadata) == ("CACHE_EXPIRED", {"frame_id": "frame-1"})


def test_a_frame_is_gone_when_its_time_has_come(cache: Cache, clock: FakeClock) -> None:
    cache.put("frame-1", ROWS, keep_s=10)
    clock.advance(10)
    with pytest.raises(NotFound):
        cache.get("frame-1")


def test_a_read_begun_before_expiry_ends_well(cache: Cache, clock: FakeClock) -> None:
    table = pa.table({"n": pa.array(range(1_000_000), pa.int64())})
    cache.put("frame-1", table, keep_s=10)
    responses = cache.frames.GetFrame(pb.GetFrameRequest(frame_id="frame-1"))
    assert next(responses).frame.row_count == 1_000_000
    clock.advance(11)
    cache.frames.DeleteFrame(pb.DeleteFrameRequest(frame_id="frame-1"))
    assert arrow.decode(response.chunk.ipc for response in responses).read_all().equals(table)


def test_a_late_put_does_not_replace_a_newer_one(cache: Cache) -> None:
    cache.put("frame-1", ROWS, version=2)
    response = cache.put("frame-1", ROWS.slice(0, 1), version=1)
    assert (response.stored, response.frame.version, cache.get("frame-1").num_rows) == (False, 2, 3)


def test_a_newer_put_replaces_rows_and_labels(cache: Cache) -> None:
    cache.put("frame-1", ROWS, version=1, labels={"series": "old"})
    cache.put("frame-1", ROWS.slice(0, 1), version=2, labels={"series": "new"})
    assert (listed(cache, series="old"), listed(cache, series="new")) == ([], ["frame-1"])


def test_touch_never_shortens_the_life_of_a_frame(cache: Cache, clock: FakeClock) -> None:
    cache.put("frame-1", ROWS, keep_s=100)
    request = pb.TouchFrameRequest(frame_id="frame-1")
    request.keep_until_time.FromDatetime(clock.now() + timedelta(seconds=5))
    cache.frames.TouchFrame(request)
    clock.advance(99)
    assert stat(cache, "frame-1").row_count == 3


def test_deleting_what_is_not_there_succeeds(cache: Cache) -> None:
    cache.frames.DeleteFrame(pb.DeleteFrameRequest(frame_id="frame-1"))
    assert listed(cache, series="s") == []


def test_frames_are_listed_by_all_their_labels_oldest_read_first(cache: Cache, clock: FakeClock) -> None:
    cache.put("frame-b", ROWS, labels={"series": "s", "part": "slice"})
    clock.advance(1)
    cache.put("frame-a", ROWS, labels={"series": "s", "part": "slice"})
    cache.put("frame-c", ROWS, labels={"series": "s", "part": "other"})
    assert listed(cache, series="s", part="slice") == ["frame-b", "frame-a"]


def test_pages_of_a_list_join_without_gap_or_repeat(cache: Cache) -> None:
    for number in range(5):
        cache.put(f"frame-{number}", ROWS, labels={"series": "s"})
    ids, token = [], "-"
    while token:
        request = pb.ListFramesRequest(labels={"series": "s"}, page_size=2, page_token=token.strip("-"))
        response = cache.frames.ListFrames(request)
        ids += [frame.frame_id for frame in response.frames]
        token = response.next_page_token
    assert ids == [f"frame-{number}" for number in range(5)]


def test_rows_that_differ_from_the_trailer_leave_nothing_behind(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="the trailer says 4, 3 came"):
        cache.put("frame-1", ROWS, row_count=4)
    assert files_of(tmp_path / "cache") == []


def test_more_bytes_than_allowed_leave_nothing_behind(cache: Cache, tmp_path: Path) -> None:
    table = pa.table({"n": pa.array(range(1_000_000), pa.int64())})
    with pytest.raises(OutOfRange) as caught:
        cache.put("frame-1", table, codec=None, max_bytes=2_000_000)
    assert (caught.value.reason, files_of(tmp_path / "cache")) == ("RESULT_TOO_LARGE", [])


@pytest.mark.parametrize("kept", [0, 1, 8, 100, 300, 400])
def test_a_stream_that_is_cut_leaves_nothing_behind(cache: Cache, tmp_path: Path, kept: int) -> None:
    whole = b"".join(arrow.encode(ROWS.schema, ROWS.to_batches()))

    def requests() -> Iterator[pb.PutFrameRequest]:
        yield pb.PutFrameRequest(header=pb.FrameHeader(frame_id="frame-1"))
        yield pb.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=whole[:kept]))
        yield pb.PutFrameRequest(trailer=cache.trailer(3, {}))

    with pytest.raises(InvalidArgument):
        cache.frames.PutFrame(requests())
    assert files_of(tmp_path / "cache") == []


def test_a_put_without_trailer_leaves_nothing_behind(cache: Cache, tmp_path: Path) -> None:
    def requests() -> Iterator[pb.PutFrameRequest]:
        yield pb.PutFrameRequest(header=pb.FrameHeader(frame_id="frame-1"))
        for piece in arrow.encode(ROWS.schema, ROWS.to_batches()):
            yield pb.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=piece))

    with pytest.raises(InvalidArgument, match="without its trailer"):
        cache.frames.PutFrame(requests())
    assert files_of(tmp_path / "cache") == []


def test_a_put_whose_first_message_is_no_header_is_refused(cache: Cache) -> None:
    with pytest.raises(InvalidArgument, match="its header"):
        cache.frames.PutFrame(iter([pb.PutFrameRequest(trailer=cache.trailer(0, {}))]))


def test_too_many_labels_are_refused(cache: Cache) -> None:
    with pytest.raises(InvalidArgument, match="at most 32 labels"):
        cache.put("frame-1", ROWS, labels={f"label-{number}": "x" for number in range(33)})


def test_a_large_frame_goes_straight_to_the_spool_and_answers_from_there(tmp_path: Path, clock: FakeClock) -> None:
    table = pa.table({"n": pa.array(range(300_000), pa.int64()), "s": pa.array(["x"] * 300_000).dictionary_encode()})
    with running(tmp_path / "cache", clock, spill_row_count=200_000) as cache:
        response = cache.put("frame-1", table)
        assert response.frame.tier == table_pb2.TIER_SPOOL
        assert cache.get("frame-1").equals(table)
        summed = cache.one([frame_source("f", "frame-1")], "select sum(n) as n, max(s) as s from f")
        assert summed.to_pydict() == {"n": [300_000 * 299_999 // 2], "s": ["x"]}


def test_hot_frames_over_the_budget_move_down_and_still_answer(tmp_path: Path, clock: FakeClock) -> None:
    table = pa.table({"n": pa.array(range(1_000_000), pa.int64())})
    with running(tmp_path / "cache", clock, memory_max_bytes=20 << 20, native_max_bytes=0) as cache:
        for number in range(4):
            cache.put(f"frame-{number}", table, codec=None)
        assert stat(cache, "frame-0").tier == table_pb2.TIER_SPOOL
        assert cache.get("frame-0").equals(table)


def test_a_full_spool_keeps_what_is_hot_and_lets_the_oldest_go(tmp_path: Path, clock: FakeClock) -> None:
    table = pa.table({"n": pa.array(range(1_000_000), pa.int64())})
    with running(tmp_path / "cache", clock, memory_max_bytes=20 << 20, native_max_bytes=0, spool_max_bytes=1) as cache:
        for number in range(4):
            cache.put(f"frame-{number}", table, codec=None)
        assert cache.get("frame-3").equals(table)
        with pytest.raises(NotFound):
            stat(cache, "frame-0")


def test_a_restarted_process_finds_its_frames(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock) as cache:
        cache.put("frame-1", ROWS, labels={"series": "s"})
    with running(tmp_path / "cache", clock) as cache:
        assert listed(cache, series="s") == ["frame-1"]
        assert cache.get("frame-1").equals(ROWS)


def test_a_hot_file_that_was_cut_is_not_served(tmp_path: Path, clock: FakeClock) -> None:
    with running(tmp_path / "cache", clock) as cache:
        cache.put("frame-1", ROWS)
    (hot,) = (tmp_path / "cache" / "hot").iterdir()
    hot.write_bytes(hot.read_bytes()[:-200])
    with running(tmp_path / "cache", clock) as cache, pytest.raises(NotFound):
        cache.get("frame-1")


def test_stats_tell_where_frames_are_and_why_a_tier_is_off(cache: Cache) -> None:
    cache.put("frame-1", ROWS)
    memory, redis, spool = cache.frames.GetStats(pb.GetStatsRequest()).tiers
    assert (memory.frame_count, spool.frame_count) == (1, 0)
    assert (redis.available, redis.reason) == (False, "no Redis is configured")


COLUMNS = st.sampled_from(
    [
        (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
        (pa.float64(), st.floats(allow_nan=False)),
        (pa.string(), st.text(max_size=20)),
        (pa.bool_(), st.booleans()),
        (
            pa.timestamp("s"),
            st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(microsecond=0)),
        ),
        (pa.date32(), st.dates()),
        (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["a", "b", "ü"])),
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    row_count = draw(st.integers(0, 50))
    columns = {}
    for number in range(draw(st.integers(1, 5))):
        kind, values = draw(COLUMNS)
        items = draw(st.lists(st.none() | values, min_size=row_count, max_size=row_count))
        plain = pa.array(items, kind.value_type if pa.types.is_dictionary(kind) else kind)
        columns[f"c{number}"] = plain.dictionary_encode() if pa.types.is_dictionary(kind) else plain
    return pa.table(columns)


@hypothesis.given(tables(), st.sampled_from([None, "zstd"]))
@hypothesis.settings(
    max_examples=40, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_any_table_comes_back_equal(cache: Cache, table: pa.Table, codec: str | None) -> None:
    cache.put("frame-1", table, codec=codec)
    assert cache.get("frame-1").equals(table)
