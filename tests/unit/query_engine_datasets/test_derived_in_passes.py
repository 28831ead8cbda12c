"""Every dataset that says how it can be divided gives the same main table in passes as whole, on the twin's rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.execution.manifest import bind_value, derived_table
from sluice_rpc.ports import SystemClock
from sluice_warehouse.duckdb import DuckDBWarehouse

from tests.dataset_frames import DatasetFrame, Row, from_warehouse, load
from tests.unit.cache.driver import Cache, manifest_source, running, sliced

DIVIDED = {name: dataset for name, dataset in load().datasets.items() if dataset.derived.divide_by}
GIVEN: dict[str, dict[str, object]] = {
    "hold-history": {"start_date": "2024-03-01", "end_date": "2025-10-31"},
    "resource-history": {"start_date": "2025-03-01", "end_date": "2025-06-30"},
    "mid-section-defect": {"start_date": "2025-09-01", "end_date": "2025-10-31", "stations": ["Wire Bond"]},
    "reject-history": {"start_date": "2025-01-01", "end_date": "2025-10-31"},
}
"""What is asked of each, so that its parts have rows."""
STAGES: dict[str, dict[str, str]] = {
    "mid-section-defect": {
        "ancestors": "select CONTAINERID as seed_id, SPLITFROMID as ancestor_id from DWH.DW_MES_CONTAINER",
        "descendants": "select SPLITFROMID as from_cid, CONTAINERID as to_cid from DWH.DW_MES_CONTAINER",
        "passed": "select CONTAINERID, WORKCENTERNAME, EQUIPMENTID, EQUIPMENTNAME from DWH.DW_MES_LOTWIPHISTORY",
        "consumed": "select CONTAINERID, MATERIALPARTNAME, MATERIALLOTNAME from DWH.DW_MES_LOTMATERIALSHISTORY",
        "visited": "select h.*, h.TRACKINQTY::bigint as trackinqty from DWH.DW_MES_LOTWIPHISTORY h",
        "lost": "select r.*, r.REJECTQTY::bigint as reject_total_qty from DWH.DW_MES_LOTREJECTHISTORY r",
    }
}
"""What lineage would tell of the plant, and more; the main table takes what belongs to its lots."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    with running(tmp_path_factory.mktemp("whole"), SystemClock()) as cache:
        yield cache


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    with running(tmp_path_factory.mktemp("narrow"), SystemClock(), derive_memory_bytes=500_000) as cache:
        yield cache


def stages_of(plant: Path, name: str) -> dict[str, list[Row]]:
    """Return the rows of each stage of a dataset, keyed by columns in lower case as stages have them."""
    with duckdb.connect(str(plant), read_only=True) as connection:
        return {
            stage: [
                {column.lower(): value for column, value in row.items()}
                for row in connection.sql(statement).to_arrow_table().to_pylist()
            ]
            for stage, statement in STAGES.get(name, {}).items()
        }


def main_table(cache: Cache, dataset: Dataset, frame: DatasetFrame) -> pa.Table:
    """Return the main table as a cache derives it, in its order."""
    tables = []
    for name, table in frame.inputs().items():
        cache.put(f"frame-{name}", table)
        tables.append(sliced(name, pb.FrameSlice(frame_id=f"frame-{name}")))
    tables.append(pb.ManifestTable(name=dataset.derived.name, derived=derived_table(dataset.derived)))
    binds = {name: bind_value(value) for name, value in frame.binds().items()}
    cache.put_manifest(cache.manifest(f"man-{dataset.name}", tables, binds=binds))
    return cache.one([manifest_source(f"man-{dataset.name}")], f"select * from {dataset.derived.name}")


@pytest.mark.parametrize("name", sorted(DIVIDED))
def test_passes_give_the_main_table_that_the_whole_gives(
    name: str, whole: Cache, narrow: Cache, twin_path: Path
) -> None:
    with closing(DuckDBWarehouse(twin_path)) as warehouse:
        frame = from_warehouse(DIVIDED[name], warehouse, GIVEN[name], stages=stages_of(twin_path, name))
    expected = main_table(whole, DIVIDED[name], frame)
    assert expected.num_rows > 500
    assert main_table(narrow, DIVIDED[name], frame).equals(expected)
