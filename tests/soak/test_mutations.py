"""Each proof of a requirement of the batch engine turns red on a mistake made in the code it watches."""

from __future__ import annotations

import pytest

from tests.soak.mutation import MutableCopy, Mutation, mutations

PASSED, FAILED = 0, 1


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> MutableCopy:
    """A copy of the repository for the whole module."""
    return MutableCopy(tmp_path_factory.mktemp("mutable"))


@pytest.mark.parametrize("test", sorted({mutation.test for mutation in mutations()}))
def test_a_proof_is_green_on_the_code_as_it_is(copy: MutableCopy, test: str) -> None:
    assert copy.exit_code_of(test) == PASSED


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.requirement)
def test_a_proof_turns_red_on_its_mistake(copy: MutableCopy, mutation: Mutation) -> None:
    with copy.broken(mutation):
        assert copy.exit_code_of(mutation.test) == FAILED
