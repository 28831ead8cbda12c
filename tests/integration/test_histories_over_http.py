"""Machines, rejects and jobs over HTTP from the running suite: first views at once, and Arrow says what JSON says."""

from __future__ import annotations

import datetime

import httpx
import pyarrow as pa
import pytest

from tests.integration.test_year_of_histories import AUTUMN

ARROW = {"Accept": "application/vnd.apache.arrow.stream"}
QUESTIONS = {
    "resource/history": (AUTUMN, {"granularity": "week", "key": "only"}),
    "reject-history": ({**AUTUMN, "packages": ["SMA", "SMB", "SOT-23"]}, {"metric_mode": "defect", "scope": "all"}),
    "hold-department": (AUTUMN, {"hold_type": "all"}),
}


@pytest.mark.parametrize("route", QUESTIONS)
def test_a_query_answers_its_first_views_and_arrow_says_what_json_says(http: httpx.Client, route: str) -> None:
    parameters, filters = QUESTIONS[route]
    started = http.post(f"/api/{route}/query", json=parameters, headers={"Prefer": "wait=60"})
    assert started.status_code == 200, started.text
    asked = {"query_id": started.json()["query_id"], **filters}
    for view, first in started.json()["views"].items():
        told = http.post(f"/api/{route}/view", json={**asked, "view": [view], "page_size": 200})
        assert told.status_code == 200, told.text
        shown = told.json()["views"][view]
        assert [column["name"] for column in shown["columns"]] == [column["name"] for column in first["columns"]]
        streamed = http.post(f"/api/{route}/view", json={**asked, "view": [view], "page_size": 200}, headers=ARROW)
        with pa.ipc.open_stream(streamed.content) as reader:
            rows = [[as_json(value) for value in row.values()] for row in reader.read_all().to_pylist()]
        assert rows == shown["rows"]


def as_json(value: object) -> object:
    """Return a value as JSON shows it."""
    return value.isoformat() if isinstance(value, datetime.date | datetime.datetime) else value


def test_an_unknown_mode_and_a_range_of_lots_are_refused_by_field(http: httpx.Client) -> None:
    for parameters, field in (
        ({**AUTUMN, "mode": "wafer"}, "mode"),
        ({**AUTUMN, "mode": "container", "container_values": ["GA*"]}, "start_date"),
        ({"mode": "date_range"}, "start_date"),
    ):
        answer = http.post("/api/reject-history/query", json=parameters)
        assert answer.status_code == 400, answer.text
        assert field in [item["field"] for item in answer.json()["errors"]]


def test_more_than_fifty_machines_are_refused(http: httpx.Client) -> None:
    machines = [f"{number:016x}" for number in range(51)]
    answer = http.post("/api/job-query/query", json={**AUTUMN, "resource_ids": machines})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "resource_ids")


@pytest.mark.parametrize("path", ["view", "options", "export", "frame"])
def test_a_query_is_not_answered_under_the_name_of_another_dataset(http: httpx.Client, path: str) -> None:
    started = http.post("/api/reject-history/query", json={**AUTUMN, "views": []}, headers={"Prefer": "wait=60"})
    assert started.status_code == 200, started.text
    answer = http.get(f"/api/hold-history/{path}", params={"query_id": started.json()["query_id"]})
    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        [
            {
                "field": "query_id",
                "description": "is a query of reject-history, not of hold-history; ask reject-history for it",
            }
        ],
    )
