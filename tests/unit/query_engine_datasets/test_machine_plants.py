"""Machines in a period and lots on plants made by hand: the expected numbers stand beside the rows they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog
from sluice_twin import plant_of
from sluice_warehouse import open_warehouse

from tests.dataset_frames import DatasetFrame, Row, from_warehouse

LOT, MACHINE, OTHER = "L" * 16, "M" * 16, "N" * 16
DAYS = {"start_date": "2025-03-10", "end_date": "2025-03-12"}


def at(text: str) -> datetime:
    """Return an instant of March 2025, `DD HH:MM[:SS]`."""
    return datetime.fromisoformat(f"2025-03-{text}")


class Bench:
    """Reads datasets on plants made by hand."""

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        self._catalog, self._file = catalog, folder / "plant.duckdb"

    def read(
        self,
        dataset: str,
        given: Mapping[str, object],
        tables: Mapping[str, Sequence[Mapping[str, object]]],
        meant: Sequence[str] = (),
    ) -> DatasetFrame:
        """Return the frame of a query on a plant of just these rows, its clock at 2025-03-20 12:00.

        Args:
            meant: containers that the typed values mean, for datasets that ask lineage.
        """
        stages = {"containers": [{"container_id": container} for container in meant]} if meant else None
        steps = {"DW_MES_SPEC_WORKCENTER_V": [{"SPEC": "S", "WORK_CENTER": "W", "WORK_CENTER_GROUP": "G"}]}
        plant_of({**steps, **tables}, self._file, datetime(2025, 3, 20, 12))
        with closing(open_warehouse(f"duckdb://{self._file}")) as warehouse:
            return from_warehouse(self._catalog.get(dataset), warehouse, given, stages=stages)


@pytest.fixture
def bench(catalog: Catalog, tmp_path: Path) -> Bench:
    return Bench(catalog, tmp_path)


def part(loaded: int, out: int | None, gone: str | None, **values: object) -> Row:
    """Return a track-out of lot L on machine M at step S since 08:00 of the 10th."""
    return {
        "CONTAINERID": LOT,
        "EQUIPMENTID": MACHINE,
        "EQUIPMENTNAME": "Bonder 1",
        "WORKCENTERNAME": "W",
        "SPECNAME": "S",
        "TRACKINTIMESTAMP": at("10 08:00"),
        "TRACKINQTY": loaded,
        "TRACKOUTQTY": out,
        "TRACKOUTTIMESTAMP": None if gone is None else at(gone),
        "PJ_WORKORDER": "GA1",
        **values,
    }


THREE_PARTS = [part(1000, 300, "10 10:00"), part(700, 500, "10 11:00"), part(200, 200, "10 12:00")]


def told(rows: Sequence[Row]) -> list[tuple[object, ...]]:
    """Return in, out, track-out and number of parts of each session."""
    return [(row["track_in_qty"], row["track_out_qty"], row["track_out_time"], row["partial_count"]) for row in rows]


SESSIONS = pytest.mark.parametrize(
    ("dataset", "given"),
    [("lot-history", {"container_ids": [LOT]}), ("equipment-lots", {**DAYS, "equipment_ids": [MACHINE]})],
)
TYPED = {"mode": "names", "container_values": ["whatever was typed"]}
"""Asks for lots by name; what a name means is given to the bench, since lineage resolves it."""


@SESSIONS
def test_parts_of_a_session_are_one_row(bench: Bench, dataset: str, given: dict[str, object]) -> None:
    frame = bench.read(dataset, given, {"DW_MES_LOTWIPHISTORY": THREE_PARTS})
    # In is the most of 1000, 700, 200; out is 300 + 500 + 200.
    assert told(frame.rows("list")) == [(1000, 1000, at("10 12:00"), 3)]


@SESSIONS
def test_parts_that_differ_in_more_stay_apart(bench: Bench, dataset: str, given: dict[str, object]) -> None:
    rows = [*THREE_PARTS[:2], {**THREE_PARTS[2], "PJ_WORKORDER": "GA2"}]
    frame = bench.read(dataset, given, {"DW_MES_LOTWIPHISTORY": rows})
    assert told(frame.rows("list")) == [
        (1000, 300, at("10 10:00"), 1),
        (700, 500, at("10 11:00"), 1),
        (200, 200, at("10 12:00"), 1),
    ]


@SESSIONS
def test_parts_without_a_step_are_one_session_too(bench: Bench, dataset: str, given: dict[str, object]) -> None:
    rows = [{**row, "SPECNAME": None} for row in THREE_PARTS]
    frame = bench.read(dataset, given, {"DW_MES_LOTWIPHISTORY": rows})
    assert told(frame.rows("list")) == [(1000, 1000, at("10 12:00"), 3)]


@SESSIONS
def test_a_session_that_is_not_out_has_no_end_and_nothing_out(
    bench: Bench, dataset: str, given: dict[str, object]
) -> None:
    frame = bench.read(dataset, given, {"DW_MES_LOTWIPHISTORY": [part(1000, None, None)]})
    assert told(frame.rows("list")) == [(1000, 0, None, 1)]


def test_a_check_point_is_no_session(bench: Bench) -> None:
    rows = [part(1000, 1000, "10 10:00", EQUIPMENTID=None), part(400, 400, "10 11:00", SPECNAME="T")]
    frame = bench.read("lot-history", {"container_ids": [LOT]}, {"DW_MES_LOTWIPHISTORY": rows})
    assert [row["track_in_qty"] for row in frame.rows("list")] == [400]


def test_a_group_that_no_session_has_shows_none(bench: Bench) -> None:
    frame = bench.read("lot-history", {"container_ids": [LOT]}, {"DW_MES_LOTWIPHISTORY": THREE_PARTS})
    assert len(frame.rows("list", {"workcenter_group": "G"})) == 1
    assert frame.rows("list", {"workcenter_group": "No such group"}) == []


def fragment(status: str | None, hours: str, when: str, **values: object) -> Row:
    """Return hours of machine M in a status, followed by another one, booked at an instant."""
    return {
        "RESOURCESTATUSHISTORYID": f"{status}{when}".ljust(16),
        "HISTORYID": MACHINE,
        "OLDSTATUSNAME": status,
        "NEWSTATUSNAME": "NST",
        "HOURS": hours,
        "TXNDATE": at(when),
        **values,
    }


def test_utilisation_leaves_out_what_was_not_scheduled(bench: Bench) -> None:
    spent = {"PRD": "60", "SBY": "20", "UDT": "10", "SDT": "5", "EGT": "5", "NST": "20", "SCRAP": "3", None: "1"}
    rows = [fragment(status, hours, "10 12:00") for status, hours in spent.items()]
    frame = bench.read(
        "equipment-status-hours", {**DAYS, "equipment_ids": [MACHINE]}, {"DW_MES_RESOURCESTATUS_SHIFT": rows}
    )
    [row] = frame.rows("list")
    # 60 of 60 + 20 + 10 + 5 + 5; SCRAP and no status at all are 3 + 1 other hours of 124.
    assert (row["ou_pct"], row["nst_hours"], row["other_hours"], row["total_hours"]) == (60.0, 20.0, 4.0, 124.0)


def test_hours_belong_to_the_calendar_day_and_the_status_that_lasted(bench: Bench) -> None:
    rows = [
        fragment("PRD", "8", "09 23:59:59"),
        fragment("PRD", "4", "10 00:00:00"),
        fragment("SBY", "4", "10 07:29:59"),
        fragment("PRD", "2.5", "12 23:59:59"),
        fragment("PRD", "8", "13 00:00:00"),
        fragment("PRD", "9", "11 12:00:00", HISTORYID=OTHER),
    ]
    frame = bench.read(
        "equipment-status-hours", {**DAYS, "equipment_ids": [MACHINE]}, {"DW_MES_RESOURCESTATUS_SHIFT": rows}
    )
    days = [(row["day"].day, row["prd_hours"], row["sby_hours"], row["ou_pct"]) for row in frame.rows("daily")]
    assert days == [(10, 4.0, 4.0, 50.0), (12, 2.5, 0.0, 100.0)]
    assert [(row["machine_count"], row["prd_hours"]) for row in frame.rows("totals")] == [(1, 6.5)]


def test_a_machine_that_was_not_scheduled_has_no_utilisation(bench: Bench) -> None:
    frame = bench.read(
        "equipment-status-hours",
        {**DAYS, "equipment_ids": [MACHINE]},
        {"DW_MES_RESOURCESTATUS_SHIFT": [fragment("NST", "24", "11 12:00")]},
    )
    views = ("list", "totals", "daily")
    assert [row["ou_pct"] for view in views for row in frame.rows(view)] == [None, None, None]


def job(number: str, created: str, **values: object) -> Row:
    """Return a job of machine M."""
    return {
        "JOBID": number.ljust(16),
        "RESOURCEID": MACHINE,
        "RESOURCENAME": "Bonder 1",
        "JOBORDERNAME": number,
        "CREATEDATE": at(created),
        **values,
    }


JOBS = [
    job("J1", "10 08:00", COMPLETEDATE=at("10 09:30"), CAUSECODENAME="Wear"),
    job("J2", "11 08:00", COMPLETEDATE=at("11 12:30"), CAUSECODENAME="Wear"),
    job("J3", "12 23:59:59", CANCELDATE=at("13 12:00")),
    job("J4", "12 12:00"),
    job("J5", "13 00:00:00"),
    job("J6", "09 23:59:59", COMPLETEDATE=at("11 00:00")),
    job("J7", "11 00:00", RESOURCEID=OTHER),
]


def test_jobs_belong_to_the_day_they_were_opened(bench: Bench) -> None:
    frame = bench.read("equipment-jobs", {**DAYS, "equipment_ids": [MACHINE]}, {"DW_MES_JOB": JOBS})
    # J1 took 1.5 hours, J2 4.5; J4 has been open from the 12th, 12:00, to the 20th, 12:00.
    assert [(row["job_order"], row["job_hours"]) for row in frame.rows("list", sort="create_time")] == [
        ("J3", 12.0),
        ("J4", 192.0),
        ("J2", 4.5),
        ("J1", 1.5),
    ]
    assert frame.rows("by_machine") == [
        {
            "machine": "Bonder 1",
            "job_count": 4,
            "open_count": 1,
            "completed_count": 2,
            "cancelled_count": 1,
            "avg_completed_hours": 3.0,
        }
    ]


def test_the_jobs_of_a_cause_may_be_none(bench: Bench) -> None:
    frame = bench.read("equipment-jobs", {**DAYS, "equipment_ids": [MACHINE]}, {"DW_MES_JOB": JOBS})
    assert [(row["cause"], row["job_count"], row["pct"], row["cum_pct"]) for row in frame.rows("by_cause")] == [
        ("(none)", 2, 50.0, 50.0),
        ("Wear", 2, 50.0, 100.0),
    ]


def test_jobs_of_a_lot_are_those_of_its_machine_while_it_was_there(bench: Bench) -> None:
    # The lot was on the machine on the 11th from 10:00 to 11:00.
    session = part(10, 10, "11 11:00", TRACKINTIMESTAMP=at("11 10:00"))
    jobs = [
        job("before", "11 08:00", COMPLETEDATE=at("11 09:59")),
        job("into", "11 08:00", COMPLETEDATE=at("11 10:00")),
        job("within", "11 10:30"),
        job("out of", "11 11:00", COMPLETEDATE=at("12 12:00")),
        job("after", "11 11:01"),
        job("never ended", "01 08:00"),
    ]
    tables: Mapping[str, Sequence[Row]] = {"DW_MES_LOTWIPHISTORY": [session, session], "DW_MES_JOB": jobs}
    frame = bench.read("lot-associations", {"container_ids": [LOT]}, tables)
    assert [row["job_order"] for row in frame.rows("jobs", sort="job_order")] == ["into", "out of", "within"]


def test_what_is_charged_off_has_five_parts_and_defects_stand_apart(bench: Bench) -> None:
    reject = {
        "CONTAINERID": LOT,
        "TXNDATE": at("10 12:00"),
        "LOSSREASONNAME": "701_Open",
        "REJECTQTY": 1,
        "STANDBYQTY": 2,
        "QTYTOPROCESS": 4,
        "INPROCESSQTY": None,
        "PROCESSEDQTY": 16,
        "DEFECTQTY": 32,
        "SPECNAME": "S  ",
    }
    frame = bench.read("lot-associations", {"container_ids": [LOT]}, {"DW_MES_LOTREJECTHISTORY": [reject]})
    # 1 + 2 + 4 + 0 + 16
    assert [(row["reject_total_qty"], row["defect_qty"], row["workcenter_group"]) for row in frame.rows("rejects")] == [
        (23, 32, "G")
    ]


@pytest.mark.parametrize(
    ("reason", "package", "kind", "counts"),
    [
        ("701_Open", "SMA", "LOT", True),
        ("702_Short", "SMA", "LOT", False),
        ("703_Leak", "SMA", "LOT", False),
        ("70_Open", "SMA", "LOT", False),
        ("XXX_Balance", "SMA", "LOT", False),
        (None, "SMA", "LOT", False),
        ("701_Open", "PB_SMA", "LOT", False),
        ("701_Open", "SMA", "MATERIAL", False),
        ("701_Open", None, None, True),
    ],
)
def test_the_policy_of_the_plant_hides_rejects(
    bench: Bench, reason: str | None, package: str | None, kind: str | None, counts: bool
) -> None:
    tables: Mapping[str, Sequence[Row]] = {
        "DW_MES_LOTREJECTHISTORY": [
            {"CONTAINERID": LOT, "TXNDATE": at("10 12:00"), "LOSSREASONNAME": reason, "REJECTQTY": 1}
        ],
        "DW_MES_CONTAINER": [{"CONTAINERID": LOT, "PRODUCTLINENAME": package, "OBJECTTYPE": kind}],
        "ERP_PJ_WIP_SCRAP_REASONS_EXCLUDE": [
            {"REASON_ID": 1, "REASON_NAME": "702", "ENABLE_FLAG": "Y"},
            {"REASON_ID": 2, "REASON_NAME": " 703_leak ", "ENABLE_FLAG": "Y"},
            {"REASON_ID": 3, "REASON_NAME": "701_Open", "ENABLE_FLAG": "N"},
        ],
    }
    frame = bench.read("lot-associations", {"container_ids": [LOT]}, tables)
    shown = {"include_excluded_scrap": "true", "exclude_material_scrap": "false", "exclude_pb_diode": "false"}
    assert (len(frame.rows("rejects")), len(frame.rows("rejects", shown))) == (int(counts), 1)


def consumed(part_name: str, qty: str, **values: object) -> Row:
    """Return a consumption by lot L on Bonder 1 on the 10th at 12:00."""
    return {
        "CONTAINERID": LOT,
        "PJ_WORKORDER": "GA1",
        "MATERIALPARTNAME": part_name,
        "MATERIALLOTNAME": "ML1",
        "QTYCONSUMED": qty,
        "UOMNAME": "g",
        "EQUIPMENTNAME": "Bonder 1",
        "TXNDATE": at("10 12:00"),
        **values,
    }


def test_materials_of_a_machine_are_those_booked_on_its_name(bench: Bench) -> None:
    rows = [
        consumed("P1", "0.1"),
        consumed("P1", "0.2"),
        consumed("P1", "3", UOMNAME="m"),
        consumed("P1", "9", EQUIPMENTNAME="Bonder 10"),
        consumed("P1", "9", TXNDATE=at("13 00:00")),
    ]
    masters = [{"RESOURCEID": MACHINE, "RESOURCENAME": "Bonder 1 "}]
    frame = bench.read(
        "equipment-materials",
        {**DAYS, "equipment_ids": [MACHINE]},
        {"DW_MES_LOTMATERIALSHISTORY": rows, "DW_MES_RESOURCE": masters},
    )
    assert [(row["unit"], row["qty_consumed"], row["lot_count"]) for row in frame.rows("parts")] == [
        ("g", 0.3, 1),
        ("m", 3.0, 1),
    ]


def test_lots_that_are_typed_are_those_that_the_names_mean(bench: Bench) -> None:
    rows = [part(1000, 1000, "10 10:00"), part(10, 10, "10 11:00", CONTAINERID=OTHER)]
    frame = bench.read("lot-history", TYPED, {"DW_MES_LOTWIPHISTORY": rows}, meant=[LOT])
    assert [row["track_in_qty"] for row in frame.rows("list")] == [1000]


def test_what_happened_to_typed_lots_is_what_happened_to_those_lots(bench: Bench) -> None:
    tables: Mapping[str, Sequence[Row]] = {
        "DW_MES_LOTMATERIALSHISTORY": [consumed("P1", "1"), consumed("P2", "1", CONTAINERID=OTHER)],
        "DW_MES_LOTREJECTHISTORY": [
            {"CONTAINERID": LOT, "TXNDATE": at("10 12:00"), "LOSSREASONNAME": "701_Open", "REJECTQTY": 7}
        ],
        "DW_MES_HOLDRELEASEHISTORY": [
            {"HISTORYMAINLINEID": "H" * 16, "CONTAINERID": LOT, "HOLDTXNDATE": at("10 13:00"), "QTY": 5}
        ],
        "DW_MES_LOTWIPHISTORY": [part(10, 10, "10 11:00")],
        "DW_MES_JOB": [job("J1", "10 10:30")],
    }
    typed = bench.read("lot-associations", TYPED, tables, meant=[LOT])
    by_key = bench.read("lot-associations", {"container_ids": [LOT]}, tables)
    kinds = sorted((row["kind"], row["qty"]) for row in typed.rows("list"))
    assert kinds == [("hold", 5.0), ("job", None), ("material", 1.0), ("reject", 7.0)]
    assert typed.exported() == by_key.exported()


@pytest.mark.parametrize(
    ("given", "meant", "expected"),
    [
        ({"mode": "lot", "container_values": ["GA1-001"]}, [LOT], ["P1", "P1", "P2"]),
        ({"mode": "workorder", "workorders": ["GA1"]}, [], ["P1", "P1", "P2"]),
        ({"mode": "material_lot", "material_lots": ["ML2"]}, [], ["P3", "P4"]),
        ({"container_values": ["GA1-0"]}, [], []),
    ],
)
def test_a_trace_goes_both_ways_and_keeps_equal_rows(
    bench: Bench, given: dict[str, object], meant: list[str], expected: list[str]
) -> None:
    rows = [
        consumed("P1", "1"),
        consumed("P1", "1"),
        consumed("P2", "1"),
        consumed("P3", "1", CONTAINERID=OTHER, PJ_WORKORDER="GA2", MATERIALLOTNAME="ML2"),
        consumed("P4", "1", CONTAINERID="X" * 16, PJ_WORKORDER="GA2", MATERIALLOTNAME="ML2"),
    ]
    lots = [{"CONTAINERID": LOT, "CONTAINERNAME": "GA1-001"}, {"CONTAINERID": OTHER, "CONTAINERNAME": "GA2-001"}]
    tables: Mapping[str, Sequence[Row]] = {"DW_MES_LOTMATERIALSHISTORY": rows, "DW_MES_CONTAINER": lots}
    frame = bench.read("material-trace", given, tables, meant)
    assert [row["material_part"] for row in frame.rows("list", sort="material_part")] == expected
