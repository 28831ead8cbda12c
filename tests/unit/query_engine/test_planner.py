"""What a query reads, given what is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from sluice_query_engine.planning import TimeRange
from sluice_query_engine.planning.extents import Extent, cover, usable
from sluice_query_engine.planning.plan import Plan, describe_plan, outcome_sentence
from sluice_query_engine.planning.planner import CutRule, PartShape, plan_query

NOW = datetime(2025, 12, 31, 8, tzinfo=UTC)
DAY0 = datetime(2025, 1, 1, 7, 30)
RULE = CutRule(direct_max_days=60, grain_days=31)
PARTS = (PartShape("slice", "time"), PartShape("carry_in", "start"))


def days(start: int, end: int) -> TimeRange:
    return TimeRange(DAY0 + timedelta(days=start), DAY0 + timedelta(days=end))


def extent(part: str, start: int, end: int | None, **more: object) -> Extent:
    last = None if end is None else DAY0 + timedelta(days=end)
    facts: dict[str, object] = {"read_time": NOW, "fresh_until_time": NOW + timedelta(minutes=5), **more}
    return Extent(part, DAY0 + timedelta(days=start), last, f"{part}-{start}-{end}", **facts)  # type: ignore[arg-type]


def plan(wanted: TimeRange, extents: list[Extent], rule: CutRule = RULE) -> Plan:
    return plan_query(wanted, PARTS, extents, rule, NOW)


def settled_until(day: int, seconds: int = 0) -> CutRule:
    """The rule while what ends by an instant is settled."""
    return replace(RULE, settled_until=DAY0 + timedelta(days=day, seconds=seconds))


def stored(done: Plan) -> list[Extent]:
    """The extents that running a plan leaves behind."""
    return [
        chunk.extent
        if isinstance(chunk.extent, Extent)
        else Extent(chunk.part, chunk.start, chunk.end, f"frame-{chunk.index}", NOW, NOW + timedelta(minutes=5))
        for chunk in done.chunks
        if chunk.start is not None
    ]


def missing(found: Plan) -> list[tuple[str, int]]:
    return [(chunk.part, chunk.days) for chunk in found.missing]


def test_a_cold_year_is_cut_into_twelve_slices_and_one_carry_in() -> None:
    assert missing(plan(days(0, 365), [])) == [("slice", 31)] * 11 + [("slice", 24), ("carry_in", 0)]


def test_sixty_days_are_read_by_one_statement_and_sixty_one_are_cut() -> None:
    assert missing(plan(days(0, 60), [])) == [("slice", 60), ("carry_in", 0)]
    assert missing(plan(days(0, 61), [])) == [("slice", 31), ("slice", 30), ("carry_in", 0)]


def test_moving_the_end_by_a_week_reads_one_week() -> None:
    found = plan(days(0, 372), stored(plan(days(0, 365), [])))
    assert missing(found) == [("slice", 7)]
    assert describe_plan(found) == "13 of 14 chunks were there; 1 × 7 days read"


def test_a_later_start_reads_nothing() -> None:
    found = plan(days(40, 365), stored(plan(days(0, 365), [])))
    assert (missing(found), found.read_from) == ([], days(0, 1).start)
    assert describe_plan(found) == "13 of 13 chunks were there; nothing read"


def test_an_earlier_start_reads_those_days_and_one_carry_in() -> None:
    assert missing(plan(days(-10, 365), stored(plan(days(0, 365), [])))) == [("slice", 10), ("carry_in", 0)]


def test_the_latest_carry_in_that_costs_nothing_is_taken() -> None:
    there = [extent("slice", 0, 100), extent("carry_in", 0, None), extent("carry_in", 20, None)]
    assert plan(days(30, 100), there).read_from == days(20, 21).start


def test_a_carry_in_behind_a_gap_is_not_taken_when_sizes_are_unknown() -> None:
    there = [extent("slice", 0, 10), extent("slice", 20, 100), extent("carry_in", 0, None)]
    found = plan(days(30, 100), there)
    assert (found.read_from, missing(found)) == (days(20, 21).start, [("carry_in", 0)])


def test_a_gap_with_fewer_rows_than_the_carry_in_is_read_in_its_place() -> None:
    there = [extent("slice", 2, 102, row_count=1000), extent("carry_in", 0, None, row_count=21)]
    found = plan(days(30, 100), there)
    assert (found.read_from, missing(found)) == (days(0, 1).start, [("slice", 2)])


def test_a_gap_with_as_many_rows_as_the_carry_in_is_not_read_in_its_place() -> None:
    there = [extent("slice", 2, 102, row_count=1000), extent("carry_in", 0, None, row_count=20)]
    assert missing(plan(days(30, 100), there)) == [("carry_in", 0)]


def test_a_carry_in_further_back_than_the_range_is_long_is_not_reached_for_over_a_gap() -> None:
    there = [extent("slice", 2, 102, row_count=1000), extent("carry_in", 0, None, row_count=500)]
    assert missing(plan(days(60, 100), there)) == [("carry_in", 0)]


def test_a_new_carry_in_is_read_where_it_serves_every_start_that_chunks_reach_back_to() -> None:
    first = plan(days(30, 100), [extent("slice", 0, 40), extent("slice", 40, 100)])
    assert (first.read_from, missing(first)) == (days(0, 1).start, [("carry_in", 0)])
    assert missing(plan(days(10, 100), stored(first))) == []


def test_a_new_carry_in_lies_back_by_no_more_than_the_length_of_the_range() -> None:
    assert plan(days(70, 100), [extent("slice", 0, 100)]).read_from == days(40, 41).start


def test_stale_and_truncated_chunks_never_count() -> None:
    there = [
        extent("slice", 0, 30, truncated=True),
        extent("slice", 30, 60, fresh_until_time=NOW),
        extent("carry_in", 0, None, truncated=True),
    ]
    assert missing(plan(days(0, 60), there)) == [("slice", 60), ("carry_in", 0)]


def test_a_chunk_that_is_being_read_counts() -> None:
    pending = Extent("slice", DAY0, DAY0 + timedelta(days=60), "")
    assert missing(plan(days(0, 60), [pending])) == [("carry_in", 0)]


def test_a_failed_chunk_is_named_beside_what_was_read() -> None:
    chunks = plan(days(0, 93), []).chunks
    assert outcome_sentence(4, chunks[:2], chunks[2:3]) == (
        "1 of 4 chunks were there; 2 × 31 days read; 1 × 31 days failed; a gap above 60 days is cut every 31 days"
    )


def test_a_query_that_runs_says_that_more_may_come_though_nothing_planned_is_missing() -> None:
    chunks = plan(days(0, 31), []).chunks
    said = outcome_sentence(1, chunks[:1], [], unended=True)
    assert said == "0 of 1 chunks were there; 1 × 31 days read; more is still to come"


def test_a_dataset_without_start_parts_reads_exactly_its_range() -> None:
    found = plan_query(days(5, 10), [PartShape("slice", "time")], [extent("slice", 0, 7)], RULE, NOW)
    assert missing(found) == [("slice", 3)]


def test_days_that_may_change_are_read_apart_from_those_that_are_settled() -> None:
    found = plan(days(0, 30), [], settled_until(27, seconds=2_000))
    assert missing(found) == [("slice", 27), ("slice", 3), ("carry_in", 0)]
    assert describe_plan(found) == (
        "0 of 3 chunks were there; 1 × 27 days, 1 × 3 days, 1 × carry_in read; "
        "from 2025-01-28T07:30:00 on rows may change, so they are read apart"
    )


def test_a_gap_of_which_less_than_half_is_settled_is_read_by_one_statement() -> None:
    assert missing(plan(days(0, 5), [], settled_until(2))) == [("slice", 5), ("carry_in", 0)]
    assert missing(plan(days(0, 5), [], settled_until(3))) == [("slice", 3), ("slice", 2), ("carry_in", 0)]


def test_a_range_that_is_settled_and_one_that_is_yet_to_come_are_not_cut_for_it() -> None:
    assert missing(plan(days(0, 30), [], settled_until(30))) == [("slice", 30), ("carry_in", 0)]
    assert missing(plan(days(0, 30), [], settled_until(0))) == [("slice", 30), ("carry_in", 0)]
    assert missing(plan(days(0, 30), [], settled_until(-9))) == [("slice", 30), ("carry_in", 0)]


def test_the_newest_piece_of_a_long_gap_is_read_apart_once_it_is_stale() -> None:
    rule = settled_until(90)
    first = plan(days(0, 93), [], rule)
    assert missing(first) == [("slice", 31)] * 3 + [("carry_in", 0)]
    one, other, newest, carry_in = stored(first)
    later = [one, other, replace(newest, fresh_until_time=NOW), carry_in]
    assert missing(plan(days(0, 93), later, rule)) == [("slice", 28), ("slice", 3)]


def test_once_its_newest_days_are_stale_those_alone_are_read_again() -> None:
    rule = settled_until(27)
    [settled, newest, carry_in] = stored(plan(days(0, 30), [], rule))
    later = [settled, replace(newest, fresh_until_time=NOW), carry_in]
    assert missing(plan(days(0, 30), later, rule)) == [("slice", 3)]


SPANS = st.tuples(st.integers(-400, 400), st.integers(1, 200))
EXTENTS = st.lists(SPANS.map(lambda span: extent("slice", span[0], span[0] + span[1])), max_size=12)
CARRIES = st.lists(st.integers(-400, 400).map(lambda start: extent("carry_in", start, None)), max_size=4)
EDGES = st.datetimes(DAY0 - timedelta(days=500), DAY0 + timedelta(days=700))
RULES = st.builds(
    CutRule, direct_max_days=st.integers(1, 120), grain_days=st.integers(1, 90), settled_until=st.none() | EDGES
)


@given(wanted=SPANS, slices=EXTENTS, carries=CARRIES, rule=RULES)
def test_the_chunks_of_a_cut_part_cover_their_range_exactly_once(
    wanted: tuple[int, int], slices: list[Extent], carries: list[Extent], rule: CutRule
) -> None:
    # B4.12
    asked = days(wanted[0], wanted[0] + wanted[1])
    found = plan(asked, [*slices, *carries], rule)
    chunks = [chunk for chunk in found.chunks if chunk.part == "slice"]
    assert (chunks[0].start, chunks[-1].end) == (found.read_from, asked.end)
    assert all(before.end == after.start for before, after in pairwise(chunks))
    assert found.read_from is not None
    assert found.read_from <= asked.start


@given(wanted=SPANS, slices=EXTENTS, carries=CARRIES)
def test_nothing_is_read_that_is_there(wanted: tuple[int, int], slices: list[Extent], carries: list[Extent]) -> None:
    found = plan(days(wanted[0], wanted[0] + wanted[1]), [*slices, *carries])
    read = [TimeRange(chunk.start, chunk.end) for chunk in found.missing if chunk.start and chunk.end]
    there = [item.range for item in slices if item.range is not None]
    assert not [piece for piece in read if any(piece.overlap(other) for other in there)]


@given(wanted=SPANS, slices=EXTENTS, carries=CARRIES)
def test_every_reused_chunk_lies_inside_its_extent(
    wanted: tuple[int, int], slices: list[Extent], carries: list[Extent]
) -> None:
    found = plan(days(wanted[0], wanted[0] + wanted[1]), [*slices, *carries])
    reused = [
        (chunk.start, chunk.end, chunk.extent)
        for chunk in found.chunks
        if isinstance(chunk.extent, Extent) and chunk.start is not None
    ]
    assert all(
        start == source.start if end is None or source.end is None else source.start <= start and end <= source.end
        for start, end, source in reused
    )


@given(wanted=SPANS, slices=EXTENTS, carries=CARRIES, rule=RULES)
def test_a_plan_that_ran_needs_nothing_more(
    wanted: tuple[int, int], slices: list[Extent], carries: list[Extent], rule: CutRule
) -> None:
    asked = days(wanted[0], wanted[0] + wanted[1])
    there = [*slices, *carries]
    assert missing(plan(asked, [*there, *stored(plan(asked, there, rule))], rule)) == []


@given(wanted=SPANS, slices=EXTENTS, carries=CARRIES, rule=RULES)
def test_no_gap_with_rows_that_may_change_is_settled_by_half(
    wanted: tuple[int, int], slices: list[Extent], carries: list[Extent], rule: CutRule
) -> None:
    found = plan(days(wanted[0], wanted[0] + wanted[1]), [*slices, *carries], rule)
    for chunk in found.missing:
        if chunk.reason.startswith("a gap above"):
            continue
        if rule.settled_until is not None and chunk.start and chunk.end and chunk.end > rule.settled_until:
            settled_days = (rule.settled_until - chunk.start) // timedelta(days=1)
            assert settled_days <= 0 or settled_days * timedelta(days=1) < (chunk.end - chunk.start) / 2


def test_overlapping_extents_give_disjoint_slices_with_the_furthest_reach() -> None:
    found = cover(days(0, 30), [extent("slice", 0, 10), extent("slice", 5, 30), extent("slice", 8, 12)])
    assert [piece.range for piece in found.slices] == [days(0, 10), days(10, 30)]


def test_an_extent_stops_counting_the_instant_it_is_stale() -> None:
    assert usable([extent("slice", 0, 1, fresh_until_time=NOW)], NOW) == []
