"""Lots in process, machines and holds now on the twin: reviewed answers, and judges that share no code.

`make golden` rewrites the files; a person reads the diff.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from sluice_twin import PLANT_TIME
from sluice_warehouse import open_warehouse

from tests.dataset_frames import DatasetFrame, Row, from_warehouse, load
from tests.golden.answers import text_of
from tests.truth import floor, holds_now, machine_days
from tests.truth.raw_rows import lot_names, places, rows_of
from tests.warehouse_urls import DOORS, url_of

HERE = Path(__file__).parent
NON_QUALITY = ("Customer sample retention", "Engineering verification (PE)", "Process trial")

VIEWS = [
    *(
        ("wip", view)
        for view in (
            "summary",
            "matrix",
            "hold_summary",
            "hold_figures",
            "hold_distribution",
            "treemap",
            "groups",
            "specs",
            "search",
            "list",
            "lot",
        )
    ),
    *(("equipment", view) for view in ("summary", "matrix", "categories", "list", "lots")),
    *(("hold-snapshot", view) for view in ("summary", "reason_pareto", "duration", "list")),
]


SEARCHED = {"search_text": "ga25"}
"""What the view of a search is asked for; other views do not take it."""


@dataclass
class Floor:
    """The twin's floor: the snapshots as they answer, and what the judges say."""

    path: Path
    frames: dict[str, DatasetFrame]
    non_quality: frozenset[str]

    @cached_property
    def lots(self) -> list[floor.FloorLot]:
        """Lots in process."""
        return floor.floor_lots(rows_of(self.path, "DW_MES_LOT_V"), self.non_quality)

    @cached_property
    def machines(self) -> list[floor.FloorMachine]:
        """Machines now."""
        masters = machine_days.counted_machines(
            rows_of(self.path, "DW_MES_RESOURCE"),
            rows_of(self.path, "DW_MES_SPEC_WORKCENTER_V"),
            rows_of(self.path, "DW_MES_RESOURCE_PACKAGEGROUP"),
        )
        return floor.floor_machines(masters, rows_of(self.path, "DW_MES_EQUIPMENTSTATUS_WIP_V"))

    def holds(self, question: holds_now.Question) -> list[holds_now.HoldNow]:
        """Holds now."""
        lots = lot_names(rows_of(self.path, "DW_MES_CONTAINER"))
        rows = rows_of(self.path, "DW_MES_HOLDRELEASEHISTORY")
        return holds_now.holds_now(rows, lots, self.non_quality, PLANT_TIME, question)


@pytest.fixture(scope="module", params=DOORS)
def now(twin_path: Path, request: pytest.FixtureRequest) -> Iterator[Floor]:
    """The floor of the session's twin, read as a file and once more through the Oracle driver."""
    catalog = load()
    names = sorted({name for name, _ in VIEWS})
    [reasons] = [item for item in catalog.get("wip").references if item.name == "non_quality_reasons"]
    with url_of(twin_path, request.param) as url, closing(open_warehouse(url)) as warehouse:
        frames = {name: from_warehouse(catalog.get(name), warehouse, {}) for name in names}
    yield Floor(twin_path, frames, frozenset(str(row["reason"]) for row in reasons.rows or ()))


@pytest.mark.golden
@pytest.mark.parametrize(("dataset", "view"), VIEWS)
def test_a_view_answers_as_it_was_reviewed(now: Floor, dataset: str, view: str, request: pytest.FixtureRequest) -> None:
    answer = text_of(now.frames[dataset].rows(view, SEARCHED if view == "search" else {})[:25])
    path = HERE / dataset / f"{view}.csv"
    if request.config.getoption("--write-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(answer, encoding="utf-8")
    assert answer == path.read_text(encoding="utf-8")


SELECTIONS: Mapping[str, tuple[dict[str, Any], Any]] = {
    "all": ({}, lambda lot: True),
    "two packages": ({"package": ["SOT-23", "SOT-223"]}, lambda lot: lot.package in ("SOT-23", "SOT-223")),
    "a week or more": ({"age_range": "7+"}, lambda lot: lot.age == "7+"),
    "not one type": ({"pj_type": {"exclude": ["BJT"]}}, lambda lot: lot.row["PJ_TYPE"] != "BJT"),
}


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
def test_lots_in_process_agree_with_the_judge(now: Floor, selection: tuple[dict[str, Any], Any]) -> None:
    filters, chosen = selection
    lots, frame = [lot for lot in now.lots if chosen(lot)], now.frames["wip"]
    [row] = frame.rows("summary", filters)
    told = floor.lot_figures(lots)
    assert {name: row[name] for name in told} == told
    held = [lot for lot in lots if lot.status == "HOLD"]
    assert told["hold_lots"] > 0
    of_group = floor.by(lots, lambda lot: lot.group or "(none)")
    assert {row.pop("workcenter_group"): row for row in frame.rows("groups", filters)} == {
        group: {"group_sequence": min(lot.sequence for lot in members), **floor.lot_figures(members)}
        for group, members in of_group.items()
    }
    cells = floor.by([lot for lot in lots if lot.group and lot.package], lambda lot: (str(lot.group), str(lot.package)))
    matrix = frame.rows("matrix", filters)
    assert {(row["workcenter_group"], row["package"]): (row["lot_count"], row["qty"]) for row in matrix} == {
        key: floor.amounts(members) for key, members in cells.items()
    }
    assert {row["total_qty"] for row in matrix} == {sum(floor.amounts(members)[1] for members in cells.values())}
    steps = floor.by(lots, lambda lot: (lot.group or "(none)", lot.row["SPECNAME"] or "(none)"))
    assert _amounts(frame.rows("specs", filters), "workcenter_group", "spec") == {
        key: floor.amounts(members) for key, members in steps.items()
    }
    assert frame.count("list", filters) == len(lots)
    assert {row["lot_id"]: row["wip_status"] for row in frame.exported(filters)} == {
        lot.row["LOTID"]: lot.status for lot in lots
    }
    _check_holds(frame, filters, held)


def _check_holds(frame: DatasetFrame, filters: dict[str, Any], held: list[floor.FloorLot]) -> None:
    """Check the views of lots on hold."""
    named = floor.by([lot for lot in held if lot.row["HOLDREASONNAME"]], lambda lot: lot.row["HOLDREASONNAME"])
    summary = frame.rows("hold_summary", filters)
    assert _amounts(summary, "hold_reason") == {(key,): floor.amounts(members) for key, members in named.items()}
    assert [row["lot_count"] for row in summary] == sorted((row["lot_count"] for row in summary), reverse=True)
    assert {row["hold_reason"]: row["hold_type"] for row in summary} == {
        reason: members[0].hold_type for reason, members in named.items()
    }
    [row] = frame.rows("hold_figures", filters)
    assert (row["lot_count"], row["qty"], row["avg_age_days"]) == (*floor.amounts(held), floor.age_of(held))
    tiles = floor.by(held, lambda lot: (lot.group or "(none)", lot.row["HOLDREASONNAME"] or "(not filled)"))
    treemap = frame.rows("treemap", filters)
    assert {
        (row["workcenter_group"], row["hold_reason"]): (row["lot_count"], row["qty"], row["avg_age_days"])
        for row in treemap
    } == {key: (*floor.amounts(members), floor.age_of(members)) for key, members in tiles.items()}
    parts = {
        "age_range": floor.by(held, lambda lot: lot.age),
        "package": floor.by(held, lambda lot: lot.package or "(none)"),
        "workcenter_group": floor.by(held, lambda lot: lot.group or "(none)"),
    }
    assert {
        (row["dimension"], row["value"]): (row["lot_count"], row["qty"], row["pct"])
        for row in frame.rows("hold_distribution", filters)
    } == {
        (dimension, value): (*floor.amounts(members), places(Fraction(100 * len(members), len(held)), 2))
        for dimension, values in parts.items()
        for value, members in values.items()
    }


def _amounts(rows: list[Row], *keys: str) -> dict[tuple[Any, ...], tuple[int, int]]:
    return {tuple(row[key] for key in keys): (row["lot_count"], row["qty"]) for row in rows}


@pytest.mark.parametrize("production", [False, True])
def test_machines_now_agree_with_the_judge(now: Floor, production: bool) -> None:
    machines = [machine for machine in now.machines if not production or machine.master["PJ_ISPRODUCTION"] == 1]
    filters, frame = {"is_production": str(production).lower()}, now.frames["equipment"]
    told = floor.machine_figures(machines)
    assert frame.rows("summary", filters) == [{name: told[name] for name in frame.rows("summary", filters)[0]}]
    counted: dict[str, list[floor.FloorMachine]] = {}
    for machine in machines:
        counted.setdefault(machine.master["GROUP"], []).append(machine)
    for row in frame.rows("matrix", filters):
        figures = floor.machine_figures(counted.pop(row["workcenter_group"]))
        assert {name: row[name] for name in row if name.endswith("_count")} == {
            name: figures[name] for name in row if name.endswith("_count")
        }
    assert counted == {}
    assert {row["machine"]: (row["lot_count"], row["total_track_in_qty"]) for row in frame.exported(filters)} == {
        machine.master["RESOURCENAME"]: (len(machine.lots), sum(machine.lots.values())) for machine in machines
    }
    on_machines = frame.exported(filters, "lots")
    assert sorted((row["machine"], row["lot_id"]) for row in on_machines) == sorted(
        (machine.master["RESOURCENAME"], lot) for machine in machines for lot in machine.lots
    )
    assert on_machines


@pytest.mark.parametrize("kind", ["quality", "non-quality", "all"])
@pytest.mark.parametrize("question", ["today", "current"])
def test_holds_now_agree_with_the_judge(now: Floor, question: holds_now.Question, kind: str) -> None:
    frame, given = now.frames["hold-snapshot"], {"snapshot_mode": question, "hold_type": kind}
    told = [hold for hold in now.holds(question) if kind in ("all", hold.hold_type)]
    [row] = frame.rows("summary", given)
    figures = holds_now.figures(told)
    assert {name: row[name] for name in figures} == figures
    shown = {
        "on_hold": [hold for hold in told if hold.on_hold],
        "new": [hold for hold in told if hold.new],
        "release": [hold for hold in told if hold.released],
    }
    for record, these in shown.items():
        chosen = {**given, "record_type": [record]}
        assert frame.rows("reason_pareto", chosen) == holds_now.reasons(these)
        assert frame.rows("duration", chosen) == holds_now.durations(these)
        assert sorted((row["lot_id"], row["hold_time"]) for row in frame.exported(chosen)) == sorted(
            (hold.lot_id, hold.row["HOLDTXNDATE"]) for hold in these
        )
    assert shown["on_hold"]
