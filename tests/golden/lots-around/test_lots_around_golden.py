"""Neighbours of lots, rejects of machines, splits and serials, and who placed holds, on the twin: reviewed answers and
judges that share no code.

`make golden` rewrites the files; a person reads the diff.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sluice_twin import PLANT_TIME
from sluice_warehouse import open_warehouse

from tests.dataset_frames import DatasetFrame, from_warehouse, load
from tests.golden.answers import text_of
from tests.truth import holds_now, lots_around
from tests.truth.raw_rows import Raw, lot_names, name_of, rows_of, whole
from tests.truth.rejects import steps_of
from tests.warehouse_urls import DOORS, url_of

HERE = Path(__file__).parent
FIRST, LAST = date(2025, 11, 1), date(2025, 11, 30)

VIEWS = [
    *(("adjacent-lots", view) for view in ("targets", "list")),
    *(("equipment-rejects", view) for view in ("by_machine", "by_reason", "list")),
    *(("split-merge-history", view) for view in ("serials", "serial_lots", "list")),
    *(("hold-department", view) for view in ("department", "person", "list")),
]
EVERYTHING = {"include_excluded_scrap": "true", "exclude_material_scrap": "false", "exclude_pb_diode": "false"}


@dataclass(frozen=True)
class Around:
    """What was asked on the twin, and its raw rows."""

    machine: str
    lot_id: str
    days: tuple[date, date]
    asked: list[str]
    machines: dict[str, Raw]
    tables: Mapping[str, list[Raw]]
    frames: dict[str, DatasetFrame]

    @property
    def lots(self) -> dict[str, Raw]:
        """Lots by key."""
        return lot_names(self.tables["DW_MES_CONTAINER"])


TABLES = (
    "DW_MES_CONTAINER",
    "DW_MES_HM_LOTMOVEOUT",
    "DW_MES_HOLDRELEASEHISTORY",
    "DW_MES_LOTREJECTHISTORY",
    "DW_MES_LOTWIPHISTORY",
    "DW_MES_PJ_COMBINEDASSYLOTS",
    "DW_MES_RESOURCE",
    "DW_MES_SPEC_WORKCENTER_V",
)


@pytest.fixture(scope="module", params=DOORS)
def around(twin_path: Path, request: pytest.FixtureRequest) -> Iterator[Around]:
    """The session's twin, read as a file and once more through the Oracle driver."""
    tables = {name: rows_of(twin_path, name) for name in TABLES}
    lots = lot_names(tables["DW_MES_CONTAINER"])
    session = _busiest(tables["DW_MES_LOTWIPHISTORY"])
    day = session["TRACKINTIMESTAMP"].date()
    days = (day - timedelta(days=15), day + timedelta(days=15))
    lot_id = str(name_of(lots, session["CONTAINERID"]))
    moved = sorted({row["CONTAINERID"] for row in tables["DW_MES_HM_LOTMOVEOUT"] if row["FROMCONTAINERID"]})
    combined = sorted({row["CONTAINERID"] for row in tables["DW_MES_PJ_COMBINEDASSYLOTS"]})
    asked = [*moved[:2], *combined[:4]]
    machines = {
        row["RESOURCEID"]: row
        for row in tables["DW_MES_RESOURCE"]
        if row["OBJECTCATEGORY"] in ("ASSEMBLY", "WAFERSORT") and row["WORKCENTERNAME"]
    }
    machines = dict(sorted(machines.items())[:200:5])
    of_month = {"start_date": FIRST.isoformat(), "end_date": LAST.isoformat()}
    given: Mapping[str, dict[str, Any]] = {
        "adjacent-lots": {
            "equipment_id": session["EQUIPMENTID"],
            "lot_id": lot_id,
            "start_date": days[0].isoformat(),
            "end_date": days[1].isoformat(),
        },
        "equipment-rejects": {**of_month, "equipment_ids": sorted(machines)},
        "split-merge-history": {"container_values": sorted(str(name_of(lots, key)) for key in asked)},
        "hold-department": of_month,
    }
    stages = {"containers": [{"container_id": key} for key in asked]}
    catalog = load()
    with url_of(twin_path, request.param) as url, closing(open_warehouse(url)) as warehouse:
        frames = {
            name: from_warehouse(
                catalog.get(name), warehouse, asked_, stages=stages if name == "split-merge-history" else None
            )
            for name, asked_ in given.items()
        }
    yield Around(session["EQUIPMENTID"], lot_id, days, asked, machines, tables, frames)


def _busiest(history: list[Raw]) -> Raw:
    """Return a session with most others on its machine in the days around it."""
    on: dict[str, list[Raw]] = {}
    for row in history:
        if row["EQUIPMENTID"] and row["CONTAINERID"] and row["TRACKINTIMESTAMP"]:
            on.setdefault(row["EQUIPMENTID"], []).append(row)

    def neighbours(row: Raw) -> tuple[int, str]:
        times = (other["TRACKINTIMESTAMP"] for other in on[row["EQUIPMENTID"]])
        around = sum(abs(time - row["TRACKINTIMESTAMP"]) < timedelta(days=15) for time in times)
        return around, row["CONTAINERID"]

    return max((row for rows in on.values() for row in rows), key=neighbours)


@pytest.mark.golden
@pytest.mark.parametrize(("dataset", "view"), VIEWS)
def test_a_view_answers_as_it_was_reviewed(
    around: Around, dataset: str, view: str, request: pytest.FixtureRequest
) -> None:
    answer = text_of(around.frames[dataset].rows(view)[:25])
    path = HERE / dataset / f"{view}.csv"
    if request.config.getoption("--write-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(answer, encoding="utf-8")
    assert answer == path.read_text(encoding="utf-8")


def test_neighbours_agree_with_the_judge(around: Around) -> None:
    history = around.tables["DW_MES_LOTWIPHISTORY"]
    told = lots_around.neighbours(history, around.lots, around.machine, around.lot_id, *around.days)
    frame = around.frames["adjacent-lots"]
    assert len(frame.rows("targets")) == len(told) > 0
    for number, places in enumerate(told, 1):
        measured = [
            (row["relative_position"], row["lot_id"], row["track_in_time"], row["track_in_qty"], row["partial_count"])
            for row in frame.exported({"target_number": number})
        ]
        assert measured == places
    assert max(len(places) for places in told) >= 6


def test_the_rejects_of_machines_agree_with_the_judge(around: Around) -> None:
    steps = steps_of(around.tables["DW_MES_SPEC_WORKCENTER_V"])
    history, rejects = around.tables["DW_MES_LOTWIPHISTORY"], around.tables["DW_MES_LOTREJECTHISTORY"]
    told = lots_around.machine_rejects(history, rejects, around.machines, steps, FIRST, LAST)
    frame = around.frames["equipment-rejects"]
    measured = {row.pop("machine"): tuple(row.values()) for row in frame.rows("by_machine", EVERYTHING)}
    assert measured == {
        around.machines[key]["RESOURCENAME"]: (
            len({row["CONTAINERID"] for row in rows}),
            sum(lots_around.charged_off(row) for row in rows),
            sum(whole(row["DEFECTQTY"]) for row in rows),
        )
        for key, rows in told.items()
        if rows
    }
    assert measured
    once = {id(row): row for rows in told.values() for row in rows}.values()
    assert sorted(row["reject_total_qty"] for row in frame.exported(EVERYTHING)) == sorted(
        lots_around.charged_off(row) for row in once
    )
    assert sum(row["reject_total_qty"] for row in frame.rows("by_reason", EVERYTHING)) == sum(
        lots_around.charged_off(row) for row in once
    )


def test_splits_and_merges_agree_with_the_judge(around: Around) -> None:
    told = lots_around.transactions(around.tables["DW_MES_HM_LOTMOVEOUT"], around.lots, around.asked)
    frame = around.frames["split-merge-history"]
    names = ("operation", "txn_time", "source_lot", "target_lot", "source_asked", "target_asked")
    measured = [tuple(row[name] for name in names) for row in frame.exported()]
    assert sorted(measured, key=repr) == sorted(told, key=repr)
    assert told


def test_serial_numbers_agree_with_the_judge(around: Around) -> None:
    told = lots_around.serials(around.tables["DW_MES_PJ_COMBINEDASSYLOTS"], around.asked)
    measured = around.frames["split-merge-history"].rows("serials")
    assert {row.pop("serial"): tuple(row.values()) for row in measured} == told
    assert told


def test_holds_by_department_agree_with_the_judge(around: Around) -> None:
    told = holds_now.departments(around.tables["DW_MES_HOLDRELEASEHISTORY"], FIRST, LAST, PLANT_TIME)
    frame = around.frames["hold-department"]
    measured = frame.rows("department", {"hold_type": "all"})
    assert {row.pop("department"): tuple(row.values()) for row in measured} == told
    persons = frame.rows("person", {"hold_type": "all"})
    assert (
        sum(row["hold_count"] for row in persons)
        == sum(row[0] for row in told.values())
        == frame.count("list", {"hold_type": "all"})
    )
    assert told
