"""The deterministic id of parameters."""

from __future__ import annotations

import re
from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from sluice_query_engine.planning import canonical_json, compute_query_hash

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
LISTS = st.lists(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=6)


def test_the_hash_is_sixteen_lower_case_hex_characters() -> None:
    # B2.11
    assert re.fullmatch(r"[0-9a-f]{16}", compute_query_hash({"a": 1}))


def test_the_hash_of_known_parameters_never_changes() -> None:
    # Printed by `printf '{"a":1,"b":["x","y"]}' | sha256sum`; a change would orphan every stored query.
    assert compute_query_hash({"b": ["y", "x"], "a": 1}) == "4af3259836a1c825"


def test_key_order_does_not_count() -> None:
    assert compute_query_hash({"a": {"x": 1, "y": 2}, "b": 2}) == compute_query_hash({"b": 2, "a": {"y": 2, "x": 1}})


@given(values=LISTS, seed=st.randoms())
def test_list_order_and_repetition_do_not_count(values: list[object], seed: object) -> None:
    # B4.11
    shuffled = [*values, *values]
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert compute_query_hash({"v": shuffled}) == compute_query_hash({"v": values})


def test_lists_tuples_and_sets_mean_the_same() -> None:
    assert canonical_json(["b", "a"]) == canonical_json(("a", "b")) == canonical_json({"a", "b"})


def test_a_number_and_its_text_differ() -> None:
    assert compute_query_hash({"v": 1}) != compute_query_hash({"v": "1"})


def test_true_and_one_differ() -> None:
    assert compute_query_hash({"v": [True, 1]}) != compute_query_hash({"v": [1]})


def test_a_date_means_its_iso_text() -> None:
    assert compute_query_hash({"d": date(2025, 1, 2)}) == compute_query_hash({"d": "2025-01-02"})


def test_text_outside_ascii_is_kept() -> None:
    assert canonical_json({"v": "良率"}) == '{"v":"良率"}'


def test_lists_within_lists_and_objects_are_sets_too() -> None:
    one = {"filters": [{"reasons": ["b", "a", "a"]}, {"types": ("x",)}]}
    other = {"filters": ({"types": ["x", "x"]}, {"reasons": {"a", "b"}})}
    assert compute_query_hash(one) == compute_query_hash(other)


def test_texts_that_only_look_alike_differ() -> None:
    assert compute_query_hash({"v": "\u00e9"}) != compute_query_hash({"v": "e\u0301"})


@given(values=st.sets(st.integers() | st.text(max_size=5), max_size=8))
def test_a_member_more_is_another_hash(values: set[object]) -> None:
    assert compute_query_hash({"v": values}) != compute_query_hash({"v": {*values, "a member more"}})
