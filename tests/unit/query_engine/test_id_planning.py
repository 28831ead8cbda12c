"""What of a set of ids is read, given what is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_query_engine.planning.id_extents import IdExtent, cover_ids
from sluice_query_engine.planning.plan import Plan, describe_plan
from sluice_query_engine.planning.planner import CutRule, IdDemand, with_ids

NOW = datetime(2025, 12, 31, 8, tzinfo=UTC)
RULE = CutRule(direct_max_days=60, grain_days=31)
NOTHING = Plan(None, None, ())

NUMBERS = st.frozensets(st.integers(0, 30), max_size=20)


def names(numbers: frozenset[int] | range) -> list[str]:
    return [f"id{number:05}" for number in numbers]


def extent(numbers: frozenset[int] | range, *, age_s: int = 0, fresh_s: int = 300, truncated: bool = False) -> IdExtent:
    read = NOW - timedelta(seconds=age_s)
    frame_id = f"frame-{min(numbers, default=0)}-{len(numbers)}-{age_s}"
    return IdExtent("holds", frozenset(names(numbers)), frame_id, read, NOW + timedelta(seconds=fresh_s), truncated)


def plan(wanted: list[str], extents: list[IdExtent], rule: CutRule = RULE) -> Plan:
    return with_ids(NOTHING, IdDemand("holds", wanted, extents), rule, NOW)


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (1000, [1000]), (1001, [1000, 1]), (2500, [1000, 1000, 500])]
)
def test_ids_are_cut_above_a_thousand(count: int, sizes: list[int]) -> None:
    # B4.2
    assert [len(chunk.ids) for chunk in plan(names(range(count)), []).missing] == sizes


def test_a_set_that_shares_nine_tenths_reads_a_tenth_in_full_batches() -> None:
    there = [extent(range(start, start + 1000)) for start in range(0, 18_000, 1000)]
    found = plan(names(range(18_000)) + names(range(50_000, 52_000)), there)
    assert [len(chunk.ids) for chunk in found.missing] == [1000, 1000]


def test_a_plan_holds_the_ids_of_what_is_there_once_and_says_whether_they_are_all() -> None:
    there = [extent(range(1000)), extent(range(1000, 2000))]
    chunks = plan(names(range(1500)), there).chunks
    assert [(len(chunk.ids), chunk.whole) for chunk in chunks] == [(1000, True), (500, False)]
    assert [chunk.extent.ids for chunk in chunks if isinstance(chunk.extent, IdExtent)] == [frozenset()] * 2


def test_the_plan_says_that_it_cuts_and_why() -> None:
    assert describe_plan(plan(names(range(1500)), [])) == (
        "0 of 2 chunks were there; 1 × 1000 ids, 1 × 500 ids read; more than 1000 ids are read 1000 at a time"
    )


def test_the_plan_does_not_speak_of_cutting_where_it_does_not() -> None:
    assert describe_plan(plan(names(range(7)), [])) == "0 of 1 chunks were there; 1 × 7 ids read"


def test_of_two_readings_of_the_same_ids_the_later_is_shown() -> None:
    [piece] = cover_ids(names(range(5)), [extent(range(5), age_s=60), extent(range(5))]).slices
    assert piece.extent.read_time == NOW


def test_what_was_cut_or_is_stale_covers_nothing() -> None:
    there = [extent(range(5), truncated=True), extent(range(5), fresh_s=0)]
    assert plan(names(range(5)), there).missing[0].ids == tuple(names(range(5)))


@given(wanted=NUMBERS, there=st.lists(NUMBERS, max_size=6), direct=st.integers(1, 10), size=st.integers(1, 10))
def test_every_id_is_in_one_chunk_and_none_that_is_there_is_read(
    wanted: frozenset[int], there: list[frozenset[int]], direct: int, size: int
) -> None:
    extents = [extent(numbers, age_s=age) for age, numbers in enumerate(there)]
    found = plan(names(wanted), extents, CutRule(60, 31, direct, size))
    assert sorted(name for chunk in found.chunks for name in chunk.ids) == sorted(names(wanted))
    covered = {name for item in extents for name in item.ids}
    assert {name for chunk in found.missing for name in chunk.ids} == set(names(wanted)) - covered
    assert all(chunk.extent is None or chunk.extent.frame_id for chunk in found.chunks)
