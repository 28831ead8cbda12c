"""Merges that were read whole, beside those that were read for some keys."""

from __future__ import annotations

import pyarrow as pa
import pytest
from sluice_lineage.edge_memory import Lifetimes, MemoryEdges
from sluice_lineage.edges import MERGE_SCHEMA, EdgeBatch, Relation

Merge = tuple[str, str]


@pytest.fixture
def store() -> MemoryEdges:
    return MemoryEdges(Lifetimes(settled_s=86_400, moving_s=900))


def read(store: MemoryEdges, merges: list[Merge], keys: list[str] | None, read_s: float) -> None:
    targets, sources = [target for target, _ in merges], [source for _, source in merges]
    rows = pa.table([targets, sources, [f"F-{source}" for source in sources]], schema=MERGE_SCHEMA)
    store.add(EdgeBatch(Relation.SOURCES, rows, None if keys is None else pa.array(keys, pa.string()), read_s))


def found(store: MemoryEdges, relation: Relation, key: str) -> list[str]:
    pairs = store.neighbours(relation, store.number(pa.array([key])))
    return sorted(store.ids(pairs.nodes).to_pylist())


def test_all_merges_answer_in_both_directions_and_with_serials(store: MemoryEdges) -> None:
    read(store, [("combined", "one"), ("combined", "two"), ("other", "two")], None, 100)
    serials = store.serials_of(store.number(pa.array(["two"])))
    assert (found(store, Relation.SOURCES, "combined"), found(store, Relation.TARGETS, "two")) == (
        ["one", "two"],
        ["combined", "other"],
    )
    assert set(store.serials(serials.nodes).to_pylist()) == {"F-two"}


def test_what_all_merges_do_not_name_is_known_to_have_none(store: MemoryEdges) -> None:
    read(store, [("combined", "one")], None, 100)
    keys = store.number(pa.array(["nobody"]))
    assert not store.unknown(Relation.SOURCES, keys, 101).any()
    assert found(store, Relation.SOURCES, "nobody") == []


def test_a_key_that_was_read_after_all_merges_keeps_what_was_read_last(store: MemoryEdges) -> None:
    read(store, [("combined", "one")], None, 100)
    read(store, [("combined", "two")], ["combined"], 200)
    assert found(store, Relation.SOURCES, "combined") == ["two"]


def test_all_merges_replace_what_was_read_before(store: MemoryEdges) -> None:
    read(store, [("combined", "two")], ["combined", "gone"], 100)
    read(store, [("combined", "one")], None, 200)
    assert (found(store, Relation.SOURCES, "combined"), found(store, Relation.SOURCES, "gone")) == (["one"], [])


def test_older_merges_do_not_replace_all_that_were_read_later(store: MemoryEdges) -> None:
    read(store, [("combined", "one")], None, 200)
    read(store, [("combined", "two")], None, 100)
    assert found(store, Relation.SOURCES, "combined") == ["one"]
    assert store.oldest(Relation.SOURCES, store.number(pa.array(["combined"]))) == 200
