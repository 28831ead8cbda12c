"""Open rows of settled chunks are read again by their ids, and the answer is the plant's as it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sluice.cache.v1 import sql_service_pb2 as sql
from sluice.table.v1 import table_pb2
from sluice_warehouse.errors import WarehouseError

from tests.engine_rig import decoded
from tests.stepped_engine import SteppedEngine, stepped_engine
from tests.stepped_world import Hold, Started

DAY = timedelta(days=1)
FIRST_DAY = datetime(2026, 1, 1, 7, 30)
PLANT_NOW = FIRST_DAY + 24 * DAY
STALE_S = 901
EXAMPLE_COUNT = {"soak": 300}.get(settings.get_current_profile_name(), 5)
BOTH = "select history_id, release_time from slice union all select history_id, release_time from carry_in"

Rows = set[tuple[str, datetime | None]]


def plant() -> list[Hold]:
    """Return four holds a day, one in three days still open, the others released within three days."""
    holds = []
    for number in range(80):
        held = FIRST_DAY + (number // 4) * DAY + timedelta(hours=number % 4)
        released = None if number % 12 == 2 else held + timedelta(days=number % 4, hours=1)
        holds.append(Hold(f"h{number:03}", held, released))
    return holds


@pytest.fixture
def engine() -> Iterator[SteppedEngine]:
    with stepped_engine(plant(), PLANT_NOW) as engine:
        yield engine


def day(number: int) -> str:
    return (FIRST_DAY + number * DAY).date().isoformat()


def answered(engine: SteppedEngine, first: int, last: int, *, no_cache: bool = False) -> str:
    """Have a query answered, every statement succeeding, and return its id."""
    query_id = engine.start(day(first), day(last), no_cache=no_cache)
    engine.release_all()
    return query_id


def answer(engine: SteppedEngine, query_id: str) -> Rows:
    """Return hold and release of every row, each row once."""
    request = sql.RunQueryRequest(
        sources=[sql.SqlSource(manifest_id=query_id)], statements=[sql.SqlStatement(sql=BOTH)]
    )
    with engine.cache.run_query(request, deadline_s=60.0) as answers:
        table = decoded([item.chunk.ipc for item in answers if item.WhichOneof("part") == "chunk"])
    rows = list(zip(table["history_id"].to_pylist(), table["release_time"].to_pylist(), strict=True))
    assert len(rows) == len(set(rows)), "a row came twice"
    return set(rows)


def truth(engine: SteppedEngine, first: int, last: int) -> Rows:
    """Return what the plant has for the days, both included."""
    start, end = FIRST_DAY + (first - 1) * DAY, FIRST_DAY + last * DAY
    return {
        (hold.history_id, hold.released)
        for hold in engine.holds
        if hold.held < end and (hold.released is None or hold.released >= start)
    }


def let_go(engine: SteppedEngine, *numbers: int) -> None:
    """Have holds that are open released now; when none is left, nothing happens."""
    holds = engine.holds
    assert isinstance(holds, list)
    still_open = [position for position, hold in enumerate(holds) if hold.released is None]
    for number in numbers if still_open else ():
        position = still_open[number % len(still_open)]
        holds[position] = replace(holds[position], released=engine.clock.now().replace(tzinfo=None))


def begun(engine: SteppedEngine) -> list[Started]:
    """Return the statements since the last look."""
    started = list(engine.stage.started)
    engine.stage.started.clear()
    return started


def test_only_the_rows_that_were_open_are_read_again(engine: SteppedEngine) -> None:
    answered(engine, 5, 8)
    begun(engine)
    engine.clock.advance(STALE_S)
    query_id = answered(engine, 5, 8)
    [statement] = begun(engine)
    wanted = frozenset(name for name, released in truth(engine, 5, 8) if released is None)
    assert (statement.part, statement.ids) == ("renewed", wanted)
    assert engine.runs[query_id].snapshot().receipt.plan.endswith("ids read")


def test_a_release_is_seen_once_the_open_rows_are_stale(engine: SteppedEngine) -> None:
    query_id = answered(engine, 5, 8)
    let_go(engine, 0, 5, 7)
    engine.clock.advance(STALE_S)
    assert answered(engine, 5, 8) == query_id
    assert answer(engine, query_id) == truth(engine, 5, 8)


def test_nothing_is_read_while_the_open_rows_are_fresh(engine: SteppedEngine) -> None:
    answered(engine, 5, 8)
    engine.clock.advance(STALE_S)
    answered(engine, 5, 8)
    begun(engine)
    engine.clock.advance(STALE_S - 2)
    answered(engine, 5, 8)
    assert begun(engine) == []


def test_another_query_reads_only_the_open_rows_it_alone_has(engine: SteppedEngine) -> None:
    answered(engine, 5, 12)
    engine.clock.advance(STALE_S)
    answered(engine, 5, 8)
    begun(engine)
    answered(engine, 5, 12)
    [statement] = begun(engine)
    opened = {hold.history_id for hold in engine.holds if hold.released is None}
    held_later = {hold.history_id for hold in engine.holds if FIRST_DAY + 8 * DAY <= hold.held < FIRST_DAY + 12 * DAY}
    assert statement.ids == opened & held_later


def test_the_newest_days_are_read_again_whole(engine: SteppedEngine) -> None:
    engine.clock.advance(-3 * DAY.total_seconds())
    answered(engine, 18, 20)
    begun(engine)
    engine.clock.advance(STALE_S)
    answered(engine, 18, 20)
    assert "slice" in {statement.part for statement in begun(engine)}


def test_no_cache_reads_the_chunks_again_whole(engine: SteppedEngine) -> None:
    answered(engine, 5, 8)
    begun(engine)
    engine.clock.advance(STALE_S)
    answered(engine, 5, 8, no_cache=True)
    assert {statement.part for statement in begun(engine)} == {"slice", "carry_in"}


def test_a_settled_chunk_is_read_again_whole_after_its_own_life(engine: SteppedEngine) -> None:
    answered(engine, 5, 8)
    begun(engine)
    engine.clock.advance(DAY.total_seconds() + 1)
    answered(engine, 5, 8)
    assert {statement.part for statement in begun(engine)} == {"slice", "carry_in", "workcenter_groups"}


def test_open_rows_that_could_not_be_read_again_are_missing_and_named(engine: SteppedEngine) -> None:
    answered(engine, 5, 8)
    engine.clock.advance(STALE_S)
    query_id = engine.start(day(5), day(8))
    [reading] = engine.waiting()
    engine.release(reading, WarehouseError(600))
    receipt = engine.runs[query_id].snapshot().receipt
    still_open = {row for row in truth(engine, 5, 8) if row[1] is None}
    assert answer(engine, query_id) == truth(engine, 5, 8) - still_open
    assert list(receipt.failed_ranges) == [
        table_pb2.Gap(part="renewed", id_count=len(still_open), code="WAREHOUSE_ERROR")
    ]


@settings(max_examples=EXAMPLE_COUNT, deadline=None)
@given(
    rounds=st.lists(
        st.tuples(
            st.lists(st.integers(0, 40), max_size=4),
            st.sampled_from([STALE_S, 5_000, 40_000, 90_000]),
            st.integers(2, 14),
            st.integers(0, 7),
        ),
        min_size=2,
        max_size=4,
    )
)
def test_whatever_is_released_between_queries_the_answer_is_the_plant_as_it_stands(
    rounds: list[tuple[list[int], int, int, int]],
) -> None:
    with stepped_engine(plant(), PLANT_NOW) as engine:
        for released, pause_s, first, length in rounds:
            engine.clock.advance(pause_s)
            let_go(engine, *released)
            query_id = answered(engine, first, first + length)
            assert answer(engine, query_id) == truth(engine, first, first + length)
