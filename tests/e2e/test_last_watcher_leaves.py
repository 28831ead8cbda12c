"""The browser tab that watched a query is closed: over all processes, its statement ends in the warehouse."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.polling import poll_until
from tests.running_suite import RunningSuite, open_http, running_suite

HANGING = {"start_date": "2025-02-01", "end_date": "2025-02-10"}
OTHER = {"start_date": "2025-06-01", "end_date": "2025-06-10"}
ONE_PERMIT = {"query-engine": {"SLUICE_PERMIT_SHARES": "query-engine=1"}}
STOPS_WITHIN_S = 5.0


@pytest.fixture(scope="module")
def suite_of_one_permit(
    redis_program: Path, twin_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSuite]:
    """A suite whose engine runs one chunk at a time, so that a permit that did not come back stops everything."""
    with running_suite(tmp_path_factory.mktemp("watched"), twin_path, redis_program, ONE_PERMIT) as suite:
        yield suite


def outcomes(suite: RunningSuite) -> list[str]:
    """Return how the statements that ended did so, in order."""
    lines = [json.loads(line) for line in suite.statements.path.read_text(encoding="utf-8").splitlines()]
    return [line["outcome"] for line in lines if "outcome" in line]


def test_the_statement_is_cancelled_and_its_permit_is_back_within_seconds(suite_of_one_permit: RunningSuite) -> None:
    suite = suite_of_one_permit
    hangs = [{"statement": part, "delay_s": 60, "hang_after_row_count": 1} for part in ("slice", "carry_in")]
    with open_http(suite.url) as http, suite.faults(hangs):
        started = http.post("/api/hold-history/query", json=HANGING, headers={"Prefer": "wait=0"})
        query_id = started.json()["query_id"]
        with http.stream("GET", f"/api/queries/{query_id}/events") as watched:
            # Nobody but the stream looks: a look of its own would keep the query for a minute.
            assert any(rows_came(line) for line in watched.iter_lines())
        left = time.monotonic()
        poll_until(lambda: "cancelled" in outcomes(suite), STOPS_WITHIN_S, "the statement to be cancelled")
    with open_http(suite.url) as http:
        answer = http.post("/api/hold-history/query", json=OTHER, headers={"Prefer": "wait=10"})
    assert time.monotonic() - left < 2 * STOPS_WITHIN_S
    assert (answer.status_code, answer.json()["receipt"]["status"]) == (200, "complete")


def rows_came(line: str) -> bool:
    """Return whether an event tells of rows of a chunk that has not ended."""
    event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
    chunks = event.get("progress", {}).get("chunks", [])
    return any(chunk["state"] == "running" and chunk["row_count"] > 0 for chunk in chunks)
