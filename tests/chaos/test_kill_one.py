"""SIGKILL one process of a running suite: the others answer at once, it comes back, the next request works."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import httpx
import pytest

from tests.polling import poll_until
from tests.running_suite import RunningSuite

Json = dict[str, Any]

BODY = {"start_date": "2025-03-01", "end_date": "2025-08-31"}
AT_ONCE_S = 5.0
BACK_S = 120.0
PROCESSES = ["redis", "cache", "lineage", "query-engine", "gateway"]
BEHIND_VIEWS = ["cache", "query-engine"]
BESIDE_VIEWS = ["redis", "lineage"]


def post(http: httpx.Client) -> httpx.Response:
    return http.post("/api/hold-history/query", json=BODY, headers={"Prefer": "wait=9"})


def look(http: httpx.Client, query_id: str) -> httpx.Response:
    return http.get("/api/hold-history/view", params={"query_id": query_id, "view": "trend"})


def kill(suite: RunningSuite, name: str) -> int:
    pid = suite.pids()[name]
    os.kill(pid, signal.SIGKILL)
    return pid


def await_return(suite: RunningSuite, name: str, old_pid: int) -> None:
    """Wait until the process has another id and the gateway calls everything ready."""
    poll_until(lambda: suite.pids().get(name, old_pid) != old_pid, BACK_S, f"a new {name}")
    poll_until(lambda: ready(suite.url), BACK_S, "readiness")


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=2.0, trust_env=False, verify=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_comes_back_and_the_next_query_works(
    mortal_suite: RunningSuite, mortal_http: httpx.Client, name: str
) -> None:
    old_pid = kill(mortal_suite, name)
    await_return(mortal_suite, name, old_pid)
    answer = post(mortal_http)
    assert (answer.status_code, answer.json()["receipt"]["status"]) == (200, "complete"), answer.text


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_comes_back_and_the_next_view_works(
    mortal_suite: RunningSuite, mortal_http: httpx.Client, name: str
) -> None:
    query_id = post(mortal_http).json()["query_id"]
    old_pid = kill(mortal_suite, name)
    await_return(mortal_suite, name, old_pid)
    answer = look(mortal_http, query_id)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", BEHIND_VIEWS)
def test_without_it_a_view_is_a_typed_error_at_once(
    mortal_suite: RunningSuite, mortal_http: httpx.Client, name: str
) -> None:
    query_id = post(mortal_http).json()["query_id"]
    old_pid = kill(mortal_suite, name)
    asked_at = time.monotonic()
    answer = look(mortal_http, query_id)
    took_s = time.monotonic() - asked_at
    await_return(mortal_suite, name, old_pid)
    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE"), answer.text
    assert "Retry-After" in answer.headers
    assert took_s < AT_ONCE_S


@pytest.mark.parametrize("name", BESIDE_VIEWS)
def test_without_it_a_view_goes_on(mortal_suite: RunningSuite, mortal_http: httpx.Client, name: str) -> None:
    query_id = post(mortal_http).json()["query_id"]
    old_pid = kill(mortal_suite, name)
    asked_at = time.monotonic()
    answer = look(mortal_http, query_id)
    took_s = time.monotonic() - asked_at
    await_return(mortal_suite, name, old_pid)
    assert answer.status_code == 200, answer.text
    assert took_s < AT_ONCE_S


@pytest.mark.parametrize("name", BESIDE_VIEWS)
def test_without_it_a_new_query_goes_on(mortal_suite: RunningSuite, mortal_http: httpx.Client, name: str) -> None:
    old_pid = kill(mortal_suite, name)
    headers = {"Prefer": "wait=9", "Cache-Control": "no-cache"}
    answer = mortal_http.post("/api/hold-history/query", json=BODY, headers=headers)
    await_return(mortal_suite, name, old_pid)
    assert (answer.status_code, answer.json()["receipt"]["status"]) == (200, "complete"), answer.text


@pytest.mark.parametrize("name", ["cache", "lineage", "query-engine", "redis"])
def test_the_gateway_stays_alive(mortal_suite: RunningSuite, mortal_http: httpx.Client, name: str) -> None:
    old_pid = kill(mortal_suite, name)
    alive = mortal_http.get("/health/live")
    await_return(mortal_suite, name, old_pid)
    assert alive.status_code == 200


def test_a_query_whose_engine_was_killed_is_finished_by_the_next_request(
    mortal_suite: RunningSuite, mortal_http: httpx.Client
) -> None:
    body = {"start_date": "2024-02-01", "end_date": "2024-12-31"}
    with mortal_suite.faults([{"statement": "slice", "start_time": "2024-06-03T07:30:00", "delay_s": 60}]):
        started = mortal_http.post("/api/hold-history/query", json=body, headers={"Prefer": "wait=0"})
        assert started.status_code == 202, started.text
        old_pid = kill(mortal_suite, "query-engine")
        await_return(mortal_suite, "query-engine", old_pid)
    answer = mortal_http.post("/api/hold-history/query", json=body, headers={"Prefer": "wait=9"})
    assert (answer.status_code, answer.json()["receipt"]["status"]) == (200, "complete"), answer.text
