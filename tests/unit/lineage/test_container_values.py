"""What people type, read: the wildcard grammar, and what is refused by name."""

from __future__ import annotations

import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice.lineage.v1 import container_service_pb2 as pb
from sluice_lineage.containers.kinds import load_kinds
from sluice_lineage.containers.values import ValueLimits, Values, like_pattern
from sluice_rpc.errors import InvalidParameter, OutOfRange

KINDS = load_kinds()
LIMITS = ValueLimits(exact_count=5, pattern_count=2, prefix_length=2)


def read(kind: pb.ContainerKind.ValueType, *typed: str, limits: ValueLimits = LIMITS) -> Values:
    """Return the values as a request would have them."""
    values = Values(KINDS[kind], limits)
    values.add(typed)
    values.check()
    return values


def test_values_are_trimmed_and_blanks_and_repetitions_dropped() -> None:
    assert read(pb.CONTAINER_KIND_SERIAL_NUMBER, " FN1 ", "", "  ", "FN1", "FN2").names == ["FN1", "FN2"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (pb.CONTAINER_KIND_LOT_ID, "GA-1"),
        (pb.CONTAINER_KIND_WORK_ORDER, "GA-1"),
        (pb.CONTAINER_KIND_WAFER_LOT, "ga-1"),
        (pb.CONTAINER_KIND_SERIAL_NUMBER, "ga-1"),
    ],
)
def test_case_counts_for_wafer_lots_and_serials_only(kind: pb.ContainerKind.ValueType, name: str) -> None:
    assert read(kind, "ga-1").names == [name]


def test_a_value_typed_in_two_cases_is_one_where_case_does_not_matter() -> None:
    assert read(pb.CONTAINER_KIND_LOT_ID, "ga1", "GA1").typed == {"GA1": "ga1"}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("*", "has fewer than 2 characters before its *"),
        ("G*", "has fewer than 2 characters before its *"),
        ("*GA", "has fewer than 2 characters before its *"),
        ("GA*1*", "has more than one *"),
        ("GA'1", "holds a quote"),
        ('GA"1', "holds a quote"),
        ("GA`1", "holds a quote"),
        ("GA;1", "holds a semicolon"),
        ("GA--1", "holds a comment mark"),
        ("GA/*", "holds a comment mark"),
        ("GA*/", "holds a comment mark"),
        ("GA\x001", "holds a control character"),
        ("GA\n1", "holds a control character"),
        ("GA\x851", "holds a control character"),
        ("G" * 65, "is longer than 64 characters"),
    ],
)
def test_a_value_outside_the_grammar_is_refused_by_name(typed: str, said: str) -> None:
    with pytest.raises(InvalidParameter, match=re.escape(said)) as caught:
        read(pb.CONTAINER_KIND_LOT_ID, "GA1", typed)
    [violation] = caught.value.violations
    assert (violation.field, repr(typed[:40])[:-1] in violation.description) == ("values[1]", True)


@pytest.mark.parametrize("typed", ["GA*", "GA*1", "GA-*", "GA%", "GA_1", "GA\\1", "G", "GA/1", "晶圓*"])
def test_a_value_of_the_grammar_is_taken(typed: str) -> None:
    assert read(pb.CONTAINER_KIND_SERIAL_NUMBER, typed).names == [typed]


@pytest.mark.parametrize(
    ("kind", "typed", "hint"),
    [
        (pb.CONTAINER_KIND_WORK_ORDER, "GD1", "a GD order is of kind gd_work_order"),
        (pb.CONTAINER_KIND_WORK_ORDER, "XX*", "must begin with GA or GC"),
        (pb.CONTAINER_KIND_GD_WORK_ORDER, "ga1", "a GA or GC order is of kind work_order"),
        (pb.CONTAINER_KIND_GD_LOT_ID, "GA1", "any other lot is of kind lot_id"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_the_kind_to_take(
    kind: pb.ContainerKind.ValueType, typed: str, hint: str
) -> None:
    with pytest.raises(InvalidParameter, match=hint):
        read(kind, typed)


def test_every_value_at_fault_is_named_up_to_twenty() -> None:
    with pytest.raises(InvalidParameter) as caught:
        read(pb.CONTAINER_KIND_LOT_ID, *(f"*{number}" for number in range(30)))
    assert [one.field for one in caught.value.violations] == [f"values[{number}]" for number in range(20)]


def test_as_many_exact_values_and_patterns_as_allowed_are_taken() -> None:
    assert len(read(pb.CONTAINER_KIND_LOT_ID, *"ABCDE", "GA*", "GB*").names) == 7


@pytest.mark.parametrize(
    ("typed", "limit", "observed"), [(list("ABCDEF"), "5", "6"), (["GA*", "GB*", "GC*"], "2", "3")]
)
def test_one_value_more_is_too_many_ids(typed: list[str], limit: str, observed: str) -> None:
    with pytest.raises(OutOfRange) as caught:
        read(pb.CONTAINER_KIND_LOT_ID, *typed)
    assert caught.value.reason == "TOO_MANY_IDS"
    assert caught.value.metadata == {"limit": limit, "observed": observed}


def test_values_count_across_the_messages_of_a_request() -> None:
    values = Values(KINDS[pb.CONTAINER_KIND_LOT_ID], LIMITS)
    values.add("ABC")
    with pytest.raises(OutOfRange):
        values.add("DEF")


@given(st.text("GA%_\\*x", min_size=2, max_size=8), st.text("GA%_\\x", max_size=10))
def test_only_the_wildcard_of_a_pattern_stands_for_anything(name: str, text: str) -> None:
    meant = "".join(".*" if one == "*" else re.escape(one) for one in name)
    [found] = duckdb.execute("select ? like ? escape '\\'", [text, like_pattern(name)]).fetchone() or ()
    assert found == bool(re.fullmatch(meant, text, re.DOTALL))
