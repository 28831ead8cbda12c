"""What each domain makes of rows written by hand: twice, from the plant's file and through the Oracle driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sluice.lineage.v1 import event_service_pb2 as pb
from sluice_rpc import errors

from tests.event_rig import EventRig, event_rig
from tests.unit.lineage.event_plants import NOON, Rows, container, small_plant
from tests.warehouse_urls import stand_in_url

A, B, C = container(0xA), container(0xB), container(0xC)
Start = Callable[..., EventRig]


@pytest.fixture(params=["duckdb", "oracle"])
def start(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Serve events over a plant with these rows; keywords are tables without their prefix."""
    with ExitStack() as closing:

        def serve(**tables: Rows) -> EventRig:
            url = small_plant(tmp_path / "twin.duckdb", **tables)
            if request.param == "oracle":
                url = closing.enter_context(stand_in_url(tmp_path / "twin.duckdb"))
            return closing.enter_context(event_rig(url))

        yield serve


def later(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def tracked(lot: str = A, **columns: Any) -> dict[str, object]:
    """Return a row of LOTWIPHISTORY."""
    row = {
        "CONTAINERID": lot,
        "WORKCENTERNAME": "焊_DB_料",
        "EQUIPMENTID": "e" * 16,
        "EQUIPMENTNAME": "DB-01",
        "SPECNAME": "Bond",
        "TRACKINTIMESTAMP": NOON,
        "TRACKINQTY": 100,
    }
    return {**row, **columns}


def rejected(lot: str = A, **columns: Any) -> dict[str, object]:
    """Return a row of LOTREJECTHISTORY with all six quantities: 1, 2, 4, 8, 16, and 32 defects."""
    row = {
        "CONTAINERID": lot,
        "WORKCENTERNAME": "TMTT_HOT",
        "SPECNAME": "Test",
        "LOSSREASONNAME": "101_Chip",
        "EQUIPMENTNAME": "T-01",
        "REJECTQTY": 1,
        "STANDBYQTY": 2,
        "QTYTOPROCESS": 4,
        "INPROCESSQTY": 8,
        "PROCESSEDQTY": 16,
        "DEFECTQTY": 32,
        "TXNDATE": NOON,
    }
    return {**row, **columns}


def job(job_id: str, containers: str | None, **columns: Any) -> dict[str, object]:
    """Return a row of JOB."""
    return {"JOBID": job_id, "CONTAINERIDS": containers, "CREATEDATE": NOON, **columns}


def step(spec: str, center: str, group: str, sequence: str | None) -> dict[str, object]:
    """Return a row of SPEC_WORKCENTER_V."""
    return {"SPEC": spec, "WORK_CENTER": center, "WORK_CENTER_GROUP": group, "WORKCENTERSEQUENCE_GROUP": sequence}


# history


def test_history_gives_partials_as_they_are(start: Start) -> None:
    partials = [tracked(TRACKINQTY=left, TRACKOUTQTY=out) for left, out in ((100, 30), (70, 30), (40, 40))]
    rows = start(LOTWIPHISTORY=partials).ask("history", [A]).records[A]
    assert [(row["TRACKINQTY"], row["TRACKOUTQTY"]) for row in rows] == [(100, 30), (70, 30), (40, 40)]


def test_history_needs_a_machine_and_a_track_in_time(start: Start) -> None:
    rig = start(LOTWIPHISTORY=[tracked(EQUIPMENTID=None), tracked(TRACKINTIMESTAMP=None)])
    assert rig.ask("history", [A]).records == {}


def test_history_is_in_order_of_track_in(start: Start) -> None:
    rig = start(LOTWIPHISTORY=[tracked(TRACKINTIMESTAMP=later(hours)) for hours in (5, 1, 3)])
    times = [row["TRACKINTIMESTAMP"] for row in rig.ask("history", [A]).records[A]]
    assert times == ["2025-06-01T13:00:00", "2025-06-01T15:00:00", "2025-06-01T17:00:00"]


def test_history_knows_what_the_container_is_now(start: Start) -> None:
    lot = {"CONTAINERID": A, "CONTAINERNAME": "GA1", "PRODUCTLINENAME": "SOT-23  ", "FIRSTNAME": "WF1"}
    [row] = start(LOTWIPHISTORY=[tracked()], CONTAINER=[lot]).ask("history", [A]).records[A]
    assert (row["CONTAINERNAME"], row["PRODUCTLINENAME"], row["WAFER_LOT_ID"]) == ("GA1", "SOT-23", "WF1")


def test_a_container_without_a_row_of_its_own_still_has_its_events(start: Start) -> None:
    [row] = start(LOTWIPHISTORY=[tracked()]).ask("history", [A]).records[A]
    assert (row["CONTAINERID"], row["CONTAINERNAME"]) == (A, None)


def test_short_ids_match_their_padded_rows_and_come_back_trimmed(start: Start) -> None:
    assert list(start(LOTWIPHISTORY=[tracked("abc")]).ask("history", ["abc"]).records) == ["abc"]


# materials


def test_materials_keep_fractions_and_every_consumption(start: Start) -> None:
    used = {"CONTAINERID": A, "MATERIALPARTNAME": "P1", "DESCRIPTION": "Wire", "TXNDATE": NOON}
    rows = [{**used, "QTYCONSUMED": 1.25}, {**used, "QTYCONSUMED": 0.5}, {**used, "QTYCONSUMED": None}]
    found = start(LOTMATERIALSHISTORY=rows).ask("materials", [A]).records[A]
    assert sorted(str(row["QTYCONSUMED"]) for row in found) == ["0.5", "1.25", "None"]
    assert {row["MATERIALDESCRIPTION"] for row in found} == {"Wire"}


# rejects and downstream_rejects


def test_the_total_of_rejects_excludes_defects_and_that_of_downstream_rejects_includes_them(start: Start) -> None:
    rig = start(LOTREJECTHISTORY=[rejected()])
    [row], [downstream] = rig.ask("rejects", [A]).records[A], rig.ask("downstream_rejects", [A]).records[A]
    assert (row["REJECT_TOTAL_QTY"], row["DEFECT_QTY"], downstream["REJECT_TOTAL_QTY"]) == (31, 32, 63)


@pytest.mark.parametrize("domain", ["rejects", "downstream_rejects"])
def test_null_quantities_count_as_0(start: Start, domain: str) -> None:
    nothing: dict[str, Any] = dict.fromkeys(("REJECTQTY", "STANDBYQTY", "QTYTOPROCESS", "INPROCESSQTY", "DEFECTQTY"))
    [row] = start(LOTREJECTHISTORY=[rejected(**nothing)]).ask(domain, [A]).records[A]
    assert row["REJECT_TOTAL_QTY"] == 16


def test_what_is_not_filled_in_has_words_for_it(start: Start) -> None:
    empty: dict[str, Any] = dict.fromkeys(("WORKCENTERNAME", "SPECNAME", "LOSSREASONNAME", "EQUIPMENTNAME"))
    [row] = start(LOTREJECTHISTORY=[rejected(**empty)]).ask("rejects", [A]).records[A]
    names = ("CONTAINERNAME", "WORKCENTERNAME", "WORKCENTER_GROUP", "SPECNAME", "LOSSREASONNAME", "EQUIPMENTNAME")
    assert [row[name] for name in names] == [A, "(NA)", "(NA)", "(NA)", "(未填寫)", "(NA)"]
    assert row["WORKCENTERSEQUENCE_GROUP"] == 999


def test_a_step_of_several_groups_counts_in_the_first_of_the_flow(start: Start) -> None:
    steps = [step("Test", "LATE", "Late", "10"), step("Test", "EARLY", "Early", "2"), step("Test", "ODD", "Odd", None)]
    [row] = start(LOTREJECTHISTORY=[rejected(SPECNAME="Test ")], SPEC_WORKCENTER_V=steps).ask("rejects", [A]).records[A]
    found = (row["WORKCENTERNAME"], row["WORKCENTER_GROUP"], row["WORKCENTERSEQUENCE_GROUP"])
    assert found == ("EARLY", "Early", 2)


def test_equal_places_go_by_name(start: Start) -> None:
    steps = [step("Test", "Z", "B", "1"), step("Test", "Y", "A", "1")]
    [row] = start(LOTREJECTHISTORY=[rejected()], SPEC_WORKCENTER_V=steps).ask("rejects", [A]).records[A]
    assert (row["WORKCENTERNAME"], row["WORKCENTER_GROUP"]) == ("Y", "A")


def test_a_step_that_no_group_has_keeps_its_own_work_centre(start: Start) -> None:
    [row] = start(LOTREJECTHISTORY=[rejected()]).ask("rejects", [A]).records[A]
    found = (row["WORKCENTERNAME"], row["WORKCENTER_GROUP"], row["WORKCENTERSEQUENCE_GROUP"])
    assert found == ("TMTT_HOT", "TMTT_HOT", 999)


def test_rejects_come_by_day_then_flow_then_size(start: Start) -> None:
    steps = [step("First", "F", "F", "1"), step("Last", "L", "L", "9")]
    rows = [
        rejected(SPECNAME="Last", REJECTQTY=900),
        rejected(SPECNAME="First", REJECTQTY=5),
        rejected(SPECNAME="First", REJECTQTY=50),
        rejected(SPECNAME="Last", REJECTQTY=1, TXNDATE=later(24)),
    ]
    found = start(LOTREJECTHISTORY=rows, SPEC_WORKCENTER_V=steps).ask("rejects", [A]).records[A]
    assert [row["REJECT_QTY"] for row in found] == [1, 50, 5, 900]


def test_the_day_of_a_reject_is_the_calendars(start: Start) -> None:
    [row] = start(LOTREJECTHISTORY=[rejected(TXNDATE=datetime(2025, 6, 1, 0, 30))]).ask("rejects", [A]).records[A]
    assert (row["TXN_DAY"], row["TXN_TIME"]) == ("2025-06-01", "2025-06-01T00:30:00")


# holds


def held(**columns: Any) -> dict[str, object]:
    return {"CONTAINERID": A, "HISTORYMAINLINEID": "h" * 16, "HOLDTXNDATE": NOON, **columns}


def test_a_released_hold_has_its_hours(start: Start) -> None:
    [row] = start(HOLDRELEASEHISTORY=[held(RELEASETXNDATE=later(1.505))]).ask("holds", [A]).records[A]
    assert (row["HOLD_STATUS"], row["HOLD_HOURS"]) == ("RELEASED", 1.51)


def test_an_open_hold_counts_to_the_plants_present(start: Start) -> None:
    answer = start(HOLDRELEASEHISTORY=[held()]).ask("holds", [A])
    [row] = answer.records[A]
    assert (row["HOLD_STATUS"], row["HOLD_HOURS"], row["RELEASETXNDATE"]) == ("HOLD", 19.5, None)
    assert answer.receipt.as_of_time == "2025-06-02T07:30:00"


def test_holds_come_latest_first(start: Start) -> None:
    rows = [held(HOLDTXNDATE=later(hours), HISTORYMAINLINEID=f"{hours:016d}") for hours in (1, 3, 2)]
    found = start(HOLDRELEASEHISTORY=rows).ask("holds", [A]).records[A]
    assert [row["HOLDTXNDATE"][11:13] for row in found] == ["15", "14", "13"]


# jobs


def test_one_job_that_lists_two_ids_gives_two_records(start: Start) -> None:
    found = start(JOB=[job("j" * 16, f"{A},{B}")]).ask("jobs", [A, B, C]).records
    assert {lot: [row["JOBID"] for row in rows] for lot, rows in found.items()} == {A: ["j" * 16], B: ["j" * 16]}


def test_an_id_that_is_the_beginning_of_another_does_not_match(start: Start) -> None:
    rig = start(JOB=[job("j" * 16, f"{A}1"), job("k" * 16, f"0{A}"), job("l" * 16, A[:15])])
    assert rig.ask("jobs", [A]).records == {}


def test_an_id_that_a_job_lists_twice_gives_one_record(start: Start) -> None:
    assert len(start(JOB=[job("j" * 16, f"{A},{A}")]).ask("jobs", [A]).records[A]) == 1


@pytest.mark.parametrize("text", [f"{B}, {A}", f" {A} ", f",{A},", f"{B},,{A}"])
def test_blanks_and_empty_places_between_ids_do_not_hide_them(start: Start, text: str) -> None:
    assert list(start(JOB=[job("j" * 16, text)]).ask("jobs", [A]).records) == [A]


def test_short_ids_of_jobs_match_whole(start: Start) -> None:
    assert list(start(JOB=[job("j" * 16, "abc,abcd")]).ask("jobs", ["abc"]).records) == ["abc"]


def test_a_job_with_a_hundred_ids_is_found_by_the_last(start: Start) -> None:
    text = ",".join(container(number) for number in range(100))
    assert list(start(JOB=[job("j" * 16, text)]).ask("jobs", [container(99)]).records) == [container(99)]


def test_jobs_without_containers_are_never_found(start: Start) -> None:
    assert start(JOB=[job("j" * 16, None), job("k" * 16, "")]).ask("jobs", [A]).records == {}


# upstream_history


def test_upstream_keeps_the_latest_of_each_container_work_centre_and_machine(start: Start) -> None:
    rows = [
        tracked(TRACKINTIMESTAMP=later(1), SPECNAME="Old"),
        tracked(TRACKINTIMESTAMP=later(2), SPECNAME="New"),
        tracked(EQUIPMENTNAME="DB-02", EQUIPMENTID="f" * 16, SPECNAME="Other machine"),
        tracked(B, SPECNAME="Other container"),
    ]
    found = start(LOTWIPHISTORY=rows).ask("upstream_history", [A, B]).records
    assert {lot: sorted(row["SPECNAME"] for row in rows) for lot, rows in found.items()} == {
        A: ["New", "Other machine"],
        B: ["Other container"],
    }


def test_upstream_tells_what_the_session_was_loaded_with(start: Start) -> None:
    rig = start(LOTWIPHISTORY=[tracked(TRACKINQTY=left) for left in (40, 100, 70, None)])
    [row] = rig.ask("upstream_history", [A]).records[A]
    assert row["TRACKINQTY"] == 100


def test_upstream_counts_a_missing_quantity_as_0(start: Start) -> None:
    [row] = start(LOTWIPHISTORY=[tracked(TRACKINQTY=None)]).ask("upstream_history", [A]).records[A]
    assert row["TRACKINQTY"] == 0


@pytest.mark.parametrize(
    ("center", "group"),
    [
        ("切割_A", "切割"),
        ("元件切割_A", "元件切割"),
        ("pkg_saw 1", "元件切割"),
        ("PKGXSAW", None),
        ("焊_DB_料", "焊接_DB"),
        ("焊XDB", None),
        ("焊接_WB", "焊接_WB"),
        ("tmtt_cold", "測試"),
        ("滾鍍 2", "電鍍"),
        ("SAW_MOUNT", "Wafer Sawing"),
        ("FG_STORE", None),
        (None, None),
    ],
)
def test_a_group_is_told_by_the_name_of_the_work_centre(tmp_path: Path, center: str | None, group: str | None) -> None:
    url = small_plant(tmp_path / "twin.duckdb", LOTWIPHISTORY=[tracked(WORKCENTERNAME=center)])
    with event_rig(url) as rig:
        [row] = rig.ask("upstream_history", [A]).records[A]
    assert row["WORKCENTER_GROUP"] == group


# every domain


DOMAINS = ["downstream_rejects", "history", "holds", "jobs", "materials", "rejects", "upstream_history"]


def test_all_domains_are_listed_with_their_columns(start: Start) -> None:
    listed = start().stub.ListEventDomains(pb.ListEventDomainsRequest()).domains
    assert [domain.name for domain in listed] == DOMAINS
    assert all(column.about and column.type for domain in listed for column in domain.columns)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_without_rows_still_has_its_schema(start: Start, domain: str) -> None:
    answer = start().read(domain, [A])
    declared = {column.name: column.type for column in answer.header.domain.columns}
    types = {field.name: str(field.type).replace("double", "float64") for field in answer.table.schema}
    assert (types, answer.table.num_rows) == ({k: v.replace("date32", "date32[day]") for k, v in declared.items()}, 0)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"domain": "wafers"}, "domain"),
        ({"container_ids": ["x" * 65]}, "container_ids[0]"),
        ({"format": 9}, "format"),
        ({"ids_frame_id": "frame-1", "container_ids": [A]}, "ids_frame_id"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_field(start: Start, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.InvalidArgument) as raised:
        list(start().stub.ReadEvents(pb.ReadEventsRequest(**{"domain": "holds", **fields})))
    assert [violation.field for violation in raised.value.violations] == [field]


def test_more_ids_than_a_request_may_name_are_refused(tmp_path: Path) -> None:
    with (
        event_rig(small_plant(tmp_path / "twin.duckdb"), max_id_count=3) as rig,
        pytest.raises(errors.OutOfRange) as raised,
    ):
        rig.ask("holds", [A, B, C, A])
    assert raised.value.reason == "TOO_MANY_IDS"


def test_a_frame_of_ids_that_is_gone_is_said(start: Start) -> None:
    with pytest.raises(errors.NotFound) as raised:
        start().ask("holds", [], ids_frame_id="ids-1")
    assert raised.value.reason == "CACHE_EXPIRED"
