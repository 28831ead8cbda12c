"""docs/errors.md says what the proto and the gateway's table say, for every code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sluice_gateway.problems import PROBLEM_TYPES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
PROTO = (ROOT / "protos/sluice/error/v1/error_code.proto").read_text(encoding="utf-8")

MEMBERS = re.findall(r"^  // ([A-Z_]+)\. .*\n(?:  // .*\n)*  ERROR_CODE_([A-Z_]+) = \d+;", PROTO, re.MULTILINE)
DECLARED = {code: status for status, code in MEMBERS}
ROWS = {
    code: (status, int(http_status))
    for code, status, http_status in re.findall(
        r"^\| \[`([A-Z_]+)`\]\([^)]+\) \| ([A-Z_]+) \| (\d+) \|", PAGE, re.MULTILINE
    )
}
SAMPLES = dict(re.findall(r"^### ([A-Z_]+)\n\n```json\n(.*?)\n```", PAGE, re.MULTILINE | re.DOTALL))


def test_the_page_has_a_row_for_every_code_with_both_statuses() -> None:
    assert {code: (status, PROBLEM_TYPES[code].http_status) for code, status in DECLARED.items()} == ROWS


def test_the_page_has_a_sample_for_every_code() -> None:
    assert sorted(SAMPLES) == sorted(PROBLEM_TYPES)


@pytest.mark.parametrize("code", sorted(PROBLEM_TYPES))
def test_a_sample_is_what_the_gateway_would_send(code: str) -> None:
    sample = json.loads(SAMPLES[code])

    assert (sample["type"], sample["code"]) == (f"/problems/{code}", code)
    assert (sample["status"], sample["title"]) == (PROBLEM_TYPES[code].http_status, PROBLEM_TYPES[code].title)
    assert (sample["retry_after_s"] is not None) == (sample["status"] in (429, 503))
