"""docs/requirements.md is true: a requirement is either proven by tests that exist, or listed as not yet met."""

from __future__ import annotations

import ast
import re

import pytest

from tests.repo.tree import ROOT, text_of

PAGE = text_of(ROOT / "docs" / "requirements.md")
ROWS: dict[str, list[str]] = {
    match["id"]: re.findall(r"`([^`\s]+::\w+)`", match["proofs"])
    for match in re.finditer(r"^\| (?P<id>[A-Z]\d+(?:\.\d+)?) \|[^|]+\|(?P<proofs>[^|]+)\|$", PAGE, re.MULTILINE)
}


def names_of_tests(path: str) -> set[str]:
    """Return the names of the tests of a module, methods of classes included."""
    tree = ast.parse(text_of(ROOT / path))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in functions if node.name.startswith("test_")}


def not_yet() -> list[str]:
    """Return the ids of the section `Not yet`."""
    section = PAGE.partition("\n## Not yet\n")[2]
    return re.findall(r"\b[A-Z]\d+(?:\.\d+)?\b", section)


@pytest.mark.parametrize("requirement", ROWS)
def test_a_listed_requirement_names_its_proof(requirement: str) -> None:
    assert ROWS[requirement] != []


@pytest.mark.parametrize("proof", sorted({proof for proofs in ROWS.values() for proof in proofs}))
def test_a_proof_is_a_test_that_exists(proof: str) -> None:
    path, _, name = proof.partition("::")
    assert (ROOT / path).is_file()
    assert name in names_of_tests(path)


def test_nothing_is_both_proven_and_not_yet() -> None:
    assert set(ROWS) & set(not_yet()) == set()


def test_no_requirement_is_listed_twice() -> None:
    ids = re.findall(r"^\| ([A-Z]\d+(?:\.\d+)?) \|[^|]+\|[^|]+\|$", PAGE, re.MULTILINE) + not_yet()
    assert sorted(ids) == sorted(set(ids))
