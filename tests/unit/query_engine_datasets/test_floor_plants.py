"""Lots in process and machines now, made by hand: the expected numbers stand beside the rows they come from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog
from sluice_query_engine.dataset import Dataset
from sluice_twin import plant_of
from sluice_warehouse import open_warehouse

from tests.dataset_frames import DatasetFrame, Row, hand_made, read, read_references

NOW = datetime(2025, 3, 20, 12)
NON_QUALITY = "Process trial"
"""On the demo plant's list of reasons that say nothing about quality."""


def lot(name: str, qty: int, **values: object) -> Row:
    """Return a lot in process: of group G1, package SMA, two days old, on no machine and not on hold."""
    return {
        "container_id": name.ljust(16, "0"),
        "lot_id": name,
        "workorder": "GA1",
        "qty": qty,
        "hold_count": 0,
        "equipment_count": 0,
        "workcenter_group": "G1",
        "group_sequence": 1,
        "spec": "S",
        "spec_sequence": 1,
        "package": "SMA",
        "age_days": 2.0,
        "data_time": NOW,
        **values,
    }


FLOOR = [
    lot("L1", 10, equipment_count=1),
    lot("L2", 20, hold_count=1),
    lot("L3", 30, hold_count=1, hold_reason=NON_QUALITY),
    lot("L4", 40),
    lot("L5", 50, equipment_count=1, hold_count=1),
    lot("dummy-1", 999),
]


@pytest.fixture(scope="module")
def wip(catalog: Catalog) -> Dataset:
    return catalog.get("wip")


@pytest.fixture(scope="module")
def fleet(catalog: Catalog) -> Dataset:
    return catalog.get("equipment")


@pytest.fixture(scope="module")
def floor(wip: Dataset) -> DatasetFrame:
    """Five lots and a dummy."""
    return hand_made(wip, {"lots": FLOOR}, {})


def summary(frame: DatasetFrame, filters: dict[str, object] | None = None) -> dict[str, tuple[int, int]]:
    """Return lots and pieces by status."""
    [row] = frame.rows("summary", filters)
    kinds = ("total", "run", "hold", "queue", "quality_hold", "non_quality_hold")
    return {kind: (row[f"{kind}_lots"], row[f"{kind}_qty"]) for kind in kinds}


def test_the_summary_adds_up(floor: DatasetFrame) -> None:
    # L5 is on hold too, but a machine processes it, so it runs. L2 has no reason, so it is held for quality.
    assert summary(floor) == {
        "total": (5, 150),
        "run": (2, 60),
        "hold": (2, 50),
        "queue": (1, 40),
        "quality_hold": (1, 20),
        "non_quality_hold": (1, 30),
    }


def test_dummy_lots_are_shown_when_asked_for(floor: DatasetFrame) -> None:
    assert summary(floor, {"include_dummy": "true"})["queue"] == (2, 1039)


def test_the_hold_summary_leaves_out_holds_without_a_reason(floor: DatasetFrame) -> None:
    rows = [tuple(row.values()) for row in floor.rows("hold_summary")]
    assert rows == [(NON_QUALITY, "non-quality", 1, 30)]


def test_rows_of_one_lot_that_differ_in_wafer_are_one_lot(wip: Dataset) -> None:
    rows: list[Row] = [lot("L1", 10, wafer_description=text, lead_frame="F") for text in ("W2", "W1", "W1")]
    frame = hand_made(wip, {"lots": rows}, {})
    assert summary(frame)["total"] == (1, 10)
    assert [(row["wafer_description"], row["lead_frame"]) for row in frame.rows("lot")] == [("W1, W2", "F")]


def test_a_group_with_two_places_is_one_row_and_lots_without_a_package_are_left_out(wip: Dataset) -> None:
    rows = [
        lot("L1", 10, group_sequence=10),
        lot("L2", 20, group_sequence=2),
        lot("L3", 5, package="SMB"),
        lot("L4", 7, package=None),
        lot("L5", 9, workcenter_group=None),
        lot("L6", 1, workcenter_group="G0", group_sequence=9),
    ]
    frame = hand_made(wip, {"lots": rows}, {})
    cells = [(row["workcenter_group"], row["package"], row["qty"], row["total_qty"]) for row in frame.rows("matrix")]
    assert cells == [("G1", "SMA", 30, 36), ("G1", "SMB", 5, 36), ("G0", "SMA", 1, 36)]
    assert summary(frame)["total"] == (6, 52)


def test_ages_have_inclusive_lower_bounds(wip: Dataset) -> None:
    ages: list[float | None] = [0.0, 0.99, 1.0, 2.99, 3.0, 7.0, None]
    rows: list[Row] = [lot(f"L{number}", 1, hold_count=1, age_days=age) for number, age in enumerate(ages)]
    frame = hand_made(wip, {"lots": rows}, {})
    found = [row for row in frame.rows("hold_distribution") if row["dimension"] == "age_range"]
    assert [(row["value"], row["lot_count"]) for row in found] == [
        ("(none)", 1),
        ("0-1", 2),
        ("1-3", 2),
        ("3-7", 1),
        ("7+", 1),
    ]


def test_a_status_filter_leaves_the_summary_alone_and_narrows_the_list(floor: DatasetFrame) -> None:
    assert [row["lot_id"] for row in floor.rows("list", {"wip_status": "HOLD"})] == ["L2", "L3"]
    assert summary(floor, {"package": "No such"}) == dict.fromkeys(summary(floor), (0, 0))


def found(frame: DatasetFrame, field: str, text: str) -> list[tuple[str, int]]:
    """Return the names that a search finds, and their lots."""
    rows = frame.rows("search", {"search_field": field, "search_text": text})
    return [(row["name"], row["lot_count"]) for row in rows]


def test_a_search_finds_names_that_hold_a_text_of_two_characters_or_more(wip: Dataset) -> None:
    rows = [
        lot("GA25-1", 1, package="SMA"),
        lot("GA25-2", 1, package="SMA-F"),
        lot("XGA25", 1, package="SMA-F"),
        lot("dummy GA25", 1, package="SMA"),
        lot("L5", 1, package=None),
    ]
    frame = hand_made(wip, {"lots": rows}, {})
    assert found(frame, "lot", "ga25") == [("GA25-1", 1), ("GA25-2", 1), ("XGA25", 1)]
    assert found(frame, "lot", "ga25-") == [("GA25-1", 1), ("GA25-2", 1)]
    assert found(frame, "package", "ma") == [("SMA", 1), ("SMA-F", 2)]
    assert found(frame, "lot", "g") == found(frame, "lot", "") == found(frame, "wafer_lot", "ga") == []
    assert found(frame, "lot", "%_") == []


def test_a_search_stops_at_fifty_names(wip: Dataset) -> None:
    frame = hand_made(wip, {"lots": [lot(f"GA{number:03}", 1) for number in range(60)]}, {})
    assert [name for name, _ in found(frame, "lot", "ga")] == [f"GA{number:03}" for number in range(50)]


def test_a_lot_without_a_work_order_is_no_production_lot(wip: Dataset, tmp_path: Path) -> None:
    rows: list[Row] = [
        {"CONTAINERID": "A" * 16, "LOTID": "L1", "WORKORDER": "GA1", "WORKCENTERSEQUENCE_GROUP": "10"},
        {"CONTAINERID": "B" * 16, "LOTID": "L2", "WORKORDER": None},
        {"CONTAINERID": "C" * 16, "LOTID": "L3", "WORKORDER": " ", "WORKCENTERSEQUENCE_GROUP": "x"},
    ]
    plant_of({"DW_MES_LOT_V": rows}, tmp_path / "plant.duckdb", NOW)
    [part] = wip.parts
    with closing(open_warehouse(f"duckdb://{tmp_path / 'plant.duckdb'}")) as warehouse:
        found = read(warehouse, part.statement, part.schema, {"row_limit": 10}).to_pylist()
    assert [(row["lot_id"], row["group_sequence"], row["qty"]) for row in found] == [("L1", 10, 0)]


def machine(name: str, **values: object) -> Row:
    """Return a machine of the master, in work centre W."""
    flags = {"is_production": 1, "is_key": 0, "is_monitor": 0}
    return {"resource_id": name, "machine": name.upper(), "family": "F", "workcenter": "W", **flags, **values}


def seen(name: str, status: str | None, **values: object) -> Row:
    """Return a row of a machine as it is now."""
    return {"resource_id": name, "status": status, **values}


GROUPS: Sequence[Row] = [{"workcenter": "W", "workcenter_group": "G", "group_sequence": 3}]


def fleet_of(fleet: Dataset, machines: Sequence[Row], live: Sequence[Row]) -> DatasetFrame:
    """Return the frame of machines and what is seen of them."""
    return hand_made(fleet, {"live": live}, {}, references={"machines": machines, "workcenter_groups": GROUPS})


def test_a_lot_that_is_repeated_counts_once(fleet: Dataset) -> None:
    live = [
        seen("r", "PRD", lot_id="X", track_in_qty=100),
        seen("r", "PRD", lot_id="X", track_in_qty=100),
        seen("r", "PRD", lot_id="Y", track_in_qty=50),
    ]
    frame = fleet_of(fleet, [machine("r")], live)
    assert [(row["lot_count"], row["total_track_in_qty"]) for row in frame.rows("list")] == [(2, 150)]
    assert [row["lot_id"] for row in frame.exported(view="lots", sort="lot_id")] == ["X", "Y"]


def test_ratios_are_of_machines_now(fleet: Dataset) -> None:
    statuses = ["PRD"] * 6 + ["SBY"] * 2 + ["UDT", "SDT"]
    names = [f"m{number}" for number in range(10)]
    live = [seen(name, status) for name, status in zip(names, statuses, strict=True)]
    [row] = fleet_of(fleet, [machine(name) for name in names], live).rows("summary")
    # 6 of 10; 6 + 2 of 10.
    assert (row["ou_pct"], row["availability_pct"], row["down_count"]) == (60.0, 80.0, 2)


def test_a_machine_nobody_tells_of_is_other_by_status_and_unknown_by_category(fleet: Dataset) -> None:
    frame = fleet_of(fleet, [machine("a"), machine("b"), machine("c")], [seen("a", "PRD"), seen("b", "SCRAP")])
    [row] = frame.rows("summary")
    counts = (row["total_count"], row["other_count"], row["unknown_count"], row["inactive_count"])
    assert counts == (3, 2, 1, 1)
    assert [row["machine"] for row in frame.rows("list", {"status_category": {"exclude": ["PRODUCTIVE"]}})] == [
        "B",
        "C",
    ]
    assert [row["machine"] for row in frame.rows("list", {"status_category": "UNKNOWN"})] == ["C"]
    assert [row["machine"] for row in frame.rows("list", {"status_category": ["INACTIVE"]})] == ["B"]


@pytest.mark.parametrize(
    ("status", "category"),
    [
        ("PRD", "PRODUCTIVE"),
        ("SBY", "STANDBY"),
        ("UDT", "DOWN"),
        ("SDT", "DOWN"),
        ("EGT", "ENGINEERING"),
        ("NST", "NOT_SCHEDULED"),
        ("SCRAP", "INACTIVE"),
        ("設備-LOST", "INACTIVE"),
        ("設備-RUN", "PRODUCTIVE"),
        ("SOMETHING", "OTHER"),
    ],
)
def test_a_status_has_a_category(fleet: Dataset, status: str, category: str) -> None:
    frame = fleet_of(fleet, [machine("a")], [seen("a", status)])
    assert [row["status_category"] for row in frame.rows("categories")] == [category]


def test_denied_machines_are_no_part_of_anything(fleet: Dataset) -> None:
    machines = [machine("a"), machine("b", location="Scrap yard"), machine("c", asset_state="Disapproved")]
    frame = fleet_of(fleet, machines, [seen(name, "PRD", lot_id="X", track_in_qty=1) for name in "abc"])
    assert [row["total_count"] for row in frame.rows("summary")] == [1]
    assert [row["machine"] for row in frame.exported(view="lots")] == ["A"]


def test_a_flag_filter_keeps_machines_that_have_it(fleet: Dataset) -> None:
    machines = [machine("a", is_key=1), machine("b"), machine("c", workcenter="V", is_key=1)]
    frame = fleet_of(fleet, machines, [])
    assert [row["machine"] for row in frame.rows("list", {"is_key": "true"})] == ["A", "C"]
    # V is not in the dictionary: a group of its own, after all others.
    groups = [(row["workcenter_group"], row["group_sequence"], row["total_count"]) for row in frame.rows("matrix")]
    assert groups == [("G", 3, 2), ("V", 999, 1)]


def test_the_twin_s_floor_and_fleet_are_whole(wip: Dataset, fleet: Dataset, twin_path: Path) -> None:
    with closing(open_warehouse(f"duckdb://{twin_path}")) as warehouse:
        frames = {}
        for dataset in (wip, fleet):
            [part] = dataset.parts
            rows = read(warehouse, part.statement, part.schema, {"row_limit": 1_000_000})
            references = read_references(dataset, warehouse)
            frames[dataset.name] = DatasetFrame(dataset, {part.name: rows}, {}, NOW, references)
    told = summary(frames["wip"])
    assert told["total"] == tuple(sum(pair) for pair in zip(told["run"], told["hold"], told["queue"], strict=True))
    assert told["hold"] == tuple(sum(pair) for pair in zip(told["quality_hold"], told["non_quality_hold"], strict=True))
    matrix = frames["wip"].rows("matrix")
    assert 0 < sum(row["qty"] for row in matrix) <= told["total"][1]
    [machines] = frames["equipment"].rows("summary")
    assert machines["total_count"] == sum(row["total_count"] for row in frames["equipment"].rows("matrix")) > 0
