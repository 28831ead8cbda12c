"""Texts as numbers, judged by a dictionary."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from sluice_lineage.numbering import Numbering

TEXTS = st.lists(st.lists(st.one_of(st.none(), st.text("abé", max_size=40), st.text("01", min_size=16, max_size=16))))


@given(TEXTS)
def test_each_text_has_one_number_and_numbers_follow_each_other(lists: list[list[str | None]]) -> None:
    numbering, known = Numbering(), dict[str | None, int]()
    for texts in lists:
        numbers = numbering.number(pa.array(texts, pa.string())).tolist()
        assert all(known.setdefault(text, number) == number for text, number in zip(texts, numbers, strict=True))
    known.pop(None, None)
    assert sorted(known.values()) == list(range(len(numbering)))


@given(TEXTS)
def test_numbers_lead_back_to_their_texts(lists: list[list[str | None]]) -> None:
    numbering = Numbering()
    numbers = [numbering.number(pa.array(texts, pa.string())) for texts in lists]
    assert [numbering.texts(each).to_pylist() for each in numbers] == lists


@given(st.lists(st.text("abcé", max_size=30), unique=True))
def test_the_order_is_that_of_the_bytes(texts: list[str]) -> None:
    numbering = Numbering()
    numbers = numbering.number(pa.array(texts, pa.string()))
    ordered = numbering.texts(numbers[numbering.order(numbers)]).to_pylist()
    assert ordered == sorted(texts, key=str.encode)


def test_a_slice_of_an_array_is_read_from_where_it_starts() -> None:
    numbering = Numbering()
    assert numbering.number(pa.array(["a", "b", None, "a"]).slice(1)).tolist() == [0, -1, 1]


def test_a_million_ids_are_found_again() -> None:
    ids = pa.array(np.strings.zfill(np.arange(1_000_000).astype("S16"), 16).astype("U16"))
    numbering = Numbering()
    first = numbering.number(ids)
    assert (first == numbering.number(ids)).all()
