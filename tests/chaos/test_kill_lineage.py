"""SIGKILL lineage while it streams, or the cache behind it: callers are told, and no permit stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import duckdb
import httpx
import pytest

from tests.chaos.test_kill_one import await_return, kill
from tests.polling import poll_until
from tests.running_suite import RunningSuite, open_http

PATIENCE_S: Final = 60.0
STALLING: Final = [{"statement": "events.history", "hang_after_row_count": 1, "delay_s": 120}]
"""The first row comes, and then nothing for a while."""


@pytest.fixture(scope="module")
def moved_ids(mortal_suite: RunningSuite) -> list[str]:
    """Ids of containers that machines have worked on."""
    with duckdb.connect(str(mortal_suite.plant), read_only=True) as connection:
        rows = connection.execute("select distinct CONTAINERID from DWH.DW_MES_LOTWIPHISTORY order by 1 limit 20")
        return [str(container_id) for (container_id,) in rows.fetchall()]


@pytest.fixture
def patient_http(mortal_suite: RunningSuite) -> Iterator[httpx.Client]:
    with open_http(mortal_suite.url) as client:
        yield client


def held(http: httpx.Client) -> list[Any]:
    """The permits that lineage holds now; none while it is away."""
    shown = http.get("/api/ops/permits").json()["permits"]["lineage"]
    return [] if shown is None else list(shown["held"])


def history(suite: RunningSuite, ids: list[str]) -> httpx.Response:
    with open_http(suite.url) as client:
        return client.post("/api/events/history", json={"container_ids": ids, "refresh": True})


def asked(pool: ThreadPoolExecutor, suite: RunningSuite, ids: list[str]) -> Future[httpx.Response]:
    return pool.submit(history, suite, ids)


def test_who_was_streamed_events_is_told_that_lineage_is_gone_and_no_permit_stays(
    mortal_suite: RunningSuite, patient_http: httpx.Client, moved_ids: list[str]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with mortal_suite.faults(STALLING):
            answer = asked(pool, mortal_suite, moved_ids)
            poll_until(lambda: held(patient_http), PATIENCE_S, "the statement to run")
            old_pid = kill(mortal_suite, "lineage")
            told = answer.result(PATIENCE_S)
        await_return(mortal_suite, "lineage", old_pid)
    assert (told.status_code, told.json()["code"]) == (503, "SERVICE_UNAVAILABLE"), told.text
    assert "Retry-After" in told.headers
    poll_until(lambda: not held(patient_http), PATIENCE_S, "every permit to be back")
    again = history(mortal_suite, moved_ids)
    assert (again.status_code, again.json()["receipt"]["status"]) == (200, "complete"), again.text


def test_lineage_goes_on_without_the_cache(
    mortal_suite: RunningSuite, patient_http: httpx.Client, moved_ids: list[str]
) -> None:
    old_pid = kill(mortal_suite, "cache")
    events = history(mortal_suite, moved_ids)
    genealogy = patient_http.post("/api/lineage/genealogy", json={"container_ids": moved_ids})
    resolved = patient_http.post("/api/containers/resolve", json={"kind": "lot_id", "values": ["GA24*"]})
    await_return(mortal_suite, "cache", old_pid)
    assert [answer.status_code for answer in (events, genealogy, resolved)] == [200, 200, 200]
    assert {answer.json()["receipt"]["status"] for answer in (events, genealogy, resolved)} <= {"complete", "truncated"}
    poll_until(lambda: not held(patient_http), PATIENCE_S, "every permit to be back")


def test_a_cache_that_is_killed_while_an_answer_passes_by_costs_the_keeping_alone(
    mortal_suite: RunningSuite, patient_http: httpx.Client, moved_ids: list[str]
) -> None:
    stalling = [{**STALLING[0], "delay_s": 3}]
    with ThreadPoolExecutor(1) as pool:
        with mortal_suite.faults(stalling):
            answer = asked(pool, mortal_suite, moved_ids)
            poll_until(lambda: held(patient_http), PATIENCE_S, "the statement to run")
            old_pid = kill(mortal_suite, "cache")
            whole = answer.result(PATIENCE_S)
        await_return(mortal_suite, "cache", old_pid)
    body = whole.json()
    assert (whole.status_code, body["receipt"]["status"]) == (200, "complete"), whole.text
    assert body["kept"] is False and [one["code"] for one in body["warnings"]] == ["CACHE_UNAVAILABLE"]
