"""docs/errors.md says what the proto and the one table say, for every code, and so does every error class."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sluice_rpc.codes import CODES
from sluice_rpc.errors import ServiceError

ERROR_MODULES = [
    "sluice_rpc.errors",
    "sluice_warehouse.errors",
    "sluice_query_engine.errors",
    "sluice_cache.errors",
    "sluice_lineage.errors",
    "sluice_gateway.errors",
]
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
    assert {name: (code.status.name, code.http_status) for name, code in CODES.items()} == ROWS


def test_the_proto_names_the_same_statuses() -> None:
    assert {name: code.status.name for name, code in CODES.items()} == DECLARED


def test_the_page_has_a_sample_for_every_code() -> None:
    assert sorted(SAMPLES) == sorted(CODES)


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_sample_is_what_the_gateway_would_send(code: str) -> None:
    sample = json.loads(SAMPLES[code])

    assert (sample["type"], sample["code"]) == (f"/problems/{code}", code)
    assert (sample["status"], sample["title"]) == (CODES[code].http_status, CODES[code].title)
    assert sample["retry_after_s"] == CODES[code].retry_after_s
    assert (sample["retry_after_s"] is not None) == (sample["status"] in (429, 503))


def leaves(base: type[ServiceError]) -> Iterator[type[ServiceError]]:
    """Yield every class of the family below a base, in whatever package it lives."""
    for leaf in base.__subclasses__():
        yield leaf
        yield from leaves(leaf)


@pytest.mark.parametrize("module", ERROR_MODULES)
def test_every_error_class_has_the_grpc_status_of_its_code(module: str) -> None:
    importlib.import_module(module)
    named = [leaf for leaf in leaves(ServiceError) if leaf.__module__ == module and "reason" in vars(leaf)]
    assert {leaf.__name__: leaf.status for leaf in named} == {
        leaf.__name__: CODES[leaf.reason].status for leaf in named
    }
    assert named
