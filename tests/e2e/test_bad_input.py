"""Bad input over HTTP: a problem that names the field, and never a statement in the warehouse."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.e2e.demo_process import ServingDemo

Json = dict[str, Any]

DAYS = {"start_date": "2025-06-01", "end_date": "2025-06-10"}
SQL = "2025-06-01'; drop table DWH.DW_MES_HOLDRELEASEHISTORY; --"
LONG = "x" * 100_000

BODIES: dict[str, tuple[Json, str]] = {
    "missing start": ({"end_date": "2025-06-10"}, "start_date"),
    "missing end": ({"start_date": "2025-06-01"}, "end_date"),
    "reversed": ({"start_date": "2025-06-10", "end_date": "2025-06-01"}, "end_date"),
    "no such day": (DAYS | {"start_date": "2025-02-30"}, "start_date"),
    "year one": (DAYS | {"start_date": "0001-01-01"}, "start_date"),
    "year 9999": (DAYS | {"end_date": "9999-12-31"}, "end_date"),
    "date and time": (DAYS | {"start_date": "2025-06-01T00:00:00"}, "start_date"),
    "unknown field": (DAYS | {"surprise": 1}, "surprise"),
    "100 kB date": (DAYS | {"start_date": LONG}, "start_date"),
    "100 kB filter": (DAYS | {"hold_type": LONG}, "hold_type"),
    "number for a date": (DAYS | {"start_date": 20250601}, "start_date"),
    "null for a date": (DAYS | {"start_date": None}, "start_date"),
    "list for a date": (DAYS | {"end_date": ["2025-06-10"]}, "end_date"),
    "object for a date": (DAYS | {"end_date": {"day": "2025-06-10"}}, "end_date"),
    "true for a date": (DAYS | {"end_date": True}, "end_date"),
    "SQL in start_date": (DAYS | {"start_date": SQL}, "start_date"),
    "SQL in end_date": (DAYS | {"end_date": SQL}, "end_date"),
    "SQL in hold_type": (DAYS | {"hold_type": SQL}, "hold_type"),
    "SQL in record_type": (DAYS | {"record_type": [SQL]}, "record_type"),
    "SQL in duration_range": (DAYS | {"duration_range": SQL}, "duration_range"),
    "SQL in day_filter": (DAYS | {"day_filter": SQL}, "day_filter"),
    "SQL in sort": (DAYS | {"sort": SQL}, "sort"),
    "text for a page": (DAYS | {"page": "two"}, "page"),
    "page size too large": (DAYS | {"page_size": 5000}, "page_size"),
    "SQL as a field": (DAYS | {SQL: 1}, "drop table"),
}

VIEW = "/api/hold-history/view"
UNKNOWN_ID = "0123456789abcdef"


def named_fields(problem: Json) -> str:
    return " ".join(item["field"] for item in problem["errors"])


@pytest.mark.parametrize("case", BODIES, ids=str)
def test_a_bad_body_is_a_400_that_names_the_field(demo: ServingDemo, demo_http: httpx.Client, case: str) -> None:
    body, field = BODIES[case]
    before = demo.process.statements.count()
    response = demo_http.post("/api/hold-history/query", json=body)
    assert response.status_code == 400, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    assert response.json()["code"] == "INVALID_PARAMETER"
    assert field in named_fields(response.json())
    assert demo.process.statements.since(before) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b'"text"', b'{"start_date": NaN}', b"null"])
def test_a_body_that_is_no_json_object_is_a_400(demo: ServingDemo, demo_http: httpx.Client, body: bytes) -> None:
    before = demo.process.statements.count()
    headers = {"Content-Type": "application/json"}
    response = demo_http.post("/api/hold-history/query", content=body, headers=headers)
    assert response.status_code == 400, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    assert demo.process.statements.since(before) == []


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{VIEW}?query_id={UNKNOWN_ID}&view=trend", 410, "CACHE_EXPIRED"),
        (f"{VIEW}?query_id={UNKNOWN_ID}&view=nonsense", 404, "VIEW_NOT_FOUND"),
        (f"{VIEW}?query_id={UNKNOWN_ID.upper()}&view=trend", 400, "INVALID_PARAMETER"),
        (f"{VIEW}?query_id=short&view=trend", 400, "INVALID_PARAMETER"),
        (f"{VIEW}?query_id={'a' * 4000}&view=trend", 400, "INVALID_PARAMETER"),
        (f"{VIEW}?query_id=' or 1=1 --&view=trend", 400, "INVALID_PARAMETER"),
        (f"{VIEW}?view=trend", 400, "INVALID_PARAMETER"),
        (f"{VIEW}?query_id={UNKNOWN_ID}&view=list&page=-1", 400, "INVALID_PARAMETER"),
        (f"{VIEW}?query_id={UNKNOWN_ID}&view=list&sort=1;drop", 400, "INVALID_PARAMETER"),
        (f"{VIEW}?query_id={UNKNOWN_ID}&surprise=1", 400, "INVALID_PARAMETER"),
        (f"/api/queries/{UNKNOWN_ID}", 410, "CACHE_EXPIRED"),
        ("/api/queries/short", 400, "INVALID_PARAMETER"),
        (f"/api/hold-history/export?query_id={UNKNOWN_ID}&format=csv", 410, "CACHE_EXPIRED"),
        (f"/api/hold-history/export?query_id={UNKNOWN_ID}&format=doc", 400, "INVALID_PARAMETER"),
        ("/api/nothing/view?query_id=0123456789abcdef", 404, "DATASET_NOT_FOUND"),
        ("/api/datasets/nothing", 404, "DATASET_NOT_FOUND"),
    ],
)
def test_a_bad_look_is_a_typed_problem(
    demo: ServingDemo, demo_http: httpx.Client, path: str, status: int, code: str
) -> None:
    before = demo.process.statements.count()
    response = demo_http.get(path)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    assert demo.process.statements.since(before) == []


def test_an_unknown_dataset_is_a_404(demo_http: httpx.Client) -> None:
    response = demo_http.post("/api/nothing/query", json=DAYS)
    assert (response.status_code, response.json()["code"]) == (404, "DATASET_NOT_FOUND")


def test_sql_in_a_reason_finds_no_reason_of_that_name(demo: ServingDemo, demo_http: httpx.Client) -> None:
    query_id = demo_http.post("/api/hold-history/query", json=DAYS).json()["query_id"]
    before = demo.process.statements.count()
    query = {"query_id": query_id, "view": "list", "reason": "x') or 1=1 --"}
    answer = demo_http.get(VIEW, params=query)
    assert (answer.status_code, answer.json()["views"]["list"]["rows"]) == (200, [])
    assert demo.process.statements.since(before) == []
