"""Ids as one Arrow array are the texts they were made of."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from sluice_query_engine.execution.id_sets import IdSets
from sluice_query_engine.planning.packed_ids import PackedIds

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=30)
YEAR = [f"lot-{number:06}" for number in range(2500)]


@given(TEXTS)
def test_packed_ids_are_in_the_order_of_texts_and_each_there_once(texts: list[str]) -> None:
    assert list(PackedIds.of(texts)) == sorted(set(texts))


@given(TEXTS, TEXTS)
def test_packed_ids_are_equal_where_their_texts_are(one: list[str], other: list[str]) -> None:
    packed, texts = PackedIds.of(one), tuple(sorted(set(other)))
    assert (packed == texts) == (packed == PackedIds.of(other)) == (set(one) == set(other))
    assert hash(packed) == hash(tuple(packed))


def test_packed_ids_are_not_equal_to_what_is_no_list_of_texts() -> None:
    assert PackedIds.of(["1"]) != [1]


def test_batches_hold_every_id_once_and_copy_none() -> None:
    packed = PackedIds.of(YEAR)
    batches = packed.batches(1000)
    assert [len(batch) for batch in batches] == [1000, 1000, 500]
    assert [one for batch in batches for one in batch] == YEAR
    assert {batch.array.buffers()[2].address for batch in batches} == {packed.array.buffers()[2].address}


@given(TEXTS, TEXTS)
def test_parted_ids_are_together_all_of_them(wanted: list[str], known: list[str]) -> None:
    among, others = PackedIds.of(wanted).parted(known)
    assert list(among) == sorted(set(wanted) & set(known))
    assert list(others) == sorted(set(wanted) - set(known))


def test_an_id_is_a_text_and_a_slice_is_packed() -> None:
    packed = PackedIds.of(YEAR)
    assert (packed[0], packed[-1], len(packed)) == (YEAR[0], YEAR[-1], 2500)
    assert packed[10:12] == YEAR[10:12]
    assert isinstance(packed[10:12].array, pa.StringArray)


def test_sets_of_ids_are_named_as_before_they_were_packed() -> None:
    # A frame of them that an earlier version kept is found.
    assert IdSets({0: YEAR, 3: ["é", "b"]}).frame_id == "ids-91e65f9561af4cf5df17b0144205d927"
