"""Mid-section defects of the twin, asked over HTTP of all four processes: reviewed answers, and a judge over raw rows.

Each answer is given twice: by a suite that reads the twin's file, and by one that reads it through the Oracle driver.
`make golden` rewrites the files; a person reads the diff.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from sluice_twin.steps import plant_steps

from tests.running_suite import RunningSuite, open_http
from tests.truth.raw_rows import places, rows_of
from tests.truth.section_causes import StationLot, after_station, machines_before, station_lots

HERE = Path(__file__).parent
ROUTE = "/api/mid-section-defect"
FIRST, LAST = date(2025, 2, 1), date(2025, 5, 31)
STATION = "Molding"
VIEWS = (
    "kpi",
    "by_machine",
    "by_material",
    "by_wafer_root",
    "by_workflow",
    "by_detection_machine",
    "by_loss_reason",
    "daily_trend",
    "attribution",
    "list",
    "forward_kpi",
    "downstream_stations",
    "downstream_machines",
    "downstream_reasons",
    "downstream_trend",
    "reason_matrix",
    "forward_detail",
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """The query as it was answered."""

    http: httpx.Client
    query_id: str
    plant: Path

    def views(self, *names: str, **filters: object) -> dict[str, list[Row]]:
        """Return the rows of views by name."""
        body = {"query_id": self.query_id, "view": list(names), "page_size": 200, **filters}
        answer = self.http.post(f"{ROUTE}/view", json=body)
        assert answer.status_code == 200, answer.text
        return {
            name: [dict(zip([column["name"] for column in view["columns"]], row, strict=True)) for row in view["rows"]]
            for name, view in answer.json()["views"].items()
        }

    def table(self, name: str) -> list[Row]:
        """Return a table of the query, as it is stored."""
        answer = self.http.get(f"{ROUTE}/frame", params={"query_id": self.query_id, "table": name, "format": "arrow"})
        assert answer.status_code == 200, answer.text
        with pa.ipc.open_stream(answer.content) as reader:
            rows: list[Row] = reader.read_all().to_pylist()
        return rows


@pytest.fixture(scope="module")
def asked(each_suite: RunningSuite) -> Iterator[Asked]:
    """Four months of the molding station."""
    given = {
        "mode": "date_range",
        "stations": [STATION],
        "start_date": FIRST.isoformat(),
        "end_date": LAST.isoformat(),
    }
    with open_http(each_suite.url) as http:
        answer = http.post(f"{ROUTE}/query", json=given, headers={"Prefer": "wait=50"})
        assert (answer.status_code, answer.json()["receipt"]["status"]) == (200, "complete"), answer.text
        yield Asked(http, answer.json()["query_id"], each_suite.plant)


@pytest.fixture(scope="module")
def answers(asked: Asked) -> dict[str, list[Row]]:
    """Every view of it."""
    return asked.views(*VIEWS)


@pytest.fixture(scope="module")
def flow() -> dict[str, int]:
    """Place in the flow by work centre, as the twin's dictionary of steps has it."""
    steps = plant_steps()
    # The last work centre of the dictionary carries no place.
    return {
        steps.centers[number]: 999 if number == len(steps.centers) - 2 else int(group)
        for number, group in enumerate(steps.center_group)
    }


@pytest.fixture(scope="module")
def lots(asked: Asked, flow: dict[str, int]) -> dict[str, StationLot]:
    """The lots at the station, as the judge sees them."""
    steps = plant_steps()
    here = {center for center in flow if steps.groups[steps.center_group[steps.centers.index(center)]] == STATION}
    return station_lots(
        rows_of(asked.plant, "DW_MES_LOTWIPHISTORY"), rows_of(asked.plant, "DW_MES_LOTREJECTHISTORY"), here, FIRST, LAST
    )


def text_of(rows: list[Row]) -> str:
    """Return rows as CSV; missing values are empty."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue()


@pytest.mark.golden
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_answers_as_it_was_reviewed(
    answers: dict[str, list[Row]], view: str, request: pytest.FixtureRequest
) -> None:
    answer = text_of(answers[view][:20])
    path = HERE / f"{view}.csv"
    if request.config.getoption("--write-golden"):
        path.write_text(answer, encoding="utf-8")
    assert answer == path.read_text(encoding="utf-8")


def test_the_figures_agree_with_the_judge(answers: dict[str, list[Row]], lots: dict[str, StationLot]) -> None:
    [row] = answers["kpi"]
    loaded = sum(lot.input_qty for lot in lots.values())
    lost = sum(lot.defect_qty for lot in lots.values())
    assert (row["lot_count"], row["total_input_qty"], row["total_defect_qty"]) == (len(lots), loaded, lost)
    assert row["total_defect_rate"] == places(Fraction(100 * lost, loaded), 4)
    assert row["defective_lot_count"] == sum(lot.defect_qty > 0 for lot in lots.values()) > 0


def test_the_machines_before_agree_with_the_judge(
    asked: Asked, answers: dict[str, list[Row]], lots: dict[str, StationLot], flow: dict[str, int]
) -> None:
    ancestors: dict[str, set[str]] = {}
    for row in asked.table("ancestors"):
        ancestors.setdefault(row["seed_id"], set()).add(row["ancestor_id"])
    told = machines_before(lots, ancestors, rows_of(asked.plant, "DW_MES_LOTWIPHISTORY"), flow)
    measured = {
        row["equipment"]: (row["lot_count"], row["input_qty"], row["defect_qty"]) for row in answers["attribution"]
    }
    assert measured == {machine: figures for (_, machine), figures in told.items()}
    assert ancestors


def test_what_was_lost_after_agrees_with_the_judge(
    asked: Asked, answers: dict[str, list[Row]], lots: dict[str, StationLot], flow: dict[str, int]
) -> None:
    children: dict[str, set[str]] = {}
    for row in asked.table("descendants"):
        children.setdefault(row["from_cid"], set()).add(row["to_cid"])
    history = rows_of(asked.plant, "DW_MES_LOTWIPHISTORY")
    rejects = rows_of(asked.plant, "DW_MES_LOTREJECTHISTORY")
    [row] = answers["forward_kpi"]
    measured = (row["tracked_lot_count"], row["downstream_input_qty"], row["downstream_reject_qty"])
    assert measured == after_station(lots, children, history, rejects, flow)
    assert row["tracked_lot_count"] > row["detection_lot_count"] > 0


@pytest.mark.parametrize("filters", [{}, {"loss_reason": ["301_Void", "701_Open"]}, {"package": {"exclude": ["SMA"]}}])
def test_no_part_exceeds_the_whole(asked: Asked, filters: dict[str, object]) -> None:
    parts = ("by_machine", "by_material", "by_wafer_root", "by_workflow", "by_detection_machine")
    found = asked.views("kpi", "daily_trend", *parts, **filters)
    [whole] = found["kpi"]
    for name in parts:
        for row in found[name]:
            assert row["defect_qty"] <= whole["total_defect_qty"]
            assert row["input_qty"] <= whole["total_input_qty"]
            assert row["lot_count"] <= whole["lot_count"]
    for name in ("daily_trend", "by_wafer_root", "by_workflow", "by_detection_machine"):
        assert sum(row["defect_qty"] for row in found[name]) == whole["total_defect_qty"]
        assert sum(row["input_qty"] for row in found[name]) == whole["total_input_qty"]


def test_a_choice_of_reasons_leaves_every_lot_in_the_denominator(asked: Asked, answers: dict[str, list[Row]]) -> None:
    [whole] = answers["kpi"]
    [masked] = asked.views("kpi", loss_reason="301_Void")["kpi"]
    assert (masked["total_input_qty"], masked["lot_count"]) == (whole["total_input_qty"], whole["lot_count"])
    assert 0 < masked["total_defect_qty"] < whole["total_defect_qty"]
