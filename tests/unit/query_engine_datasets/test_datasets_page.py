"""docs/datasets.md: the dataset it spells out works as it stands, and every key it lists is one that is read."""

from __future__ import annotations

import shutil
from datetime import date, datetime
from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog, load_catalog
from sluice_twin import plant_of
from sluice_warehouse import open_warehouse

from tests.compiled_once import compiled_dir
from tests.page_dataset import NAME, page_files, write_page_dataset
from tests.unit.query_engine_datasets.hold_frames import ENGINE, HoldFrame, read


@pytest.fixture(scope="module")
def with_example(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The repository's datasets and the one that the page spells out."""
    root = tmp_path_factory.mktemp("engine")
    for name in ("datasets", "references"):
        shutil.copytree(ENGINE / name, root / name)
    write_page_dataset(root / "datasets")
    return load_catalog(root / "datasets", root / "references", compiled_dir=compiled_dir())


def test_the_page_spells_out_five_files() -> None:
    assert list(page_files()) == [
        "dataset.toml",
        "created.sql",
        "derive.sql",
        "views/per_day.sql",
        "views/list.sql",
    ]


def test_the_dataset_of_the_page_answers(with_example: Catalog, tmp_path: Path) -> None:
    dataset = with_example.get(NAME)
    jobs = [
        {"JOBID": f"{number:0>16}", "RESOURCENAME": name, "CREATEDATE": created, "COMPLETEDATE": completed}
        for number, (name, created, completed) in enumerate(
            [
                ("WB-1", datetime(2025, 3, 9, 23, 59, 59), None),
                ("WB-1", datetime(2025, 3, 10), None),
                ("WB-2", datetime(2025, 3, 10, 7, 30), datetime(2025, 3, 12)),
                ("WB-2", datetime(2025, 3, 11, 23, 59, 59), None),
                ("WB-2", datetime(2025, 3, 12), None),
            ]
        )
    ]
    path = plant_of({"DW_MES_JOB": jobs}, tmp_path / "jobs.duckdb", datetime(2025, 3, 20))
    warehouse = open_warehouse(f"duckdb://{path}")
    covered = dataset.day_rule.range_of(date(2025, 3, 10), date(2025, 3, 11))
    [part] = dataset.parts
    binds = {"start_time": covered.start, "end_time": covered.end, "row_limit": 100}
    created = read(warehouse, part.statement, part.schema, binds)
    frame = HoldFrame(dataset, {"created": created}, date(2025, 3, 10), date(2025, 3, 11), datetime(2025, 3, 20), {})
    warehouse.close()
    assert frame.rows("per_day") == [
        {"create_day": date(2025, 3, 10), "job_count": 2},
        {"create_day": date(2025, 3, 11), "job_count": 1},
    ]
    assert [row["machine"] for row in frame.rows("list", {"state": "open"})] == ["WB-2", "WB-1"]
    assert [row["machine"] for row in frame.rows("list", {"machine": {"exclude": ["WB-2"]}})] == ["WB-1"]
