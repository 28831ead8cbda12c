"""Keys that callers give, through both doors: shorter than their CHAR columns, too few, and names of nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime

import pytest
from sluice.query.v1 import query_service_pb2 as pb
from sluice_query_engine.bootstrap import World
from sluice_rpc.errors import InvalidArgument
from sluice_twin import plant_of
from sluice_warehouse import open_warehouse

from tests.dataset_frames import ENGINE, Row
from tests.engine_rig import EngineRig, serving_cache, serving_engine
from tests.warehouse_urls import DOORS, url_of

DAY = datetime(2025, 3, 10, 9)
RANGE = {"start_date": "2025-03-10", "end_date": "2025-03-10"}
DATASETS = ("job-query", "job-transactions", "mid-section-defect")
STEPS = [
    {"SPEC": f"S{number}", "WORK_CENTER": f"W{number}", "WORK_CENTER_GROUP": group, "WORKCENTERSEQUENCE_GROUP": "1"}
    for number, group in enumerate(("Saw", "Bond"))
]


@pytest.fixture(scope="module", params=DOORS)
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    """An engine on a plant of one job, whose machine and key have fewer characters than their columns."""
    folder = tmp_path_factory.mktemp("keys")
    for name in DATASETS:
        shutil.copytree(ENGINE / "datasets" / name, folder / "datasets" / name)
    job = {"JOBID": "J1", "RESOURCEID": "M1", "RESOURCENAME": "Saw 1", "JOBSTATUS": "New", "CREATEDATE": DAY}
    moved = {"JOBTXNHISTORYID": "T1", "JOBID": "J1", "TXNDATE": DAY, "JOBSTATUS": "NEW"}
    tables: dict[str, list[Row]] = {
        "DW_MES_JOB": [job],
        "DW_MES_JOBTXNHISTORY": [moved],
        "DW_MES_SPEC_WORKCENTER_V": STEPS,
    }
    plant = plant_of(tables, folder / "plant.duckdb", datetime(2025, 3, 20))
    with (
        url_of(plant, request.param) as url,
        serving_cache(folder / "cache") as cache,
        serving_engine(
            plant,
            world=World(warehouse=open_warehouse(url)),
            cache_target=cache,
            lineage_target="",
            datasets_dir=folder / "datasets",
        ) as rig,
    ):
        yield rig


def listed(rig: EngineRig, dataset: str, given: Row, column: str) -> list[object]:
    """Return a column of the list."""
    query = rig.finish(rig.ask(dataset, given).query_id)
    values: list[object] = rig.views(query.query_id, "list")["list"].table[column].to_pylist()
    return values


def test_wire_a_key_that_is_shorter_than_its_column_finds_its_rows(rig: EngineRig) -> None:
    assert listed(rig, "job-query", {"resource_ids": ["M1"], **RANGE}, "job_id") == ["J1"]
    assert listed(rig, "job-transactions", {"job_ids": ["J1"]}, "job_id") == ["J1"]


def refused(rig: EngineRig, dataset: str, given: Row) -> dict[str, str]:
    """Return what is wrong by field, which a query and its plan tell alike."""
    plan = pb.PlanQueryRequest(dataset=dataset)
    plan.parameters.update(given)
    told = []
    for ask in (lambda: rig.ask(dataset, given), lambda: rig.stub.PlanQuery(plan)):
        with pytest.raises(InvalidArgument) as caught:
            ask()
        told.append({violation.field: violation.description for violation in caught.value.violations})
    assert told[0] == told[1]
    return told[0]


def test_wire_a_station_that_the_plant_does_not_have_is_refused_and_those_it_has_are_told(rig: EngineRig) -> None:
    wrong = refused(rig, "mid-section-defect", {"stations": ["Bond", "Bind"], **RANGE})
    assert wrong == {"stations": "“Bind”: not known; there are Bond, Saw"}


def test_wire_stations_that_the_plant_has_are_taken(rig: EngineRig) -> None:
    plan = pb.PlanQueryRequest(dataset="mid-section-defect")
    plan.parameters.update({"stations": ["Saw", "Bond"], **RANGE})
    assert [chunk.part for chunk in rig.stub.PlanQuery(plan).chunks] == ["passes"]


def test_wire_a_list_with_too_few_keys_is_refused(rig: EngineRig) -> None:
    assert refused(rig, "job-query", {"resource_ids": [], **RANGE}) == {"resource_ids": "has 0 items, fewer than 1"}
