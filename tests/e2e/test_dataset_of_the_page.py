"""The dataset that docs/datasets.md spells out, nothing added: a suite serves it at every door, with the same rows."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from sluice.query.v1 import query_service_pb2 as pb
from sluice.query.v1.query_service_pb2_grpc import QueryServiceStub
from sluice_client.ports import LOOPBACK
from sluice_rpc.client import open_channel

from tests.e2e.demo_process import run_sluice
from tests.engine_rig import decoded
from tests.page_dataset import NAME, write_page_dataset
from tests.running_suite import RunningSuite, open_http, running_suite

WEEKS = {"start_date": "2025-03-03", "end_date": "2025-03-30"}
JOBS_OF_WEEKS = (
    "select JOBID, CREATEDATE::date from DWH.DW_MES_JOB where CREATEDATE >= '2025-03-03' and CREATEDATE < '2025-03-31'"
)

Days = dict[str, int]


@pytest.fixture(scope="module")
def datasets_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dataset folders: the page's alone."""
    folder = tmp_path_factory.mktemp("page") / "datasets"
    write_page_dataset(folder)
    return folder


@pytest.fixture(scope="module")
def page_suite(
    datasets_dir: Path, twin_path: Path, redis_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSuite]:
    """A suite that serves the page's dataset."""
    extra = {"query-engine": {"SLUICE_QUERY_ENGINE_DATASETS_DIR": str(datasets_dir)}}
    with running_suite(tmp_path_factory.mktemp("page-suite"), twin_path, redis_program, extra) as suite:
        yield suite


@pytest.fixture(scope="module")
def page_http(page_suite: RunningSuite) -> Iterator[httpx.Client]:
    """An HTTP client of it."""
    with open_http(page_suite.url) as client:
        yield client


@pytest.fixture(scope="module")
def answer(page_http: httpx.Client) -> dict[str, Any]:
    """What HTTP answers of four weeks."""
    answer: dict[str, Any] = page_http.post(f"/api/{NAME}/query", json=WEEKS).raise_for_status().json()
    return answer


@pytest.fixture(scope="module")
def jobs(twin_path: Path) -> dict[str, str]:
    """The day of each job of these weeks, as the plant itself has it."""
    with duckdb.connect(str(twin_path), read_only=True) as connection:
        found = connection.execute(JOBS_OF_WEEKS).fetchall()
    assert found
    return {job.strip(): day.isoformat() for job, day in found}


@pytest.fixture(scope="module")
def per_day(jobs: dict[str, str]) -> Days:
    """How many of them each day has."""
    days = sorted(jobs.values())
    return {day: days.count(day) for day in days}


def test_its_folder_is_right(datasets_dir: Path) -> None:
    result = run_sluice("datasets", "check", str(datasets_dir), data_dir=datasets_dir)
    assert (result.returncode, f"right  dataset {NAME}" in result.stdout.decode()) == (0, True)


def test_http_answers_the_days_and_the_jobs_of_the_plant(
    answer: dict[str, Any], per_day: Days, jobs: dict[str, str]
) -> None:
    assert answer["receipt"]["status"] == "complete"
    assert dict(answer["views"]["per_day"]["rows"]) == per_day
    assert answer["views"]["list"]["page"]["total_count"] == len(jobs)


def test_its_filters_narrow_both_views_without_the_warehouse(
    page_suite: RunningSuite, page_http: httpx.Client, answer: dict[str, Any], jobs: dict[str, str]
) -> None:
    before = page_suite.statements.count()
    counts = []
    for state in ("open", "completed"):
        asked = {"query_id": answer["query_id"], "view": "per_day,list", "state": state}
        views = page_http.get(f"/api/{NAME}/view", params=asked).raise_for_status().json()["views"]
        assert sum(count for _, count in views["per_day"]["rows"]) == views["list"]["page"]["total_count"]
        counts.append(views["list"]["page"]["total_count"])
    assert (sum(counts), page_suite.statements.count()) == (len(jobs), before)


def test_grpc_answers_the_same_days(page_suite: RunningSuite, answer: dict[str, Any], per_day: Days) -> None:
    with open_channel(f"{LOOPBACK}:{page_suite.ports.query_engine}", "test") as channel:
        stub = QueryServiceStub(channel)
        start = pb.StartQueryRequest(dataset=NAME)
        start.parameters.update(WEEKS)
        query_id = stub.StartQuery(start).query.query_id
        read = list(stub.ReadView(pb.ReadViewRequest(query_id=query_id, views=["per_day"])))
    table = decoded([response.chunk.ipc for response in read if response.HasField("chunk")])
    days = [day.isoformat() for day in table["create_day"].to_pylist()]
    assert (query_id, dict(zip(days, table["job_count"].to_pylist(), strict=True))) == (answer["query_id"], per_day)


def test_an_export_holds_every_job(page_http: httpx.Client, answer: dict[str, Any], jobs: dict[str, str]) -> None:
    asked = {"query_id": answer["query_id"], "format": "parquet"}
    exported = page_http.get(f"/api/{NAME}/export", params=asked).raise_for_status()
    assert sorted(pq.read_table(io.BytesIO(exported.content))["job_id"].to_pylist()) == sorted(jobs)


def test_the_command_line_prints_the_days(page_suite: RunningSuite, tmp_path: Path, per_day: Days) -> None:
    asked = ("query", NAME, "--start", WEEKS["start_date"], "--end", WEEKS["end_date"], "--view", "per_day")
    result = run_sluice(*asked, "--format", "csv", "--url", page_suite.url, data_dir=tmp_path)
    assert result.returncode == 0, result.stderr.decode()
    table = pyarrow.csv.read_csv(io.BytesIO(result.stdout))
    days = [day.isoformat() for day in table["create_day"].to_pylist()]
    assert dict(zip(days, table["job_count"].to_pylist(), strict=True)) == per_day
