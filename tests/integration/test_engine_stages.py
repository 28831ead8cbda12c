"""Queries whose ids come from elsewhere, through a real engine, lineage and cache: typed values, ancestors, events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path

import duckdb
import pytest
from google.protobuf import json_format
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_client.ports import take_free
from sluice_query_engine.days import DayRule
from sluice_rpc.errors import FailedPrecondition, InvalidArgument

from tests.engine_rig import REPOSITORY, EngineRig, datasets_with, serving_cache, serving_engine, serving_lineage
from tests.polling import poll_until

DATASET = "traced-holds"
RANGE = {"mode": "date_range", "start_date": "2025-03-01", "end_date": "2025-03-03"}


@dataclass(frozen=True)
class Lots:
    """Lots of the twin that were held, by name, with their holds."""

    holds: Mapping[str, int]

    @property
    def names(self) -> list[str]:
        return list(self.holds)


@pytest.fixture(scope="module")
def lots(twin_path: Path) -> Lots:
    with duckdb.connect(str(twin_path), read_only=True) as connection:
        rows = connection.sql(
            "select trim(c.CONTAINERNAME), count(*) from DWH.DW_MES_HOLDRELEASEHISTORY h"
            " join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID"
            " where c.CONTAINERNAME is not null group by 1 having count(distinct c.CONTAINERID) = 1 order by 1 limit 40"
        ).fetchall()
    return Lots({str(name): int(count) for name, count in rows})


@pytest.fixture(scope="module")
def rig(twin_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    with ExitStack() as stack:
        cache = stack.enter_context(serving_cache(tmp_path_factory.mktemp("cache")))
        lineage = stack.enter_context(serving_lineage(twin_path, cache))
        yield stack.enter_context(
            serving_engine(
                twin_path,
                cache_target=cache,
                lineage_target=lineage,
                datasets_dir=REPOSITORY / "tests" / "datasets",
            )
        )


def run(rig: EngineRig, parameters: Mapping[str, object], *, no_cache: bool = False) -> pb.Query:
    """Ask and return the query as it ended."""
    return rig.finish(rig.ask(DATASET, parameters, no_cache=no_cache).query_id)


def typed(*values: str, **more: object) -> dict[str, object]:
    """Return the parameters of lots by name."""
    return {"mode": "container", "container_values": list(values), **more}


def test_typed_lots_are_resolved_and_only_their_holds_are_read(rig: EngineRig, lots: Lots) -> None:
    names = lots.names[:5]
    query = run(rig, typed(*names))
    assert query.state == pb.QUERY_STATE_COMPLETED, query
    assert rig.frame(query.query_id).table.num_rows == sum(lots.holds[name] for name in names)


def test_the_receipt_says_what_the_values_meant(rig: EngineRig, lots: Lots) -> None:
    query = run(rig, typed(*lots.names[:3], "NO SUCH LOT"))
    found = query.receipt.resolution
    assert (found.part, found.input_count, found.resolved_count) == ("containers", 4, 3)
    assert (list(found.not_found), found.not_found_count) == (["NO SUCH LOT"], 1)
    assert rig.views(query.query_id, "per_lot")["per_lot"].receipt.resolution == found


def test_values_that_mean_nothing_find_nothing_and_never_everything(rig: EngineRig) -> None:
    query = run(rig, typed("NO SUCH LOT"))
    assert (query.state, query.receipt.row_count) == (pb.QUERY_STATE_COMPLETED, 0)
    assert query.receipt.resolution.not_found_count == 1


def test_the_order_of_what_is_typed_makes_no_other_query(rig: EngineRig, lots: Lots) -> None:
    first, second = lots.names[:2]
    assert run(rig, typed(first, second)).query_id == run(rig, typed(f" {second}", first, first)).query_id


def test_a_wider_list_reads_only_the_lots_that_are_not_there(rig: EngineRig, lots: Lots) -> None:
    run(rig, typed(*lots.names[5:10]))
    query = run(rig, typed(*lots.names[5:12]))
    of_holds = [chunk for chunk in query.progress.chunks if chunk.part == "holds_of"]
    assert sorted((chunk.state, chunk.id_count) for chunk in of_holds) == [
        (pb.CHUNK_STATE_REUSED, 5),
        (pb.CHUNK_STATE_DONE, 2),
    ]


def test_what_was_resolved_is_resolved_no_second_time(rig: EngineRig, lots: Lots) -> None:
    parameters = typed(*lots.names[12:14])
    first, again = run(rig, parameters), run(rig, parameters)
    assert first.receipt.warehouse_statement_count > 0
    assert again.receipt.warehouse_statement_count == 0
    assert again.receipt.resolution == first.receipt.resolution


def test_a_prefilter_is_part_of_what_is_read_in_both_modes(rig: EngineRig) -> None:
    every = rig.frame(run(rig, RANGE).query_id).table
    reason = next(item for item in every["reason"].to_pylist() if item)
    wanted = sum(item == reason for item in every["reason"].to_pylist())
    some = rig.frame(run(rig, {**RANGE, "reasons": [reason]}).query_id).table
    assert (some.num_rows, set(some["reason"].to_pylist())) == (wanted, {reason})


def test_a_stage_gives_the_ancestors_that_lineage_knows(rig: EngineRig, twin_path: Path) -> None:
    query = run(rig, RANGE)
    assert query.state == pb.QUERY_STATE_COMPLETED
    table = rig.frame(query.query_id, "ancestors").table
    with duckdb.connect(str(twin_path), read_only=True) as connection:
        split = set(
            connection.sql(
                "select trim(CONTAINERID), trim(SPLITFROMID) from DWH.DW_MES_CONTAINER"
                " where SPLITFROMID is not null and trim(SPLITFROMID) <> trim(CONTAINERID)"
            ).fetchall()
        )
    pairs = set(zip(table["seed_id"].to_pylist(), table["ancestor_id"].to_pylist(), strict=True))
    seeds = {seed for seed, _ in pairs}
    assert seeds
    assert {(child, parent) for child, parent in split if child in seeds} <= pairs


def test_events_of_lots_and_their_ancestors_join_the_query(rig: EngineRig) -> None:
    query = run(rig, RANGE)
    passed = rig.frame(query.query_id, "passed").table
    answer = rig.views(query.query_id, "per_lot")["per_lot"].table
    assert passed.num_rows > 0
    assert max(answer["step_count"].to_pylist()) > 0


def test_every_statement_of_a_stage_is_counted(rig: EngineRig) -> None:
    fresh = {**RANGE, "start_date": "2025-06-01", "end_date": "2025-06-02"}
    query = run(rig, fresh)
    own = sum(chunk.part == "placed" for chunk in query.progress.chunks)
    assert query.receipt.warehouse_statement_count > own


def test_a_view_is_asked_with_values_of_its_own(rig: EngineRig) -> None:
    month = {"mode": "date_range", "start_date": "2025-03-01", "end_date": "2025-03-28"}
    query_id = run(rig, month).query_id
    days = rig.views(query_id, "trend")["trend"].table
    weeks = rig.views(query_id, "trend", filters={"granularity": "week"})["trend"].table
    assert sum(days["hold_count"].to_pylist()) == sum(weeks["hold_count"].to_pylist()) > 0
    assert {day.weekday() for day in weeks["start_date"].to_pylist()} == {0}
    assert (days.num_rows > weeks.num_rows, weeks.num_rows <= 5) == (True, True)
    top = rig.views(query_id, "worst", "trend", filters={"top": 2, "granularity": "month"})
    assert (top["worst"].table.num_rows, top["trend"].table.num_rows) == (2, 2)


@pytest.mark.parametrize("wrong", [{"granularity": "hour"}, {"top": 51}, {"top": 2.5}, {"top": True}])
def test_a_value_that_a_view_does_not_take_is_refused_by_name(rig: EngineRig, wrong: dict[str, object]) -> None:
    query_id = run(rig, RANGE).query_id
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        rig.views(query_id, "trend", "worst", filters=wrong)


def test_a_definition_says_how_a_dataset_is_asked_and_shown(rig: EngineRig) -> None:
    dataset = rig.stub.GetDataset(pb.GetDatasetRequest(dataset=DATASET)).dataset
    assert (dataset.kind, dataset.modes_parameter) == (pb.DATASET_KIND_QUERY, "mode")
    assert [(mode.name, list(mode.refused)) for mode in dataset.modes] == [
        ("date_range", ["container_input_type", "container_values"]),
        ("container", ["end_date", "start_date"]),
    ]
    trend = next(view for view in dataset.views if view.name == "trend")
    day, count = trend.columns
    assert (day.role, dict(day.labels)) == (pb.COLUMN_ROLE_TIME, {"zh-TW": "日期"})
    assert (count.unit, count.scale, count.aggregate) == ("holds", 0, "sum")
    granularity = json_format.MessageToDict(trend.parameters_schema)["properties"]["granularity"]
    assert (granularity["default"], granularity["enum"]) == ("day", ["day", "week", "month"])
    assert list(json_format.MessageToDict(dataset.filters_schema)["properties"]) == ["reason"]


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"mode": "container"}, "container_values", "is required where mode is container"),
        ({"mode": "container", "container_values": []}, "container_values", "is required where mode is container"),
        (typed("A", start_date="2025-01-01"), "start_date", "is not taken where mode is container"),
        ({"mode": "date_range", "start_date": "2025-01-01"}, "end_date", "is required where mode is date_range"),
        ({"mode": "both"}, "mode", "is not one of date_range, container"),
    ],
)
def test_what_does_not_fit_the_mode_is_refused_by_field(
    rig: EngineRig, given: dict[str, object], field: str, words: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        rig.ask(DATASET, given)
    assert [(item.field, words in item.description) for item in caught.value.violations] == [(field, True)]


def test_read_anew_a_query_computes_its_stages_anew(rig: EngineRig) -> None:
    run(rig, RANGE)
    query = run(rig, RANGE, no_cache=True)
    stages = [chunk for chunk in query.progress.chunks if chunk.part in ("ancestors", "passed")]
    assert {chunk.state for chunk in stages} == {pb.CHUNK_STATE_DONE}


def test_read_anew_a_query_rests_on_no_edge_that_was_read_before(rig: EngineRig) -> None:
    fresh = {**RANGE, "start_date": "2025-08-04", "end_date": "2025-08-06"}
    cold = run(rig, fresh)
    own = sum(chunk.part == "placed" for chunk in cold.progress.chunks)
    anew = run(rig, fresh, no_cache=True)
    assert anew.receipt.warehouse_statement_count >= cold.receipt.warehouse_statement_count > own


def test_a_warmed_range_is_the_query_that_a_caller_gets(twin_path: Path, tmp_path: Path) -> None:
    edits = {"[modes]\n": '[warm_up]\ndays = 3\nparameters = { mode = "date_range" }\n\n[modes]\n'}
    datasets = datasets_with(tmp_path / "datasets", edits, REPOSITORY / "tests" / "datasets", DATASET)
    with (
        serving_cache(tmp_path / "cache") as cache,
        serving_engine(twin_path, cache_target=cache, lineage_target="", datasets_dir=datasets, warms_up=True) as rig,
    ):
        today = rig.stub.ListDatasets(pb.ListDatasetsRequest()).plant_time
        last = DayRule(time(7, 30), "end").day_of(datetime.fromisoformat(today))
        asked = {"mode": "date_range", "start_date": f"{last - timedelta(days=2)}", "end_date": f"{last}"}
        plan = pb.PlanQueryRequest(dataset=DATASET)
        plan.parameters.update(asked)
        query_id = rig.stub.PlanQuery(plan).query_id
        poll_until(lambda: rig.process.coordinator.run_of(query_id), 120.0, "the usual range to be asked")
        assert rig.finish(query_id).receipt.query_id == query_id


def test_without_lineage_a_query_of_a_range_names_what_is_missing(twin_path: Path, tmp_path: Path) -> None:
    with (
        serving_cache(tmp_path / "cache") as cache,
        serving_engine(
            twin_path,
            cache_target=cache,
            lineage_target=f"127.0.0.1:{take_free(1)[0]}",
            datasets_dir=REPOSITORY / "tests" / "datasets",
        ) as rig,
    ):
        query = run(rig, RANGE)
        assert query.receipt.status == table_pb2.COMPLETENESS_PARTIAL
        assert [(gap.part, gap.code) for gap in query.receipt.failed_ranges] == [
            ("ancestors", "SERVICE_UNAVAILABLE"),
            ("passed", "SERVICE_UNAVAILABLE"),
        ]
        assert query.receipt.row_count > 0
        resolved = run(rig, typed("A"))
        assert (resolved.state, resolved.error_code) == (pb.QUERY_STATE_FAILED, "SERVICE_UNAVAILABLE")


def test_no_look_at_a_running_query_calls_itself_complete_before_every_row_is_there(rig: EngineRig, lots: Lots) -> None:
    query_id = rig.ask(DATASET, typed(*lots.names), no_cache=True).query_id
    request = pb.ReadViewRequest(query_id=query_id, views=["per_lot"], allow_partial=True)
    looks: list[table_pb2.Receipt] = []
    while rig.stub.GetQuery(pb.GetQueryRequest(query_id=query_id)).query.state == pb.QUERY_STATE_RUNNING:
        with suppress(FailedPrecondition):
            looks.append(rig.read(request)["per_lot"].receipt)
    # Between two parts every chunk that is planned is there, and the next part is not planned yet.
    complete = [look.row_count for look in looks if look.status == table_pb2.COMPLETENESS_COMPLETE]
    assert set(complete) <= {sum(lots.holds.values())}
