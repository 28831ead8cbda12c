"""One chunk of a year fails: every answer names the range until a re-query reads exactly that chunk."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.running_suite import RunningSuite
from tests.unread import forget

Json = dict[str, Any]

BODY = {"start_date": "2024-06-01", "end_date": "2025-05-31"}
FAILED = {"part": "slice", "start": "2024-07-01T07:30:00", "end": "2024-08-01T07:30:00", "code": "WAREHOUSE_ERROR"}
"""The second chunk: the first starts at 2024-05-31 07:30 and is 31 days wide."""


@dataclass(frozen=True)
class Partial:
    """The answer with a missing chunk, and looks at it."""

    answer: Json
    view: Json
    export: pa.Table
    csv_text: str


def post(http: httpx.Client) -> Json:
    response = http.post("/api/hold-history/query", json=BODY, headers={"Prefer": "wait=60"})
    assert response.status_code == 200, response.text
    body: Json = response.json()
    return body


@pytest.fixture(scope="module")
def partial(suite: RunningSuite, shared_http: httpx.Client) -> Partial:
    """The year, asked while the statement of one chunk fails."""
    forget(suite, "hold-history", BODY)
    with suite.faults([{"statement": "slice", "start_time": FAILED["start"], "code": "WAREHOUSE_ERROR"}]):
        answer = post(shared_http)
    query = {"query_id": answer["query_id"], "hold_type": "all"}
    view = shared_http.get("/api/hold-history/view", params=query | {"view": "trend"}).json()
    rows = shared_http.get("/api/hold-history/export", params=query | {"format": "arrow"})
    text = shared_http.get("/api/hold-history/export", params=query | {"format": "csv"}).text
    with pa.ipc.open_stream(rows.content) as reader:
        return Partial(answer, view, reader.read_all(), text)


@pytest.fixture(scope="module")
def shared_http(suite: RunningSuite) -> Iterator[httpx.Client]:
    """An HTTP client for the module."""
    with httpx.Client(base_url=suite.url, timeout=60.0, trust_env=False, verify=False) as client:
        yield client


@dataclass(frozen=True)
class Refilled:
    """The same question asked again, and what the warehouse saw of it."""

    answer: Json
    statements: list[Json]


@pytest.fixture(scope="module")
def refilled(suite: RunningSuite, partial: Partial, shared_http: httpx.Client) -> Refilled:
    """The year, asked again without the fault."""
    before = suite.statements.count()
    answer = post(shared_http)
    return Refilled(answer, suite.statements.since(before))


def test_the_first_answer_names_the_range(partial: Partial) -> None:
    assert partial.answer["receipt"]["failed_ranges"] == [FAILED]


def test_the_first_answer_says_that_it_is_partial(partial: Partial) -> None:
    assert (partial.answer["status"], partial.answer["receipt"]["status"]) == ("partial", "partial")


def test_a_later_view_names_the_range(partial: Partial) -> None:
    assert partial.view["receipt"]["failed_ranges"] == [FAILED]


def test_the_export_carries_the_receipt_in_its_schema(partial: Partial) -> None:
    assert FAILED["start"] in partial.export.schema.metadata[b"sluice.receipt"].decode()


def test_the_csv_export_ends_with_what_is_missing(partial: Partial) -> None:
    last_row = list(csv.reader(io.StringIO(partial.csv_text)))[-1]
    assert FAILED["start"] in last_row[0]


def test_no_row_of_the_range_is_in_the_export(partial: Partial) -> None:
    hold_times = [str(value.isoformat()) for value in partial.export["hold_time"].to_pylist()]
    assert [value for value in hold_times if FAILED["start"] <= value < FAILED["end"]] == []


def test_asking_again_reads_that_chunk_alone(refilled: Refilled) -> None:
    (statement,) = refilled.statements
    assert statement["binds"]["start_time"] == FAILED["start"]
    assert statement["binds"]["end_time"] == FAILED["end"]


def test_the_refilled_answer_is_complete_and_has_more_rows(partial: Partial, refilled: Refilled) -> None:
    receipt = refilled.answer["receipt"]
    assert (receipt["status"], receipt["failed_ranges"]) == ("complete", [])
    assert receipt["row_count"] > partial.answer["receipt"]["row_count"]


def test_the_id_stays_the_same(partial: Partial, refilled: Refilled) -> None:
    assert refilled.answer["query_id"] == partial.answer["query_id"]
