"""Page tokens of lists."""

from __future__ import annotations

import pytest
from sluice_query_engine.paging import decode_token, encode_token, page_size_of
from sluice_rpc.errors import InvalidParameter


@pytest.mark.parametrize(("asked", "used"), [(0, 50), (1, 1), (200, 200), (5000, 200)])
def test_page_sizes_are_bounded(asked: int, used: int) -> None:
    assert page_size_of(asked) == used


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="page_size"):
        page_size_of(-1)


def test_a_token_says_after_which_entry_the_page_begins() -> None:
    assert decode_token(encode_token("hold-history", "ListDatasets 50"), "ListDatasets 50") == "hold-history"


def test_no_token_is_the_first_page() -> None:
    assert decode_token("", "ListDatasets 50") == ""


@pytest.mark.parametrize("token", ["x", "!!!!", "aG9sZA==", "Ä"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidParameter, match="page_token"):
        decode_token(token, "ListDatasets 50")


def test_a_token_is_bound_to_the_other_arguments() -> None:
    with pytest.raises(InvalidParameter, match="other arguments"):
        decode_token(encode_token("hold-history", "ListDatasets 50"), "ListDatasets 10")
