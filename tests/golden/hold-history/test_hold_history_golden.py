"""The views of hold history on the twin: reviewed files, and the twin's own judge over many ranges and selections.

The judge shares no code and no SQL with the views. `make golden` rewrites the files; a person reads the diff.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sluice_query_engine.dataset import Dataset
from sluice_twin import PLANT_TIME, truth
from sluice_warehouse import Warehouse, open_warehouse

from tests.unit.query_engine_datasets.hold_frames import HoldFrame, Row, from_warehouse, load, read_references
from tests.warehouse_urls import DOORS, url_of

HERE = Path(__file__).parent
GOLDEN_RANGE = (date(2025, 6, 12), date(2025, 6, 20))
"""Nine production days around the one whose 07:30 edges are planted."""

RANGES = {
    "one day with planted edges": (date(2025, 6, 18), date(2025, 6, 18)),
    "the month of repeats": (date(2025, 3, 8), date(2025, 4, 8)),
    "the summer around the edges": (date(2025, 6, 1), date(2025, 8, 31)),
    "a leap day": (date(2024, 2, 29), date(2024, 2, 29)),
    "before the plant": (date(2023, 10, 1), date(2023, 12, 1)),
    "the last days and days to come": (date(2025, 12, 20), date(2026, 1, 10)),
    "a year": (date(2025, 1, 1), date(2025, 12, 31)),
    "two years": (date(2024, 1, 2), date(2025, 12, 31)),
}

SELECTIONS: Mapping[str, tuple[dict[str, Any], truth.Filters]] = {
    "first look": ({}, truth.Filters()),
    "everything": (
        {"hold_type": "all", "record_type": ["new", "on_hold", "released"]},
        truth.Filters("all", frozenset({"new", "on_hold", "released"})),
    ),
    "open others": (
        {"hold_type": "non-quality", "record_type": ["on_hold"]},
        truth.Filters("non-quality", frozenset({"on_hold"})),
    ),
    "no reason": (
        {"record_type": ["released"], "reason": "(not filled)"},
        truth.Filters(record_type=frozenset({"released"}), include_reasons=("(not filled)",)),
    ),
    "two reasons, short": (
        {"hold_type": "all", "reason": ["Die crack", "Process trial"], "duration_range": "<4h"},
        truth.Filters("all", include_reasons=("Die crack", "Process trial"), duration_range="<4h"),
    ),
    "without a reason, long": (
        {"hold_type": "all", "reason": {"exclude": ["Low yield", None]}, "duration_range": ">3d"},
        truth.Filters("all", exclude_reasons=("Low yield", "(not filled)"), duration_range=">3d"),
    ),
    "held on the edge day": (
        {"day_filter": "2025-06-18:new"},
        truth.Filters(day_filter="2025-06-18:new"),
    ),
    "released on the edge day": (
        {"hold_type": "all", "record_type": ["released"], "day_filter": "2025-06-18:release"},
        truth.Filters("all", frozenset({"released"}), day_filter="2025-06-18:release"),
    ),
}


@dataclass(frozen=True)
class Judged:
    """A query as the engine sees it and as the judge does."""

    frame: HoldFrame
    rows: list[truth.Hold]
    start: date
    end: date


class Plant:
    """The twin, read by both; one frame and one verdict per range."""

    def __init__(self, path: Path, warehouse: Warehouse, dataset: Dataset) -> None:
        self.warehouse, self.dataset = warehouse, dataset
        with duckdb.connect(path, read_only=True) as connection:
            self._holds = _raw(connection, "DW_MES_HOLDRELEASEHISTORY", truth.RAW_HOLD_COLUMNS)
            self._containers = _raw(connection, "DW_MES_CONTAINER", truth.RAW_CONTAINER_COLUMNS)
        groups = read_references(dataset, warehouse)["workcenter_groups"].to_pylist()
        self._groups = {row["workcenter"]: row["workcenter_group"] for row in groups}
        self._judged: dict[tuple[date, date], Judged] = {}

    def judged(self, start: date, end: date) -> Judged:
        """Return the query over these production days."""
        if (start, end) not in self._judged:
            rows = truth.hold_rows(
                self._holds, self._containers, start=start, end=end, as_of=PLANT_TIME, groups=self._groups
            )
            frame = from_warehouse(self.dataset, self.warehouse, start, end)
            self._judged[start, end] = Judged(frame, rows, start, end)
        return self._judged[start, end]


def _raw(connection: duckdb.DuckDBPyConnection, table: str, columns: tuple[str, ...]) -> list[Row]:
    rows: list[Row] = connection.table(f"DWH.{table}").select(*columns).to_arrow_table().to_pylist()
    return rows


@pytest.fixture(scope="module", params=DOORS)
def plant(twin_path: Path, request: pytest.FixtureRequest) -> Iterator[Plant]:
    """The session's twin with its judge: read as a file, and once more through the Oracle driver."""
    with url_of(twin_path, request.param) as url, closing(open_warehouse(url)) as warehouse:
        yield Plant(twin_path, warehouse, load().get("hold-history"))


def text_of(rows: list[Row]) -> str:
    """Return rows as CSV; missing values are empty, instants ISO."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _shown(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _shown(value: object) -> object:
    return value.isoformat() if isinstance(value, date | datetime) else value


@pytest.mark.golden
@pytest.mark.parametrize("view", ["trend", "reason_pareto", "duration", "hours", "list"])
def test_a_view_answers_as_it_was_reviewed(plant: Plant, view: str, request: pytest.FixtureRequest) -> None:
    answer = text_of(plant.judged(*GOLDEN_RANGE).frame.rows(view, page_size=200))
    path = HERE / f"{view}.csv"
    if request.config.getoption("--write-golden"):
        path.write_text(answer, encoding="utf-8")
    assert answer == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("days", RANGES.values(), ids=RANGES)
def test_the_trend_agrees_with_the_judge(plant: Plant, days: tuple[date, date]) -> None:
    judged = plant.judged(*days)
    assert judged.frame.rows("trend") == truth.trend(judged.rows, judged.start, judged.end)


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize("days", RANGES.values(), ids=RANGES)
def test_the_charts_agree_with_the_judge(
    plant: Plant, days: tuple[date, date], selection: tuple[dict[str, Any], truth.Filters]
) -> None:
    judged = plant.judged(*days)
    filters, told = selection
    verdict = (judged.rows, judged.start, judged.end, told)
    assert judged.frame.rows("reason_pareto", filters) == truth.reason_pareto(*verdict)
    assert judged.frame.rows("duration", filters) == truth.duration(*verdict)
    assert judged.frame.rows("hours", filters) == [truth.hours(*verdict)]


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize("days", RANGES.values(), ids=RANGES)
def test_the_list_agrees_with_the_judge(
    plant: Plant, days: tuple[date, date], selection: tuple[dict[str, Any], truth.Filters]
) -> None:
    judged = plant.judged(*days)
    filters, told = selection
    assert judged.frame.exported(filters) == [
        shown(hold) for hold in truth.listed(judged.rows, judged.start, judged.end, told)
    ]


def shown(hold: truth.Hold) -> Row:
    """Return a hold of the judge as the list shows it."""
    return {
        "lot_id": hold.lot_id,
        "workorder": hold.workorder,
        "product": hold.product,
        "package": hold.package,
        "workcenter": hold.workcenter,
        "hold_reason": hold.reason,
        "qty": hold.quantity,
        "hold_time": hold.hold_time,
        "hold_employee": hold.hold_employee,
        "hold_comment": hold.hold_comment,
        "release_time": hold.release_time,
        "release_employee": hold.release_employee,
        "release_comment": hold.release_comment,
        "hold_hours": truth.two_places(hold.hours),
        "ncr": hold.ncr,
        "future_hold_comment": hold.future_hold_comment,
    }


def test_the_ranges_and_selections_find_rows(plant: Plant) -> None:
    counts = [
        plant.judged(*days).frame.count("list", filters)
        for days in RANGES.values()
        for filters, _ in SELECTIONS.values()
    ]
    assert sum(count > 0 for count in counts) >= 0.7 * len(counts)


@pytest.mark.parametrize("grain_days", [1, 7, 31])
def test_the_chunked_frame_is_the_whole_frame(plant: Plant, grain_days: int) -> None:
    start, end = date(2025, 5, 20), date(2025, 6, 25)
    first = datetime(2025, 5, 19, 7, 30)
    cuts = [first + timedelta(days=day) for day in range(grain_days, 37, grain_days)]
    chunked = from_warehouse(plant.dataset, plant.warehouse, start, end, cuts)
    assert chunked.holds() == plant.judged(start, end).frame.holds()


def test_an_earlier_carry_in_with_slices_from_there_answers_a_later_start(plant: Plant) -> None:
    wide, narrow = (date(2025, 5, 20), date(2025, 6, 25)), (date(2025, 6, 10), date(2025, 6, 25))
    reused = plant.judged(*wide).frame.narrowed(*narrow)
    assert reused.holds() == plant.judged(*narrow).frame.holds()
