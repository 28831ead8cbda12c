"""Errors over HTTP: every code has a status, every origin has one shape, hostile input is refused and never a fault."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import grpc
import httpx
import pyarrow as pa
import pytest
from sluice.error.v1 import error_code_pb2
from sluice.query.v1 import query_service_pb2 as pb
from sluice_gateway import problems
from sluice_gateway.bootstrap import build
from sluice_rpc import codes, errors
from sluice_rpc.errors import InvalidParameter, NotFound, ServiceError, Unavailable

from tests.unit.gateway.conftest import Behind, opened
from tests.unit.gateway.stand_ins import QUERY_ID, FakeQueryService, query

pytestmark = pytest.mark.anyio

CODES = [
    name.removeprefix("ERROR_CODE_")
    for name in error_code_pb2.ErrorCode.keys()  # noqa: SIM118  # an enum wrapper, not a dict
    if name != "ERROR_CODE_UNSPECIFIED"
]
DATES = {"start_date": "2025-01-01", "end_date": "2025-12-31"}
VIEW = f"/api/hold-history/view?query_id={QUERY_ID}"
MEMBERS = {"type", "title", "status", "detail", "instance", "code", "metadata", "retry_after_s"}


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    """The one shape of every error."""
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code == status
    assert set(body) - {"errors"} == MEMBERS
    assert (body["status"], body["code"], body["type"]) == (status, code, f"/problems/{code}")
    assert response.headers["x-request-id"]


def test_the_table_holds_every_code_and_no_other() -> None:
    assert sorted(codes.CODES) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
async def test_every_code_crosses_the_wire_into_its_problem(
    http: httpx.AsyncClient, engine: FakeQueryService, code: str
) -> None:
    engine.failures["ReadView"] = errors.Unavailable("what happened", reason=code, retry_after_s=None)

    response = await http.get(VIEW)

    assert_problem(response, codes.CODES[code].http_status, code)
    assert response.json()["detail"] == "what happened"


async def test_a_reason_of_nobody_falls_back_to_the_grpc_status(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.failures["ReadView"] = NotFound("moon", reason="MOON_NOT_FOUND")

    assert_problem(await http.get(VIEW), 404, "MOON_NOT_FOUND")


async def test_503_carries_the_seconds_of_its_error(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.failures["ReadView"] = Unavailable("open", reason="CIRCUIT_OPEN", retry_after_s=29.2)

    response = await http.get(VIEW)

    assert (response.headers["retry-after"], response.json()["retry_after_s"]) == ("30", 29.2)


async def test_429_carries_retry_after_even_if_its_error_does_not(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.failures["ReadView"] = WithoutDelay("slow down", reason="RATE_LIMITED")

    assert (await http.get(VIEW)).headers["retry-after"] == "5"


@pytest.mark.parametrize("code", ["CIRCUIT_OPEN", "INTERRUPTED", "PERMITS_EXHAUSTED"])
async def test_a_query_that_failed_says_when_to_try_again_as_its_code_does(
    http: httpx.AsyncClient, engine: FakeQueryService, code: str
) -> None:
    engine.started = query(pb.QUERY_STATE_FAILED, error_code=code, error_message="what happened")

    response = await http.post("/api/hold-history/query", json=DATES)

    assert_problem(response, 503, code)
    assert response.json()["retry_after_s"] == codes.CODES[code].retry_after_s


class WithoutDelay(ServiceError):
    """An error whose process names no delay."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_field_violations_are_listed(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.failures["StartQuery"] = InvalidParameter(
        "start_date", "is required", errors.FieldViolation("end_date", "is before start_date")
    )

    response = await http.post("/api/hold-history/query", json={})

    assert_problem(response, 400, "INVALID_PARAMETER")
    assert response.json()["errors"] == [
        {"field": "start_date", "description": "is required"},
        {"field": "end_date", "description": "is before start_date"},
    ]


async def test_a_fault_of_the_engine_shows_nothing_of_itself(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.failures["ReadView"] = SecretFault()  # type: ignore[assignment]  # what no servicer should raise

    response = await http.get(VIEW)

    assert_problem(response, 500, "INTERNAL")
    assert "secret" not in response.text
    assert response.json()["metadata"] == {"request_id": response.headers["x-request-id"]}


class SecretFault(Exception):
    """A defect."""

    def __str__(self) -> str:
        return "secret"


async def test_a_defect_of_the_gateway_has_the_same_shape(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    # No table is declared with such a column, so rendering it is a defect.
    engine.tables["trend"] = pa.table({"raw": [b"\xff"]})

    response = await http.get(f"{VIEW}&view=trend")

    assert_problem(response, 500, "INTERNAL")
    assert response.json()["metadata"] == {"request_id": response.headers["x-request-id"]}


async def test_an_engine_that_is_down_is_503_at_once(behind: Behind) -> None:
    settings = behind.settings(query_engine_target="127.0.0.1:1")
    gateway = await build(settings)
    async with gateway.closing, opened(gateway) as client:
        response = await client.get("/api/datasets")

    assert_problem(response, 503, "SERVICE_UNAVAILABLE")
    assert response.headers["retry-after"] == "2"
    assert response.json()["metadata"] == {"service": "query-engine"}


async def test_a_call_past_its_deadline_is_504(behind: Behind, engine: FakeQueryService) -> None:
    engine.stalling = "GetQuery"
    gateway = await build(behind.settings(call_timeout_s=0.1))
    async with gateway.closing, opened(gateway) as client:
        response = await client.get(f"/api/queries/{QUERY_ID}")

    assert_problem(response, 504, "QUERY_TIMEOUT")


async def test_an_unknown_dataset_is_404(http: httpx.AsyncClient) -> None:
    response = await http.post("/api/moon-history/query", json=DATES)

    assert_problem(response, 404, "DATASET_NOT_FOUND")
    assert response.json()["metadata"] == {"dataset": "moon-history"}


async def test_an_unknown_view_is_404(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{VIEW}&view=moon")

    assert_problem(response, 404, "VIEW_NOT_FOUND")
    assert response.json()["metadata"] == {"dataset": "hold-history", "view": "moon"}


async def test_an_unknown_path_is_404(http: httpx.AsyncClient) -> None:
    assert_problem(await http.get("/moon"), 404, "INVALID_PARAMETER")


async def test_a_path_with_a_slash_too_many_is_404_and_no_redirect(http: httpx.AsyncClient) -> None:
    assert_problem(await http.post("/api/lineage/ancestors/", json={}), 404, "INVALID_PARAMETER")


async def test_a_wrong_method_is_405_and_names_the_right_one(http: httpx.AsyncClient) -> None:
    response = await http.put("/api/hold-history/query")

    assert_problem(response, 405, "INVALID_PARAMETER")
    assert response.headers["allow"] == "POST"


async def test_a_wrong_content_type_is_415(http: httpx.AsyncClient) -> None:
    response = await http.post(
        "/api/hold-history/query", content=json.dumps(DATES), headers={"Content-Type": "text/plain"}
    )

    assert_problem(response, 415, "INVALID_PARAMETER")
    assert response.json()["metadata"]["field"] == "content-type"


async def test_a_body_over_8_mib_is_413(http: httpx.AsyncClient) -> None:
    response = await http.post(
        "/api/hold-history/query", content=b" " * ((8 << 20) + 1), headers={"Content-Type": "application/json"}
    )

    assert_problem(response, 413, "INVALID_PARAMETER")


async def test_a_body_that_does_not_announce_its_length_is_counted(http: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * (1 << 20)

    response = await http.post(
        "/api/hold-history/query", content=pieces(), headers={"Content-Type": "application/json"}
    )

    assert_problem(response, 413, "INVALID_PARAMETER")


async def test_an_empty_body_is_400(http: httpx.AsyncClient) -> None:
    response = await http.post("/api/hold-history/query")

    assert_problem(response, 400, "INVALID_PARAMETER")
    assert response.json()["metadata"]["field"] == "body"


HOSTILE_BODIES = {
    "not json": b"{",
    "not an object": b"[]",
    "null": b"null",
    "not utf-8": b'{"start_date": "\xff"}',
    "nan": b'{"start_date": NaN}',
    "infinity": b'{"start_date": -Infinity}',
    "overflowing number": b'{"min_qty": 1e999}',
    "huge integer": b'{"min_qty": ' + b"9" * 5000 + b"}",
    "integer beyond doubles": b'{"min_qty": 9007199254740993}',
    "duplicate names": b'{"start_date": "2025-01-01", "start_date": "2025-01-02"}',
    "duplicate names inside": b'{"reason": {"include": [], "include": []}}',
    "deep": b'{"reason": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep but parsable": b'{"reason": ' + b"[" * 50 + b"]" * 50 + b"}",
    "nul": b'{"reason": "\\u0000"}',
    "lone surrogate": b'{"reason": "\\ud800"}',
    "lone surrogate as a name": b'{"\\udfff": 1}',
    "long text": json.dumps({"reason": "x" * 100_000}).encode(),
    "long name": json.dumps({"x" * 100_000: 1}).encode(),
    "unknown field": b'{"moon": 1}',
    "sql as a field": b'{"start_date\'; drop table x --": 1}',
    "number for a choice": b'{"hold_type": 1}',
    "null for a choice": b'{"hold_type": null}',
    "object for a list": b'{"record_type": {"a": 1}}',
    "unknown member": b'{"record_type": ["new", "old"]}',
    "unknown side": b'{"reason": {"only": []}}',
    "number in a side": b'{"reason": {"include": [1]}}',
    "sql in a pattern": b'{"day_filter": "2025-01-01:new\' or 1=1 --"}',
    "empty list": b'{"record_type": []}',
    "empty reason": b'{"reason": ""}',
    "page of text": b'{"page": "abc"}',
    "page of truth": b'{"page": true}',
    "page 0": b'{"page": 0}',
    "page beyond int32": b'{"page": 2147483648}',
    "page size beyond 200": b'{"page_size": 201}',
    "sort of nothing": b'{"sort": "1; drop table x"}',
    "views of numbers": b'{"views": [1]}',
    "views of nothing in particular": b'{"views": null}',
    "views twice": b'{"views": ["list", "list"]}',
    "descending of text": b'{"descending": "yes"}',
    "order of moon": b'{"order": "moon"}',
    "order of a list": b'{"order": ["asc"]}',
    "order against descending": b'{"order": "asc", "descending": true}',
}


@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
async def test_a_hostile_body_is_refused_before_the_engine_sees_it(
    http: httpx.AsyncClient, engine: FakeQueryService, body: bytes
) -> None:
    response = await http.post("/api/hold-history/query", content=body, headers={"Content-Type": "application/json"})

    assert_problem(response, 400, "INVALID_PARAMETER")
    assert response.json()["metadata"]["field"]
    assert len(response.content) < 2000
    assert [type(request).__name__ for request in engine.requests] == ["ListDatasetsRequest"] * 2


HOSTILE_VIEWS = {
    "no query_id": "",
    "empty query_id": "query_id=",
    "upper-case query_id": f"query_id={QUERY_ID.upper()}",
    "two query_ids": f"query_id={QUERY_ID}&query_id={QUERY_ID}",
    "page of text": f"query_id={QUERY_ID}&page=abc",
    "page with underscore": f"query_id={QUERY_ID}&page=1_0",
    "page in arabic digits": f"query_id={QUERY_ID}&page=%D9%A1",
    "page size of 0": f"query_id={QUERY_ID}&page_size=0",
    "unknown field": f"query_id={QUERY_ID}&moon=1",
    "parameter of the query": f"query_id={QUERY_ID}&start_date=2025-01-01",
    "unknown choice": f"query_id={QUERY_ID}&hold_type=Quality",
    "sql as a choice": f"query_id={QUERY_ID}&hold_type=all'--",
    "empty member": f"query_id={QUERY_ID}&record_type=new,",
    "number that is none": f"query_id={QUERY_ID}&min_qty=1e3",
    "negative number": f"query_id={QUERY_ID}&min_qty=-1",
    "nul": f"query_id={QUERY_ID}&reason=%00",
    "nul as a name": f"query_id={QUERY_ID}&%00=1",
    "long text": f"query_id={QUERY_ID}&reason={'x' * 60_000}",
    "broken json form": f"query_id={QUERY_ID}&reason=%7B%22only%22%3A1%7D",
    "allow_partial of text": f"query_id={QUERY_ID}&allow_partial=yes",
    "empty view": f"query_id={QUERY_ID}&view=",
}


@pytest.mark.parametrize("text", HOSTILE_VIEWS.values(), ids=HOSTILE_VIEWS.keys())
async def test_a_hostile_query_string_is_refused_before_the_engine_sees_it(
    http: httpx.AsyncClient, engine: FakeQueryService, text: str
) -> None:
    response = await http.get(f"/api/hold-history/view?{text}")

    assert_problem(response, 400, "INVALID_PARAMETER")
    assert response.json()["metadata"]["field"]
    assert [type(request).__name__ for request in engine.requests] == ["ListDatasetsRequest"] * 2


@pytest.mark.parametrize(
    "path", ["/api/%00/view", "/api/%ED%A0%80/view", "/api//view", "/api/../view", "/api/%2e%2e%2f/query"]
)
async def test_a_hostile_route_is_404(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)

    assert response.status_code in (404, 405)
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_very_long_dataset_name_is_cut(http: httpx.AsyncClient) -> None:
    response = await http.get(f"/api/datasets/{'x' * 60_000}")

    assert_problem(response, 404, "DATASET_NOT_FOUND")
    assert len(response.content) < 2000


async def test_a_name_in_body_and_query_string_is_refused(http: httpx.AsyncClient) -> None:
    response = await http.post(f"{VIEW}&hold_type=all", json={"hold_type": "quality"})

    assert_problem(response, 400, "INVALID_PARAMETER")
    assert response.json()["metadata"]["field"] == "hold_type"


async def test_every_wrong_field_is_named_at_once(http: httpx.AsyncClient) -> None:
    response = await http.get("/api/hold-history/view?page=abc&moon=1")

    assert [item["field"] for item in response.json()["errors"]] == ["page", "moon", "query_id"]


async def test_a_browser_gets_the_same_fields_on_a_page(http: httpx.AsyncClient) -> None:
    response = await http.get("/api/datasets/%3Cscript%3E", headers={"Accept": "text/html,application/xhtml+xml"})

    assert response.headers["content-type"].startswith("text/html")
    assert (response.status_code, "DATASET_NOT_FOUND" in response.text) == (404, True)
    assert "<script>" not in response.text


async def test_the_type_of_a_problem_is_a_page(http: httpx.AsyncClient) -> None:
    response = await http.get("/problems/CACHE_EXPIRED")

    assert (response.status_code, "The result is no longer there" in response.text) == (200, True)


@pytest.mark.parametrize("status", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_grpc_status_has_an_http_status(status: grpc.StatusCode) -> None:
    error = type("Odd", (ServiceError,), {"status": status})("x", reason="NOBODYS")

    assert 400 <= problems.http_status(error) <= 599
