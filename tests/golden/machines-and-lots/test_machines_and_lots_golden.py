"""Machines in a period, lots and their material on the twin: reviewed answers, and judges that share no code.

`make golden` rewrites the files; a person reads the diff.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sluice_query_engine.catalog import Catalog
from sluice_twin import PLANT_TIME
from sluice_twin.steps import group_of_work_center
from sluice_warehouse import open_warehouse

from tests.dataset_frames import DatasetFrame, Row, from_warehouse, load
from tests.truth.lot_sessions import counted, sessions
from tests.truth.machine_hours import hours, jobs
from tests.truth.raw_rows import Raw, in_any_order, lot_names, name_of, places, rows_of, whole
from tests.warehouse_urls import DOORS, url_of

HERE = Path(__file__).parent
FIRST, LAST = date(2025, 11, 1), date(2025, 12, 31)
"""Two months: more than one statement, and the plant's end with jobs and sessions that are still open."""

VIEWS = [
    *(("equipment-jobs", view) for view in ("by_machine", "by_cause", "list")),
    *(("equipment-status-hours", view) for view in ("list", "totals", "daily", "reasons")),
    *(("equipment-lots", view) for view in ("by_machine", "daily", "list")),
    *(("equipment-materials", view) for view in ("parts", "material_lots", "list")),
    *(("lot-history", view) for view in ("by_group", "machines", "list")),
    *(("lot-associations", view) for view in ("summary", "materials", "rejects", "holds", "jobs", "list")),
    *(("material-trace", view) for view in ("materials", "lots", "list")),
]


@dataclass(frozen=True)
class Plant:
    """The twin: its datasets as they answer, and its raw rows."""

    path: Path
    catalog: Catalog
    machines: dict[str, str]
    containers: list[str]
    frames: dict[str, DatasetFrame]

    def raw(self, table: str) -> list[Raw]:
        """Return every row of a table."""
        return _raw(self.path, table)

    @property
    def lots(self) -> dict[str, Raw]:
        """The lots by key."""
        return lot_names(self.raw("DW_MES_CONTAINER"))


@cache
def _raw(path: Path, table: str) -> list[Raw]:
    return rows_of(path, table)


@pytest.fixture(scope="module", params=DOORS)
def plant(twin_path: Path, request: pytest.FixtureRequest) -> Iterator[Plant]:
    """A dozen machines and forty lots of the session's twin, read as a file and once more through the Oracle driver."""
    masters = [row for row in _raw(twin_path, "DW_MES_RESOURCE") if row["OBJECTCATEGORY"] in ("ASSEMBLY", "WAFERSORT")]
    machines = {row["RESOURCEID"]: row["RESOURCENAME"] for row in masters[:24:2]}
    history = _raw(twin_path, "DW_MES_LOTWIPHISTORY")
    containers = sorted({row["CONTAINERID"] for row in history})[:40]
    catalog = load()
    days = {"equipment_ids": sorted(machines), "start_date": FIRST.isoformat(), "end_date": LAST.isoformat()}
    material = [row["MATERIALLOTNAME"] for row in _raw(twin_path, "DW_MES_LOTMATERIALSHISTORY")[:30:10]]
    asked: Mapping[str, Mapping[str, object]] = {
        **dict.fromkeys(sorted({name for name, _ in VIEWS if name.startswith("equipment-")}), days),
        "lot-history": {"container_ids": containers},
        "lot-associations": {"container_ids": containers},
        "material-trace": {"mode": "material_lot", "material_lots": sorted(set(material))},
    }
    with url_of(twin_path, request.param) as url, closing(open_warehouse(url)) as warehouse:
        frames = {name: from_warehouse(catalog.get(name), warehouse, given) for name, given in asked.items()}
        yield Plant(twin_path, catalog, machines, containers, frames)


def text_of(rows: list[Row]) -> str:
    """Return rows as CSV; missing values are empty, instants ISO."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _shown(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _shown(value: object) -> object:
    return value.isoformat() if isinstance(value, date | datetime) else value


@pytest.mark.golden
@pytest.mark.parametrize(("dataset", "view"), VIEWS)
def test_a_view_answers_as_it_was_reviewed(
    plant: Plant, dataset: str, view: str, request: pytest.FixtureRequest
) -> None:
    answer = text_of(plant.frames[dataset].rows(view)[:25])
    path = HERE / dataset / f"{view}.csv"
    if request.config.getoption("--write-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(answer, encoding="utf-8")
    assert answer == path.read_text(encoding="utf-8")


def test_the_status_hours_of_machines_agree_with_the_judge(plant: Plant) -> None:
    fragments = plant.raw("DW_MES_RESOURCESTATUS_SHIFT")
    told = hours(fragments, plant.machines, FIRST, LAST, lambda row: plant.machines[row["HISTORYID"]])
    measured = {
        row["machine"]: {name: row[name] for name in row if name.endswith(("_hours", "_pct"))}
        for row in plant.frames["equipment-status-hours"].exported()
    }
    assert measured == told
    assert len(told) == 12


def test_the_status_hours_of_days_agree_with_the_judge(plant: Plant) -> None:
    fragments = plant.raw("DW_MES_RESOURCESTATUS_SHIFT")
    told = hours(fragments, plant.machines, FIRST, LAST, lambda row: row["TXNDATE"].date())
    measured = {row.pop("day"): row for row in plant.frames["equipment-status-hours"].rows("daily")}
    assert measured == told


def test_the_jobs_of_machines_agree_with_the_judge(plant: Plant) -> None:
    told = jobs(plant.raw("DW_MES_JOB"), plant.machines, FIRST, LAST, PLANT_TIME)
    measured = plant.frames["equipment-jobs"].exported()
    assert sorted((row["job_order"], row["machine"], row["job_state"], row["job_hours"]) for row in measured) == sorted(
        (row["JOBORDERNAME"], row["RESOURCENAME"], row["JOBSTATUS"], row["HOURS"]) for row in told
    )
    open_jobs = plant.frames["equipment-jobs"].exported({"progress": "open"})
    assert {row["job_order"] for row in open_jobs} == {row["JOBORDERNAME"] for row in told if row["ENDED"] is None}


def test_the_sessions_of_machines_agree_with_the_judge(plant: Plant) -> None:
    told = sessions(
        plant.raw("DW_MES_LOTWIPHISTORY"),
        plant.lots,
        group_of_work_center(),
        lambda row: row["EQUIPMENTID"] in plant.machines and FIRST <= row["TRACKINTIMESTAMP"].date() <= LAST,
    )
    frame = plant.frames["equipment-lots"]
    assert in_any_order(frame.exported()) == in_any_order(told)
    measured = {row.pop("machine"): tuple(row.values()) for row in frame.rows("by_machine")}
    assert measured == counted(told, lambda row: row["machine"])
    assert any(row["partial_count"] > 1 for row in told)


def test_the_history_of_lots_agrees_with_the_judge(plant: Plant) -> None:
    told = sessions(
        plant.raw("DW_MES_LOTWIPHISTORY"),
        plant.lots,
        group_of_work_center(),
        lambda row: row["CONTAINERID"] in plant.containers,
    )
    frame = plant.frames["lot-history"]
    assert in_any_order(frame.exported()) == in_any_order(told)
    measured = {
        row["workcenter_group"]: (row["session_count"], row["lot_count"], row["track_in_qty"], row["track_out_qty"])
        for row in frame.rows("by_group")
    }
    assert measured == counted(told, lambda row: row["workcenter_group"])


def test_the_materials_of_machines_agree_with_the_judge(plant: Plant) -> None:
    names = set(plant.machines.values())
    told = [
        row
        for row in plant.raw("DW_MES_LOTMATERIALSHISTORY")
        if row["EQUIPMENTNAME"] in names and FIRST <= row["TXNDATE"].date() <= LAST
    ]
    measured = plant.frames["equipment-materials"].exported()
    assert sorted(map(_consumption, measured)) == sorted(_raw_consumption(plant.lots, row) for row in told)
    assert told


def test_the_reverse_trace_agrees_with_the_judge(plant: Plant) -> None:
    frame = plant.frames["material-trace"]
    measured = frame.exported()
    wanted = {row["material_lot"] for row in measured}
    told = [row for row in plant.raw("DW_MES_LOTMATERIALSHISTORY") if row["MATERIALLOTNAME"] in wanted]
    assert sorted(map(_consumption, measured)) == sorted(_raw_consumption(plant.lots, row) for row in told)
    assert len(wanted) == 3


def _consumption(row: Row) -> tuple[Any, ...]:
    return (row["txn_time"], row["lot_id"], row["material_part"], row["material_lot"], row["qty_consumed"])


def _raw_consumption(lots: Mapping[str, Raw], row: Raw) -> tuple[Any, ...]:
    lot = name_of(lots, row["CONTAINERID"])
    return (row["TXNDATE"], lot, row["MATERIALPARTNAME"], row["MATERIALLOTNAME"], places(row["QTYCONSUMED"], 6))


def test_the_rejects_of_lots_agree_with_the_judge_and_its_policy(plant: Plant) -> None:
    excluded = {
        row["REASON_NAME"].strip().upper()
        for row in plant.raw("ERP_PJ_WIP_SCRAP_REASONS_EXCLUDE")
        if row["ENABLE_FLAG"] == "Y" and row["REASON_NAME"]
    }
    raw = [row for row in plant.raw("DW_MES_LOTREJECTHISTORY") if row["CONTAINERID"] in plant.containers]
    kept = [row for row in raw if _counts(row["LOSSREASONNAME"], excluded)]
    frame = plant.frames["lot-associations"]
    shown = {"include_excluded_scrap": "true", "exclude_material_scrap": "false", "exclude_pb_diode": "false"}
    assert sorted(map(_reject, frame.exported(shown, "rejects"))) == sorted(map(_raw_reject, raw))
    assert sorted(map(_reject, frame.exported(view="rejects"))) == sorted(map(_raw_reject, kept))
    assert 0 < len(kept) < len(raw)


def _counts(reason: str | None, excluded: set[str]) -> bool:
    """Return whether a reject of this reason counts in the plant's statistics."""
    if reason is None or len(reason) < 4 or not reason[:3].isdigit() or reason[3] != "_":
        return False
    return reason.upper() not in excluded and reason[:3] not in excluded


def _reject(row: Row) -> tuple[Any, ...]:
    return (
        row["event_time"],
        row["loss_reason"] or "",
        row["reject_total_qty"],
        row["defect_qty"],
        row["machine"] or "",
    )


def _raw_reject(row: Raw) -> tuple[Any, ...]:
    parts = ("REJECTQTY", "STANDBYQTY", "QTYTOPROCESS", "INPROCESSQTY", "PROCESSEDQTY")
    total = sum(whole(row[part]) for part in parts)
    return (
        row["TXNDATE"],
        row["LOSSREASONNAME"] or "",
        total,
        whole(row["DEFECTQTY"]),
        row["EQUIPMENTNAME"] or "",
    )


def test_the_holds_of_lots_agree_with_the_judge(plant: Plant) -> None:
    told = [row for row in plant.raw("DW_MES_HOLDRELEASEHISTORY") if row["CONTAINERID"] in plant.containers]
    measured = plant.frames["lot-associations"].exported(view="holds")
    assert sorted((row["event_time"], row["hold_reason"] or "", row["qty"], row["hold_state"]) for row in measured) == (
        sorted(
            (
                row["HOLDTXNDATE"],
                row["HOLDREASONNAME"] or "",
                whole(row["QTY"]),
                "RELEASED" if row["RELEASETXNDATE"] else "HOLD",
            )
            for row in told
        )
    )
