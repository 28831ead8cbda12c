"""Holds now on plants made by hand: the expected numbers stand beside the rows they come from."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog
from sluice_twin import plant_of
from sluice_warehouse import open_warehouse

from tests.dataset_frames import DatasetFrame, Row, from_warehouse
from tests.unit.query_engine_datasets.test_department_plants import held
from tests.unit.query_engine_datasets.test_machine_plants import at

CURRENT = {"snapshot_mode": "current"}
NAMES = ("on_hold_qty", "new_qty", "release_qty")


class Plants:
    """Frames of what is on hold now."""

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        self._dataset, self._file = catalog.get("hold-snapshot"), folder / "plant.duckdb"

    def of(self, now: datetime, *rows: Row) -> DatasetFrame:
        """Return the frame of a plant of these holds whose clock stands at `now`."""
        steps = [{"SPEC": "S", "WORK_CENTER": "W", "WORK_CENTER_GROUP": "G"}]
        tables = {"DW_MES_SPEC_WORKCENTER_V": steps, "DW_MES_HOLDRELEASEHISTORY": rows}
        plant_of(tables, self._file, now)
        with closing(open_warehouse(f"duckdb://{self._file}")) as warehouse:
            return from_warehouse(self._dataset, warehouse, {})


@pytest.fixture
def plants(catalog: Catalog, tmp_path: Path) -> Plants:
    return Plants(catalog, tmp_path)


def figures(
    frame: DatasetFrame, filters: dict[str, str] | None = None, names: tuple[str, ...] = NAMES
) -> tuple[object, ...]:
    """Return figures of the summary."""
    [row] = frame.rows("summary", filters)
    return tuple(row[name] for name in names)


def test_today_ends_at_half_past_seven_and_current_began_there(plants: Plants) -> None:
    # At 12:00 on the 10th, today is the day that ended at 07:30 of the 10th.
    frame = plants.of(
        at("10 12:00"),
        held("1", "09 07:29:59", QTY=1),
        held("2", "09 07:30:00", QTY=2),
        held("3", "10 07:29:59", QTY=4),
        held("4", "10 07:30:00", QTY=8),
    )
    assert figures(frame) == (7, 6, 0)
    assert figures(frame, CURRENT) == (15, 8, 0)


def test_a_hold_placed_after_the_day_is_not_in_it_and_no_hours_are_negative(plants: Plants) -> None:
    frame = plants.of(at("10 12:00"), held("1", "10 08:00"), held("2", "10 06:30"))
    assert [row["hold_hours"] for row in frame.rows("list")] == [1.0]
    assert sorted(row["hold_hours"] for row in frame.rows("list", CURRENT)) == [4.0, 5.5]


def test_what_was_released_after_the_day_was_on_hold_when_it_ended(plants: Plants) -> None:
    frame = plants.of(
        at("10 12:00"), held("1", "09 06:30", "10 07:30:00", QTY=1), held("2", "09 06:30", "10 07:29:59", QTY=2)
    )
    assert figures(frame) == (1, 0, 2)
    assert figures(frame, names=("avg_hours", "max_hours", "on_hold_lot_count")) == (25.0, 25.0, 1)
    assert figures(frame, CURRENT) == (0, 0, 1)


def test_before_half_past_seven_today_still_runs(plants: Plants) -> None:
    frame = plants.of(at("10 03:00"), held("1", "09 08:00"))
    assert figures(frame, names=("new_qty", "avg_hours")) == (100, 19.0)
    assert figures(frame, CURRENT, ("new_qty", "avg_hours")) == (100, 19.0)


def test_open_holds_are_there_however_old_and_closed_ones_are_not(plants: Plants) -> None:
    long_ago = {"HOLDTXNDATE": datetime(2023, 1, 1)}
    frame = plants.of(
        at("10 12:00"),
        held("1", "09 08:00", QTY=1),
        {**held("2", "09 08:00", QTY=2), **long_ago},
        held("3", "02 08:00", "03 08:00", QTY=4),
    )
    assert figures(frame) == (3, 1, 0)


def test_a_repeat_is_known_from_all_holds_of_the_lot(plants: Plants) -> None:
    first = {
        **held("1", "09 08:00", HOLDREASONID="R" * 16),
        "HOLDTXNDATE": datetime(2023, 1, 1),
        "RELEASETXNDATE": datetime(2023, 1, 2),
    }
    frame = plants.of(
        at("10 06:00"),
        first,
        held("2", "09 08:00", HOLDREASONID="R" * 16, QTY=30),
        held("3", "09 09:00", HOLDREASONID="S" * 16, QTY=50),
    )
    assert figures(frame, names=("new_qty", "repeat_quality_hold_qty")) == (80, 30)


def test_future_holds_are_new_ones_with_a_comment(plants: Plants) -> None:
    frame = plants.of(
        at("10 06:00"),
        held("1", "09 08:00", FUTUREHOLDCOMMENTS="Stop"),
        held("2", "08 08:00", FUTUREHOLDCOMMENTS="Stop"),
    )
    assert figures(frame, names=("future_hold_qty",)) == (100,)


def test_durations_are_shares_of_holds(plants: Plants) -> None:
    frame = plants.of(at("10 07:00"), held("1", "10 06:00", QTY=999), held("2", "09 08:00"), held("3", "09 08:00"))
    assert [(row["duration_range"], row["hold_count"], row["pct"]) for row in frame.rows("duration")] == [
        ("<4h", 1, 33.33),
        ("4-24h", 2, 66.67),
        ("1-3d", 0, 0.0),
        (">3d", 0, 0.0),
    ]


def test_the_summary_ignores_the_records_that_the_list_shows(plants: Plants) -> None:
    frame = plants.of(at("10 12:00"), held("1", "09 08:00", "09 09:00", QTY=1), held("2", "09 08:00", QTY=2))
    chosen = {"record_type": ["release"]}
    assert [row["qty"] for row in frame.rows("list", chosen)] == [1]
    assert frame.rows("summary", chosen) == frame.rows("summary")
