"""Queries over HTTP: start, wait, leave, look again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest
from sluice.query.v1 import query_service_pb2 as pb
from sluice_gateway.bootstrap import Gateway, build
from sluice_rpc.errors import InvalidParameter, NotFound

from tests.unit.gateway.conftest import Behind, opened
from tests.unit.gateway.stand_ins import QUERY_ID, FakeQueryService, partial_receipt, query

pytestmark = pytest.mark.anyio

DATES = {"start_date": "2025-01-01", "end_date": "2025-12-31"}
RUNNING = query(pb.QUERY_STATE_RUNNING)
DONE = query(pb.QUERY_STATE_COMPLETED)


async def test_a_finished_query_answers_with_its_views(http: httpx.AsyncClient) -> None:
    response = await http.post("/api/hold-history/query", json=DATES)

    body = response.json()
    assert response.status_code == 200
    assert (body["query_id"], body["status"], list(body["views"])) == (QUERY_ID, "completed", ["trend", "list"])


async def test_the_receipt_of_a_query_says_what_this_request_cost(http: httpx.AsyncClient) -> None:
    response = await http.post("/api/hold-history/query", json=DATES)

    receipt = response.json()["receipt"]
    assert receipt == {
        "query_id": QUERY_ID,
        "status": "complete",
        "row_count": 2,
        "read_time": "2023-11-14T22:13:20Z",
        "expires_time": None,
        "as_of_time": "2025-12-31T12:00:00",
        "tier": "memory",
        "chunks": {"total": 13, "reused": 12, "run": 1, "failed": 0},
        "warehouse_statements": 1,
        "warehouse_row_count": 988,
        "failed_ranges": [],
        "truncated_ranges": [],
        "plan": "12 of 13 chunks were there; 1 × 7 days read",
    }


async def test_parameters_and_view_filters_of_one_body_are_told_apart(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    await http.post(
        "/api/hold-history/query",
        json={**DATES, "hold_type": "all", "views": ["list"], "page": 2, "page_size": 20, "sort": "hold_time"},
    )

    [started] = engine.asked(pb.StartQueryRequest)
    [viewed] = engine.asked(pb.ReadViewRequest)
    assert isinstance(started, pb.StartQueryRequest)
    assert isinstance(viewed, pb.ReadViewRequest)
    assert dict(started.parameters.items()) == DATES
    assert dict(viewed.filters.items()) == {"hold_type": "all"}
    assert (list(viewed.views), viewed.page, viewed.page_size, viewed.sort) == (["list"], 2, 20, "hold_time")
    assert not viewed.HasField("descending")


async def test_a_wrong_filter_is_refused_before_the_query_starts(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    response = await http.post("/api/hold-history/query", json={**DATES, "hold_type": "worst"})

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "hold_type"
    assert engine.asked(pb.StartQueryRequest) == []


async def test_no_cache_reads_everything_again(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    await http.post("/api/hold-history/query", json=DATES, headers={"Cache-Control": "no-cache"})

    [started] = engine.asked(pb.StartQueryRequest)
    assert isinstance(started, pb.StartQueryRequest)
    assert started.no_cache


async def test_a_query_that_finishes_in_time_is_waited_for(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.started = RUNNING
    engine.changes = [RUNNING, DONE]

    response = await http.post("/api/hold-history/query", json=DATES)

    assert (response.status_code, response.json()["status"]) == (200, "completed")


async def test_a_query_that_takes_longer_is_accepted(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.started = RUNNING

    response = await http.post("/api/hold-history/query", json=DATES, headers={"Prefer": "wait=1"})

    assert response.status_code == 202
    assert response.headers["Location"] == f"/api/queries/{QUERY_ID}"
    assert response.headers["Preference-Applied"] == "wait=1"
    assert response.json()["progress"]["completed_count"] == 12


async def test_views_that_take_longer_are_left_to_be_fetched(behind: Behind, engine: FakeQueryService) -> None:
    engine.stalling = "ReadView"
    gateway = await build(behind.settings(initial_views_min_s=0.1))

    async with gateway.closing, opened(gateway) as client:
        response = await client.post("/api/hold-history/query", json=DATES, headers={"Prefer": "wait=0"})

    assert response.status_code == 202
    assert (response.json()["status"], response.headers["Location"]) == ("completed", f"/api/queries/{QUERY_ID}")


async def test_wait_0_does_not_watch(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.started = RUNNING

    response = await http.post("/api/hold-history/query", json=DATES, headers={"Prefer": "wait=0"})

    assert response.status_code == 202
    assert engine.asked(pb.WatchQueryRequest) == []


async def test_a_malformed_preference_is_ignored(http: httpx.AsyncClient) -> None:
    response = await http.post("/api/hold-history/query", json=DATES, headers={"Prefer": "wait=soon"})

    assert (response.status_code, response.headers["Preference-Applied"]) == (200, "wait=30")


async def test_leaving_while_waiting_ends_the_watch_at_once(gateway: Gateway, engine: FakeQueryService) -> None:
    engine.started = RUNNING
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    messages = [{"type": "http.request", "body": json.dumps(DATES).encode(), "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.to_thread(engine.watched.wait, 10)
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/hold-history/query",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await asyncio.wait_for(gateway.app(scope, receive, send), 10)

    assert await asyncio.to_thread(engine.left.wait, 5)
    assert sent[0]["status"] == 499
    assert engine.asked(pb.CancelQueryRequest) == [pb.CancelQueryRequest(query_id=QUERY_ID)]


async def test_a_wait_that_is_over_withdraws_from_nothing(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.started = RUNNING

    response = await http.post("/api/hold-history/query", json=DATES, headers={"Prefer": "wait=1"})

    assert response.status_code == 202
    assert engine.asked(pb.CancelQueryRequest) == []


async def test_waiting_ends_when_the_process_stops(
    http: httpx.AsyncClient, gateway: Gateway, engine: FakeQueryService
) -> None:
    engine.started = RUNNING
    waiting = asyncio.create_task(http.post("/api/hold-history/query", json=DATES))
    await asyncio.to_thread(engine.watched.wait, 10)

    gateway.patience.stop()

    assert (await asyncio.wait_for(waiting, 5)).status_code == 202


async def test_a_failed_query_is_its_problem(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.started = query(pb.QUERY_STATE_FAILED, error_code="QUERY_TIMEOUT", error_message="300 s were not enough")

    response = await http.post("/api/hold-history/query", json=DATES)

    assert response.status_code == 504
    assert (response.json()["code"], response.json()["detail"]) == ("QUERY_TIMEOUT", "300 s were not enough")


async def test_a_partial_query_answers_and_says_so(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.started = query(pb.QUERY_STATE_PARTIAL, receipt=partial_receipt())

    response = await http.post("/api/hold-history/query", json=DATES)

    assert (response.status_code, response.json()["status"]) == (200, "partial")
    assert response.json()["receipt"]["failed_ranges"] == [
        {"part": "slice", "start": "2025-01-31T07:30:00", "end": "2025-03-03T07:30:00", "code": "QUERY_TIMEOUT"}
    ]


async def test_the_state_of_a_query_is_shown(http: httpx.AsyncClient) -> None:
    response = await http.get(f"/api/queries/{QUERY_ID}")

    assert (response.status_code, response.json()["status"]) == (200, "completed")


async def test_a_malformed_query_id_is_refused(http: httpx.AsyncClient) -> None:
    response = await http.get("/api/queries/NOT-AN-ID")

    assert (response.status_code, response.json()["metadata"]["field"]) == (400, "query_id")


async def test_a_query_that_is_gone_is_410(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.failures["GetQuery"] = NotFound("no longer there", reason="CACHE_EXPIRED", query_id=QUERY_ID)

    response = await http.get(f"/api/queries/{QUERY_ID}")

    assert (response.status_code, response.json()["code"]) == (410, "CACHE_EXPIRED")


async def test_cancel_passes_on_force(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    response = await http.delete(f"/api/queries/{QUERY_ID}?force=true")

    assert response.json()["status"] == "cancelled"
    assert engine.asked(pb.CancelQueryRequest) == [pb.CancelQueryRequest(query_id=QUERY_ID, force=True)]


@pytest.mark.parametrize("query_string", ["forced=true", "force=yes", "force=true&force=false"])
async def test_a_cancel_that_cannot_be_read_cancels_nothing(
    http: httpx.AsyncClient, engine: FakeQueryService, query_string: str
) -> None:
    response = await http.delete(f"/api/queries/{QUERY_ID}?{query_string}")

    fields = [item["field"] for item in response.json()["errors"]]
    assert (response.status_code, fields, engine.asked(pb.CancelQueryRequest)) == (
        400,
        [query_string.split("=", maxsplit=1)[0]],
        [],
    )


async def test_retry_is_accepted(http: httpx.AsyncClient) -> None:
    response = await http.post(f"/api/queries/{QUERY_ID}/retry")

    assert (response.status_code, response.headers["Location"]) == (202, f"/api/queries/{QUERY_ID}")


async def test_retry_of_one_chunk_names_it(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    response = await http.post(f"/api/queries/{QUERY_ID}/retry?chunk=3")

    asked = engine.asked(pb.RetryQueryRequest)
    assert (response.status_code, asked) == (202, [pb.RetryQueryRequest(query_id=QUERY_ID, chunk_index=3)])


@pytest.mark.parametrize("query", ["chunk=-1", "chunk=x", "chunk=1&chunk=2", "part=1", "chunk="])
async def test_what_is_no_position_of_a_chunk_is_refused(http: httpx.AsyncClient, query: str) -> None:
    response = await http.post(f"/api/queries/{QUERY_ID}/retry?{query}")

    assert (response.status_code, response.json()["code"]) == (400, "INVALID_PARAMETER")


async def test_a_chunk_that_did_not_fail_is_named_as_it_was_asked_for(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.failures["RetryQuery"] = InvalidParameter("chunk_index", "is no chunk of the query that failed")

    response = await http.post(f"/api/queries/{QUERY_ID}/retry?chunk=99999999")

    assert (response.status_code, response.json()["errors"]) == (
        400,
        [{"field": "chunk", "description": "is no chunk of the query that failed"}],
    )


async def test_plan_names_the_chunks(http: httpx.AsyncClient) -> None:
    response = await http.post("/api/hold-history/plan", json=DATES)

    assert response.json()["parameters"] == DATES
    assert response.json()["chunks"][0]["cached"] is True


async def test_events_tell_each_change_and_end_with_the_query(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.changes = [RUNNING, RUNNING, DONE]

    response = await http.get(f"/api/queries/{QUERY_ID}/events")

    names = [line for line in response.text.splitlines() if line.startswith("event: ")]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert names == ["event: progress", "event: progress", "event: end"]


async def test_events_carry_the_query_as_json(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.changes = [DONE]

    response = await http.get(f"/api/queries/{QUERY_ID}/events")

    data = next(line for line in response.text.splitlines() if line.startswith("data: "))
    assert json.loads(data.removeprefix("data: "))["query_id"] == QUERY_ID


async def test_silence_is_filled_with_comments_until_the_process_stops(
    http: httpx.AsyncClient, gateway: Gateway, engine: FakeQueryService
) -> None:
    engine.changes = [RUNNING]
    reading = asyncio.create_task(http.get(f"/api/queries/{QUERY_ID}/events"))
    await asyncio.to_thread(engine.watched.wait, 10)
    # Longer than the keep-alive of these tests; nothing else tells from outside that silence has passed.
    await asyncio.to_thread(engine.left.wait, 0.3)

    gateway.patience.stop()

    assert ": still running" in (await asyncio.wait_for(reading, 5)).text


async def test_a_watch_that_breaks_ends_with_a_problem_event(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.failures["WatchQuery"] = NotFound("no longer there", reason="CACHE_EXPIRED")

    response = await http.get(f"/api/queries/{QUERY_ID}/events")

    assert response.text.startswith("event: problem")
    assert '"code":"CACHE_EXPIRED"' in response.text
