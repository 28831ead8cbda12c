"""A year of holds through a real engine, a real cache and the twin: what is read, what is answered, what is said."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from google.protobuf import struct_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sluice.cache.v1 import frame_service_pb2 as cache_pb
from sluice.cache.v1.frame_service_pb2_grpc import FrameServiceStub
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_query_engine.planning import compute_query_hash
from sluice_rpc.client import open_channel
from sluice_rpc.errors import FailedPrecondition, Internal, InvalidArgument, NotFound
from sluice_warehouse import Bind, Statement
from sluice_warehouse.errors import WarehouseError
from sluice_warehouse.faults import Fault

from tests.engine_rig import DATASET, EngineRig, datasets_with, serving_cache, serving_engine

YEAR = ("2025-01-01", "2025-12-31")
EVERY_HOLD = {"hold_type": "all", "record_type": ["new", "on_hold", "released"]}


class Faults:
    """Faults a test switches on and off by the start of the chunk."""

    def __init__(self) -> None:
        self.failing: set[datetime] = set()
        self.everything = False
        self.on_slice: Callable[[], object] = lambda: None

    def __call__(self, statement: Statement, binds: Mapping[str, Bind]) -> Fault | None:
        if statement.name == "slice":
            self.on_slice()
        hit = self.everything or (statement.name == "slice" and binds.get("start_time") in self.failing)
        return Fault(error=WarehouseError(1555)) if hit else None


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def rig(twin_path: Path, tmp_path: Path, faults: Faults) -> Iterator[EngineRig]:
    with (
        serving_cache(tmp_path / "cache") as target,
        serving_engine(twin_path, fault=faults, cache_target=target) as rig,
    ):
        yield rig


def statements_of(rig: EngineRig, start: str, end: str) -> int:
    before = rig.warehouse.counts.started
    rig.run(start, end)
    return rig.warehouse.counts.started - before


def counts(query: pb.Query) -> tuple[int, int, int]:
    return (query.receipt.chunks.total, query.receipt.chunks.reused, query.receipt.chunks.run)


def test_a_year_is_read_in_thirteen_chunks_and_one_reference(rig: EngineRig) -> None:
    query = rig.run(*YEAR)
    assert query.state == pb.QUERY_STATE_COMPLETED
    assert counts(query) == (13, 0, 13)
    assert query.receipt.warehouse_statement_count == rig.warehouse.counts.started
    assert query.receipt.warehouse_row_count == rig.warehouse.counts.row_count


def test_the_query_id_is_the_hash_of_dataset_version_and_parameters(rig: EngineRig) -> None:
    parameters = {"start_date": YEAR[0], "end_date": YEAR[1]}
    wanted = compute_query_hash({"dataset": "hold-history", "version": 1, "parameters": parameters})
    assert rig.start(*YEAR).query_id == wanted


def test_moving_the_end_by_a_week_reads_one_week(rig: EngineRig) -> None:
    rig.run("2024-06-01", "2025-05-31")
    assert statements_of(rig, "2024-06-01", "2025-06-07") == 1


def test_moving_the_start_later_reads_nothing(rig: EngineRig) -> None:
    rig.run(*YEAR)
    assert statements_of(rig, "2025-02-10", YEAR[1]) == 0


def test_moving_the_start_earlier_reads_those_days_and_one_carry_in(rig: EngineRig) -> None:
    rig.run(*YEAR)
    query = rig.run("2024-12-22", YEAR[1])
    assert query.receipt.plan == "12 of 14 chunks were there; 1 × 10 days, 1 × carry_in read"


def test_the_same_query_again_reads_nothing_and_keeps_its_id(rig: EngineRig) -> None:
    # B2.13
    first, again = rig.run(*YEAR), rig.run(*YEAR)
    assert (again.query_id, counts(again), again.receipt.warehouse_statement_count) == (first.query_id, (13, 13, 0), 0)


def test_no_cache_reads_everything_again(rig: EngineRig) -> None:
    rig.run(*YEAR)
    assert counts(rig.run(*YEAR, no_cache=True)) == (13, 0, 13)


def test_newer_rows_that_the_cache_lost_do_not_keep_the_older_ones_from_answering(
    twin_path: Path, tmp_path: Path
) -> None:
    with (
        serving_cache(tmp_path / "cache") as target,
        serving_engine(twin_path, cache_target=target) as rig,
        open_channel(target, "cache") as channel,
    ):
        rows = rig.run(*YEAR).receipt.row_count
        stub = FrameServiceStub(channel)
        older = chunk_frames(stub)
        rig.run(*YEAR, no_cache=True)
        stub.DeleteFrame(cache_pb.DeleteFrameRequest(frame_id=min(chunk_frames(stub) - older)))
        again = rig.run(*YEAR)
        assert (again.state, again.receipt.row_count) == (pb.QUERY_STATE_COMPLETED, rows)
        assert rig.views(again.query_id, "trend")["trend"].table.num_rows >= 365


def chunk_frames(stub: FrameServiceStub) -> set[str]:
    """Return the ids of the frames of the slices that are cut by time."""
    found = stub.ListFrames(cache_pb.ListFramesRequest(labels={"part": "slice"})).frames
    return {frame.frame_id for frame in found}


def test_views_options_exports_and_frames_never_touch_the_warehouse(rig: EngineRig) -> None:
    query = rig.run(*YEAR)
    before = rig.warehouse.counts.started
    rig.views(query.query_id, filters=EVERY_HOLD)
    rig.export(query.query_id)
    rig.frame(query.query_id)
    options = rig.stub.ReadOptions(pb.ReadOptionsRequest(query_id=query.query_id))
    assert rig.warehouse.counts.started == before
    assert options.receipt.warehouse_statement_count == 0
    assert {item.filter for item in options.options} >= {"hold_type", "reason"}


def test_a_query_named_with_its_own_dataset_is_read_and_with_another_is_not(rig: EngineRig) -> None:
    query_id = rig.run("2025-01-01", "2025-01-31").query_id
    own = pb.ReadViewRequest(query_id=query_id, dataset=DATASET, views=["trend"])
    assert rig.read(own)["trend"].table.num_rows >= 31
    with pytest.raises(InvalidArgument, match=f"is a query of {DATASET}, not of job-query"):
        rig.read(pb.ReadViewRequest(query_id=query_id, dataset="job-query", views=["list"]))
    with pytest.raises(InvalidArgument, match=f"is a query of {DATASET}, not of job-query"):
        list(rig.stub.ReadFrame(pb.ReadFrameRequest(query_id=query_id, dataset="job-query")))


def test_a_views_receipt_is_the_querys_without_warehouse_work(rig: EngineRig) -> None:
    query = rig.run(*YEAR)
    receipt = rig.views(query.query_id, "trend")["trend"].receipt
    assert (receipt.warehouse_statement_count, receipt.tier) == (0, table_pb2.TIER_MEMORY)
    assert (receipt.row_count, receipt.plan) == (query.receipt.row_count, query.receipt.plan)
    assert receipt.as_of_time == "2026-01-01T08:00:00"


def test_the_receipt_counts_the_rows_of_the_main_table(rig: EngineRig) -> None:
    query = rig.run(*YEAR)
    assert rig.frame(query.query_id).table.num_rows == query.receipt.row_count > 0


def test_a_page_beyond_the_last_is_answered_by_the_last(rig: EngineRig) -> None:
    query = rig.run(*YEAR)
    answer = rig.read(pb.ReadViewRequest(query_id=query.query_id, views=["list"], page=9999, page_size=20))["list"]
    assert answer.page.page == answer.page.page_count > 1
    assert answer.table.num_rows == answer.page.total_count - 20 * (answer.page.page_count - 1)


def test_an_export_holds_every_page_laid_end_to_end(rig: EngineRig) -> None:
    query = rig.run("2025-01-01", "2025-06-30")
    pages = [
        rig.read(pb.ReadViewRequest(query_id=query.query_id, views=["list"], page=page, page_size=50))["list"]
        for page in (1, 2)
    ]
    exported = rig.export(query.query_id).table
    assert exported.slice(0, 100).equals(pa.concat_tables([page.table for page in pages]))


def test_a_range_without_holds_is_an_answer_and_no_error(rig: EngineRig) -> None:
    query = rig.run("1990-01-01", "1990-01-31")
    assert (query.state, query.receipt.row_count) == (pb.QUERY_STATE_COMPLETED, 0)
    assert rig.views(query.query_id, "list")["list"].page.total_count == 0


FAILED_START = datetime(2025, 4, 3, 7, 30)


def test_a_failed_chunk_is_named_on_every_answer_until_the_query_is_run_again(rig: EngineRig, faults: Faults) -> None:
    faults.failing.add(FAILED_START)
    query = rig.run(*YEAR)
    gap = table_pb2.Gap(part="slice", start="2025-04-03T07:30:00", end="2025-05-04T07:30:00", code="WAREHOUSE_ERROR")
    receipts = [
        query.receipt,
        rig.views(query.query_id, "trend")["trend"].receipt,
        rig.export(query.query_id).receipt,
        rig.frame(query.query_id).receipt,
    ]
    assert query.state == pb.QUERY_STATE_PARTIAL
    assert [(item.status, list(item.failed_ranges)) for item in receipts] == [
        (table_pb2.COMPLETENESS_PARTIAL, [gap])
    ] * 4


def test_running_a_partial_query_again_reads_exactly_what_failed(rig: EngineRig, faults: Faults) -> None:
    faults.failing.add(FAILED_START)
    partial = rig.run(*YEAR)
    faults.failing.clear()
    before = rig.warehouse.counts.started
    whole = rig.finish(rig.stub.RetryQuery(pb.RetryQueryRequest(query_id=partial.query_id)).query.query_id)
    assert rig.warehouse.counts.started - before == 1
    assert (whole.state, counts(whole), list(whole.receipt.failed_ranges)) == (
        pb.QUERY_STATE_COMPLETED,
        (13, 12, 1),
        [],
    )


def test_of_two_chunks_that_failed_one_is_tried_again_and_the_other_stays_as_it_was(
    rig: EngineRig, faults: Faults
) -> None:
    faults.failing |= {FAILED_START, FAILED_START + timedelta(days=31)}
    partial = rig.run(*YEAR)
    failed = [chunk.index for chunk in partial.progress.chunks if chunk.state == pb.CHUNK_STATE_FAILED]
    faults.failing.clear()
    before = rig.warehouse.counts.started
    asked = pb.RetryQueryRequest(query_id=partial.query_id, chunk_index=failed[1])
    again = rig.finish(rig.stub.RetryQuery(asked).query.query_id)
    gap = table_pb2.Gap(part="slice", start="2025-04-03T07:30:00", end="2025-05-04T07:30:00", code="WAREHOUSE_ERROR")
    assert rig.warehouse.counts.started - before == 1
    assert (again.state, list(again.receipt.failed_ranges)) == (pb.QUERY_STATE_PARTIAL, [gap])


def test_what_was_given_up_stays_failed_though_a_frame_goes_and_the_query_is_planned_again(
    twin_path: Path, tmp_path: Path, faults: Faults
) -> None:
    with (
        serving_cache(tmp_path / "cache") as target,
        serving_engine(twin_path, fault=faults, cache_target=target) as rig,
        open_channel(target, "cache") as channel,
    ):
        stub = FrameServiceStub(channel)
        faults.failing |= {FAILED_START, FAILED_START + timedelta(days=31)}
        partial = rig.run(*YEAR)
        failed = [chunk.index for chunk in partial.progress.chunks if chunk.state == pb.CHUNK_STATE_FAILED]
        faults.failing.clear()
        slices = stub.ListFrames(cache_pb.ListFramesRequest(labels={"part": "slice"})).frames
        # The oldest, which is settled: the newest would be read again in two.
        gone = [cache_pb.DeleteFrameRequest(frame_id=min(slices, key=lambda item: item.labels["start"]).frame_id)]
        faults.on_slice = lambda: [stub.DeleteFrame(gone.pop()) for _ in [*gone]]
        before = rig.warehouse.counts.started
        asked = pb.RetryQueryRequest(query_id=partial.query_id, chunk_index=failed[1])
        again = rig.finish(rig.stub.RetryQuery(asked).query.query_id)
        assert (gone, rig.warehouse.counts.started - before) == ([], 2)
        assert [(gap.start, gap.code) for gap in again.receipt.failed_ranges] == [
            ("2025-04-03T07:30:00", "WAREHOUSE_ERROR")
        ]


def test_neighbours_that_failed_stay_failed_though_they_are_planned_as_one_by_now(
    rig: EngineRig, faults: Faults
) -> None:
    # The last two, which together are short enough to be read by one statement.
    faults.failing |= {FAILED_START + timedelta(days=31 * number) for number in (0, 7, 8)}
    partial = rig.run(*YEAR)
    failed = [chunk for chunk in partial.progress.chunks if chunk.state == pb.CHUNK_STATE_FAILED]
    faults.failing.clear()
    before = rig.warehouse.counts.started
    asked = pb.RetryQueryRequest(query_id=partial.query_id, chunk_index=failed[0].index)
    again = rig.finish(rig.stub.RetryQuery(asked).query.query_id)
    assert rig.warehouse.counts.started - before == 1
    gaps = again.receipt.failed_ranges
    assert (gaps[0].start, gaps[-1].end) == (failed[1].start, failed[2].end)
    assert [gap.start for gap in gaps[1:]] == [gap.end for gap in gaps[:-1]]


def test_a_chunk_that_did_not_fail_is_not_tried_again_alone(rig: EngineRig) -> None:
    query = rig.run(*YEAR)
    with pytest.raises(InvalidArgument) as caught:
        rig.stub.RetryQuery(pb.RetryQueryRequest(query_id=query.query_id, chunk_index=0))
    assert [item.field for item in caught.value.violations] == ["chunk_index"]


def test_rows_outside_the_failed_range_are_all_there(rig: EngineRig, faults: Faults) -> None:
    whole = rig.frame(rig.run(*YEAR).query_id, "slice").table
    faults.failing.add(FAILED_START)
    partial = rig.frame(rig.run(*YEAR, no_cache=True).query_id, "slice").table
    times = whole.column("hold_time").to_pylist()
    lost = sum(FAILED_START <= time < FAILED_START + timedelta(days=31) for time in times)
    assert lost > 0
    assert partial.num_rows == whole.num_rows - lost


def test_a_query_of_which_nothing_could_be_read_fails_with_the_chunks_code(rig: EngineRig, faults: Faults) -> None:
    faults.everything = True
    query = rig.run(*YEAR)
    assert (query.state, query.error_code) == (pb.QUERY_STATE_FAILED, "WAREHOUSE_ERROR")
    with pytest.raises(Internal) as caught:
        rig.views(query.query_id)
    assert (caught.value.reason, caught.value.metadata["query_id"]) == ("WAREHOUSE_ERROR", query.query_id)


@pytest.mark.parametrize("query_id", ["", "abc", "G" * 16, "0" * 15, "0" * 17, "../../etc/passwd", "A" * 16])
def test_a_malformed_query_id_is_refused(rig: EngineRig, query_id: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        rig.stub.GetQuery(pb.GetQueryRequest(query_id=query_id))
    assert [item.field for item in caught.value.violations] == ["query_id"]


def test_an_unknown_query_id_has_expired(rig: EngineRig) -> None:
    with pytest.raises(NotFound) as caught:
        rig.views("0" * 16, "trend")
    assert caught.value.reason == "CACHE_EXPIRED"


@pytest.mark.parametrize("number", [math.nan, math.inf, [1.0, -math.inf]], ids=str)
def test_a_number_that_is_not_finite_is_refused_by_field(rig: EngineRig, number: float | list[float]) -> None:
    parameters = struct_pb2.Struct()
    parameters.update({"start_date": "2025-05-01", "end_date": number})
    with pytest.raises(InvalidArgument) as of_plan:
        rig.stub.PlanQuery(pb.PlanQueryRequest(dataset=DATASET, parameters=parameters))
    with pytest.raises(InvalidArgument) as of_view:
        rig.stub.ReadView(pb.ReadViewRequest(query_id="0" * 16, filters=parameters)).__next__()
    fields = [[item.field for item in caught.value.violations] for caught in (of_plan, of_view)]
    assert fields == [["end_date"], ["end_date"]]


def test_an_unknown_table_is_refused_by_name(rig: EngineRig) -> None:
    query = rig.run("2025-01-01", "2025-01-31")
    with pytest.raises(InvalidArgument) as caught:
        rig.frame(query.query_id, "dwh.dw_mes_hold")
    assert [item.field for item in caught.value.violations] == ["table"]


def test_a_finished_query_cannot_be_cancelled(rig: EngineRig) -> None:
    query = rig.run("2025-01-01", "2025-01-31")
    with pytest.raises(FailedPrecondition) as caught:
        rig.stub.CancelQuery(pb.CancelQueryRequest(query_id=query.query_id))
    assert caught.value.reason == "QUERY_FINISHED"


def test_a_plan_names_what_would_be_read_and_reads_nothing(rig: EngineRig) -> None:
    rig.run(*YEAR)
    before = rig.warehouse.counts.started
    request = pb.PlanQueryRequest(dataset="hold-history")
    request.parameters.update({"start_date": "2024-12-22", "end_date": YEAR[1]})
    plan = rig.stub.PlanQuery(request)
    assert plan.plan == "12 of 14 chunks were there; 1 × 10 days, 1 × carry_in read"
    assert [(item.part, item.start, item.end) for item in plan.chunks if not item.cached] == [
        ("slice", "2024-12-21T07:30:00", "2024-12-31T07:30:00"),
        ("carry_in", "2024-12-21T07:30:00", ""),
    ]
    assert plan.estimated_row_count > 0
    assert rig.warehouse.counts.started == before


def test_a_truncated_chunk_is_named_and_never_reused(twin_path: Path, tmp_path: Path) -> None:
    limited = datasets_with(tmp_path / "datasets", {"max_rows_per_chunk = 2000000": "max_rows_per_chunk = 5"})
    with (
        serving_cache(tmp_path / "cache") as target,
        serving_engine(twin_path, cache_target=target, datasets_dir=limited) as rig,
    ):
        query = rig.run("2025-01-01", "2025-01-31")
        again = rig.run("2025-01-01", "2025-01-31")
    assert (query.state, query.receipt.status) == (pb.QUERY_STATE_PARTIAL, table_pb2.COMPLETENESS_TRUNCATED)
    assert {item.part for item in query.receipt.truncated_ranges} >= {"slice"}
    assert again.receipt.chunks.run == len(query.receipt.truncated_ranges)


@pytest.fixture(scope="module")
def pair(twin_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EngineRig, EngineRig]]:
    """An engine that cuts every nine days and reuses what it has, and one that reads each range whole."""
    folder = tmp_path_factory.mktemp("pair")
    with (
        serving_cache(folder / "cut-cache") as cut_cache,
        serving_cache(folder / "whole-cache") as whole_cache,
        serving_engine(twin_path, cache_target=cut_cache, query_time_threshold_days=1, query_grain_days=9) as chunked,
        serving_engine(twin_path, cache_target=whole_cache, query_time_threshold_days=5000) as direct,
    ):
        yield chunked, direct


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    first=st.dates(date(2024, 1, 1), date(2025, 12, 1)),
    length=st.integers(0, 150),
    hold_type=st.sampled_from(["quality", "non-quality", "all"]),
)
def test_the_chunked_answer_is_the_whole_answer_for_every_view(
    pair: tuple[EngineRig, EngineRig], first: date, length: int, hold_type: str
) -> None:
    chunked, direct = pair
    dates = (first.isoformat(), (first + timedelta(days=length)).isoformat())
    in_chunks = chunked.run(*dates)
    at_once = direct.run(*dates, no_cache=True)
    filters = {**EVERY_HOLD, "hold_type": hold_type}
    assert at_once.receipt.chunks.run == 2
    assert {name: found.table for name, found in chunked.views(in_chunks.query_id, filters=filters).items()} == {
        name: found.table for name, found in direct.views(at_once.query_id, filters=filters).items()
    }
    assert in_chunks.receipt.row_count == at_once.receipt.row_count
