"""The mistakes of `tests/soak/mutations.toml` fit the sources, and every requirement of the batch engine has one."""

from __future__ import annotations

import re

import pytest

from tests.repo import mutations_table
from tests.repo.test_requirements import ROWS
from tests.repo.tree import ROOT, text_of
from tests.soak.mutation import Mutation, mutations

BATCH_ENGINE = [requirement for requirement in ROWS if re.fullmatch(r"B[24]\.\d+", requirement)]


def test_every_requirement_of_the_batch_engine_has_a_mistake() -> None:
    assert set(BATCH_ENGINE) - {mutation.requirement for mutation in mutations()} == set()


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.requirement)
def test_a_mistake_changes_one_place(mutation: Mutation) -> None:
    assert text_of(ROOT / mutation.file).count(mutation.find) == 1
    assert mutation.find != mutation.put


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.requirement)
def test_a_mistake_is_seen_by_a_proof_of_its_requirement(mutation: Mutation) -> None:
    assert mutation.test in ROWS[mutation.requirement]


@pytest.mark.parametrize("requirement", BATCH_ENGINE)
def test_a_proof_names_its_requirement(requirement: str) -> None:
    paths = {proof.partition("::")[0] for proof in ROWS[requirement]}
    named = rf"\b{re.escape(requirement)}\b(?!\.\d)"
    assert [path for path in paths if re.search(named, text_of(ROOT / path))] != []


def test_the_page_shows_the_table_as_it_is() -> None:
    assert text_of(mutations_table.PAGE) == mutations_table.page()
