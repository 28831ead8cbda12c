from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from sluice_twin import UnknownTable, UnusableSize, digests, truth_path, write_plant
from sluice_twin.plant import ROWS_AT_SCALE_1, PlantSpec

HOLDS = "DW_MES_HOLDRELEASEHISTORY"


def test_one_table_can_have_a_size_of_its_own(tmp_path: Path) -> None:
    summary = write_plant(tmp_path / "p.duckdb", scale=0.01, sizes={HOLDS: 5_000}, tables=[HOLDS])
    with duckdb.connect(summary.path, read_only=True) as connection:
        assert connection.execute(f"select count(*) from DWH.{HOLDS}").fetchall() == [(5_000,)]


def test_tables_that_were_not_asked_for_are_empty(tmp_path: Path) -> None:
    summary = write_plant(tmp_path / "p.duckdb", scale=0.01, tables=[HOLDS])
    assert {name for name, row_count in summary.row_counts.items() if row_count} == {HOLDS}


def test_leaving_tables_out_changes_no_row_of_the_others(tmp_path: Path) -> None:
    whole = write_plant(tmp_path / "whole.duckdb", scale=0.01)
    alone = write_plant(tmp_path / "alone.duckdb", scale=0.01, tables=[HOLDS])
    assert digests(whole.path)[HOLDS] == digests(alone.path)[HOLDS]


@pytest.mark.parametrize(
    ("table", "row_count"),
    [
        ("DW_MES_CONTAINER", 50_000),
        (HOLDS, 60_000),
        ("DW_MES_LOTREJECTHISTORY", 500_000),
        ("DW_MES_RESOURCESTATUS_SHIFT", 700_000),
        ("DW_MES_HM_LOTMOVEOUT", 300_000),
        ("DW_MES_LOTWIPHISTORY", 300_000),
    ],
)
def test_scale_1_is_the_plant_of_the_design(table: str, row_count: int) -> None:
    assert PlantSpec(scale=1).row_count(table) == row_count


@pytest.mark.parametrize("scale", [0, -1, 101])
def test_a_scale_outside_its_range_is_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(UnusableSize, match="scale"):
        write_plant(tmp_path / "p.duckdb", scale=scale)


@pytest.mark.parametrize(("table", "row_count"), [(HOLDS, 3), ("DW_MES_LOT_V", 10), ("NOTHING", 10)])
def test_a_size_that_makes_no_plant_is_refused_by_table(tmp_path: Path, table: str, row_count: int) -> None:
    with pytest.raises(UnusableSize, match=table):
        write_plant(tmp_path / "p.duckdb", scale=0.01, sizes={table: row_count})


def test_an_unknown_table_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnknownTable, match="NOTHING"):
        write_plant(tmp_path / "p.duckdb", scale=0.01, tables=["NOTHING"])
    assert list(tmp_path.iterdir()) == []


def test_only_the_plant_and_its_truths_remain(tmp_path: Path) -> None:
    summary = write_plant(tmp_path / "p.duckdb", scale=0.01, tables=[HOLDS])
    assert {path.name for path in tmp_path.iterdir()} == {"p.duckdb", "p.truth.json"}
    assert summary.truth_path == truth_path(summary.path)
    assert json.loads(summary.truth_path.read_text(encoding="utf-8"))["row_counts"] == summary.row_counts


def test_progress_names_every_table_once(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    summary = write_plant(tmp_path / "p.duckdb", scale=0.01, progress=lambda name, rows: seen.append((name, rows)))
    assert dict(seen) == summary.row_counts
    assert len(seen) == len(summary.row_counts)


@pytest.mark.parametrize("table", list(ROWS_AT_SCALE_1))
def test_sizes_of_the_smallest_plants_are_positive(table: str) -> None:
    assert PlantSpec(scale=0.0001).row_count(table) > 0


def test_the_smallest_plant_can_be_written(tmp_path: Path) -> None:
    summary = write_plant(tmp_path / "p.duckdb", scale=0.0001)
    assert min(summary.row_counts.values()) > 0
