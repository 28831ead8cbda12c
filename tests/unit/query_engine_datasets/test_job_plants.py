"""Repair jobs on plants made by hand: the expected rows stand beside those they come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog
from sluice_rpc.errors import InvalidParameter

from tests.dataset_frames import Row
from tests.unit.query_engine_datasets.test_machine_plants import Bench, at

ONE, TWO = "1" * 16, "2" * 16
ASKED = {"start_date": "2025-03-10", "end_date": "2025-03-11", "resource_ids": [ONE]}


@pytest.fixture
def bench(catalog: Catalog, tmp_path: Path) -> Bench:
    return Bench(catalog, tmp_path)


def job(key: str, when: str, machine: str = ONE, **values: object) -> Row:
    """Return a job of a machine."""
    named = {"RESOURCEID": machine, "RESOURCENAME": f"Bonder {machine[0]}", "JOBORDERNAME": f"JO-{key}"}
    return {"JOBID": key * 16, "CREATEDATE": at(when), "JOBSTATUS": "Complete", **named, **values}


def step(key: str, of: str, when: str) -> Row:
    """Return a transaction of a job."""
    return {"JOBTXNHISTORYID": key * 16, "JOBID": of * 16, "TXNDATE": at(when), "JOBSTATUS": "ASSIGNED"}


def test_jobs_are_those_of_the_machines_opened_on_the_calendar_days_newest_first(bench: Bench) -> None:
    rows = [
        job("a", "09 23:59:59"),
        job("b", "10 00:00:00"),
        job("c", "11 23:59:59"),
        job("d", "12 00:00:00"),
        job("e", "10 12:00", TWO),
    ]
    frame = bench.read("job-query", ASKED, {"DW_MES_JOB": rows})
    assert [row["job_order"] for row in frame.exported()] == ["JO-c", "JO-b"]
    assert [(row["create_day"].day, row["job_count"]) for row in frame.rows("per_day")] == [(10, 1), (11, 1)]


def test_machines_come_by_name_and_jobs_of_one_second_by_their_key(bench: Bench) -> None:
    rows = [job("c", "10 08:00", TWO), job("b", "10 08:00"), job("a", "10 08:00")]
    frame = bench.read("job-query", {**ASKED, "resource_ids": [TWO, ONE]}, {"DW_MES_JOB": rows})
    assert [row["job_order"] for row in frame.exported()] == ["JO-a", "JO-b", "JO-c"]


def test_jobs_of_no_machine_are_refused_and_never_those_of_all(bench: Bench) -> None:
    with pytest.raises(InvalidParameter, match="resource_ids"):
        bench.read("job-query", {**ASKED, "resource_ids": []}, {"DW_MES_JOB": [job("a", "10 08:00")]})


def test_activity_counts_when_it_happened_and_not_when_the_job_was_opened(bench: Bench) -> None:
    tables = {
        "DW_MES_JOB": [job("a", "01 08:00"), job("b", "10 08:00"), job("c", "10 08:00", TWO)],
        "DW_MES_JOBTXNHISTORY": [
            step("1", "a", "09 23:59:59"),
            step("2", "a", "10 00:00:00"),
            step("3", "a", "12 00:00:00"),
            step("4", "c", "10 09:00"),
        ],
    }
    frame = bench.read("job-activity", ASKED, tables)
    assert [(row["job_order"], row["transaction_time"]) for row in frame.exported()] == [("JO-a", at("10 00:00"))]


def test_transactions_come_oldest_first_and_an_unknown_job_has_none(bench: Bench) -> None:
    tables = {
        "DW_MES_JOBTXNHISTORY": [step("2", "a", "10 09:00"), step("1", "a", "10 08:00"), step("3", "b", "10 08:00")]
    }
    frame = bench.read("job-transactions", {"job_ids": ["a" * 16, "f" * 16]}, tables)
    assert [row["transaction_id"][0] for row in frame.exported()] == ["1", "2"]
