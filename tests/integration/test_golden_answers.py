"""The reviewed answers once more, over HTTP from the running suite: chunks, cache and wire must not change a digit.

The files are those of tests/golden, which that folder's own tests hold against the twin's judge.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import httpx
import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "hold-history"
VIEWS = ("trend", "reason_pareto", "duration", "hours", "list")

Table = list[list[str]]


def reviewed(view: str) -> Table:
    """Return the reviewed lines of a view, header first."""
    return list(csv.reader(io.StringIO((GOLDEN / f"{view}.csv").read_text(encoding="utf-8"))))


def as_text(value: object) -> str:
    """Return a JSON value as the reviewed files write it."""
    return "" if value is None else str(value)


@pytest.fixture
def answered(http: httpx.Client) -> dict[str, Table]:
    """The suite's answer for each view, on the days of the reviewed trend and without any filter set."""
    days = [line[0] for line in reviewed("trend")[1:]]
    body = {"start_date": days[0], "end_date": days[-1]}
    started = http.post("/api/hold-history/query", json=body, headers={"Prefer": "wait=60"})
    assert started.status_code == 200, started.text
    asked = {"query_id": started.json()["query_id"], "view": list(VIEWS), "page_size": 200}
    answer = http.post("/api/hold-history/view", json=asked)
    assert answer.status_code == 200, answer.text
    return {
        name: [
            [column["name"] for column in view["columns"]],
            *([as_text(cell) for cell in row] for row in view["rows"]),
        ]
        for name, view in answer.json()["views"].items()
    }


@pytest.mark.parametrize("view", VIEWS)
def test_the_suite_answers_what_was_reviewed(view: str, answered: dict[str, Table]) -> None:
    assert answered[view] == reviewed(view)
