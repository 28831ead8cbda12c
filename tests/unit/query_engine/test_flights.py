"""Chunks that several queries want: who joins a read that others are about to give up gets one that is not given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from sluice_query_engine.execution.chunk import ChunkJob, StoredChunk
from sluice_query_engine.execution.flights import Flight, Flights
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.parts import Part
from sluice_query_engine.planning.freshness import FreshnessRule
from sluice_rpc.ports import FakeClock
from sluice_warehouse import Statement
from sluice_warehouse.errors import WarehouseError

NOW = datetime(2025, 12, 31, 8, tzinfo=UTC)
STATEMENT = Statement("slice", "select :start_time, :end_time, :row_limit", ("start_time", "end_time", "row_limit"))
PART = Part("slice", STATEMENT, pa.schema([("hold_time", pa.timestamp("s"))]), "time", "hold_time", None, ())
CHUNK = StoredChunk("chunk-1", 7, NOW, truncated=False)
JOB = ChunkJob(
    dataset="hold-history",
    series="s",
    part=PART,
    start=datetime(2025, 1, 1, 7, 30),
    end=datetime(2025, 2, 1, 7, 30),
    parameters={},
    max_row_count=100,
    freshness=FreshnessRule(timedelta(minutes=15), timedelta(days=1), timedelta(days=7)),
    client_id="test",
)


class OneChunk:
    """Reads the same chunk, or fails."""

    def __init__(self) -> None:
        self.failing = False

    def read(self, job: ChunkJob, scope: CancelScope, on_rows: Callable[[int], None]) -> StoredChunk:
        if self.failing:
            raise WarehouseError(600)
        return CHUNK


class SlowToCancel(CancelScope):
    """Does something between the decision to withdraw and the withdrawal."""

    def __init__(self, before: Callable[[], object]) -> None:
        super().__init__()
        self._before = before

    def cancel(self) -> None:
        self._before()
        super().cancel()


def ignore(row_count: int) -> None:
    return


@pytest.fixture
def reader() -> OneChunk:
    return OneChunk()


@pytest.fixture
def flights(reader: OneChunk) -> Flights:
    return Flights(reader, FakeClock(NOW))


def test_who_joins_while_the_last_leaves_gets_a_read_of_its_own(flights: Flights) -> None:
    flight, joined = flights.want(JOB, "first", ignore), list[Flight]()
    flight.scope = SlowToCancel(lambda: joined.append(flights.join(flight, "second", ignore)))
    flights.leave(flight, "first")
    assert not joined[0].scope.cancelled
    assert flights.land(joined[0], "second") == CHUNK


def test_who_joins_a_read_that_has_just_ended_gets_its_chunk(flights: Flights) -> None:
    flight = flights.want(JOB, "first", ignore)
    flights.land(flight, "first")
    assert flights.join(flight, "second", ignore) is flight


def test_who_joins_a_read_that_has_just_failed_gets_another_try(flights: Flights, reader: OneChunk) -> None:
    flight = flights.want(JOB, "first", ignore)
    reader.failing = True
    with pytest.raises(WarehouseError):
        flights.land(flight, "first")
    reader.failing = False
    assert flights.land(flights.join(flight, "second", ignore), "second") == CHUNK


def test_a_forced_read_does_not_join_one_that_began_before_it(flights: Flights) -> None:
    begun = flights.want(JOB, "first", ignore)
    assert flights.want(replace(JOB, not_before=NOW), "second", ignore) is not begun


def test_a_forced_read_does_not_join_one_that_an_earlier_request_forced(flights: Flights) -> None:
    begun = flights.want(replace(JOB, not_before=NOW - timedelta(seconds=1)), "first", ignore)
    assert flights.want(replace(JOB, not_before=NOW), "second", ignore) is not begun


def test_who_wants_anything_fresh_joins_a_forced_read(flights: Flights) -> None:
    flights.want(JOB, "first", ignore)
    forced = flights.want(replace(JOB, not_before=NOW), "second", ignore)
    assert flights.want(JOB, "third", ignore) is forced


def test_a_read_that_a_forced_one_did_not_join_still_ends_for_those_who_want_it(flights: Flights) -> None:
    begun = flights.want(JOB, "first", ignore)
    forced = flights.want(replace(JOB, not_before=NOW), "second", ignore)
    assert (flights.land(begun, "first"), flights.land(forced, "second")) == (CHUNK, CHUNK)
    assert flights.pending("s", "slice") == []


class Waiting:
    """Waits ten seconds for a permit and reads for two."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def read(self, job: ChunkJob, scope: CancelScope, on_rows: Callable[[int], None]) -> StoredChunk:
        self._clock.advance(10)
        on_rows(0)
        self._clock.advance(2)
        return CHUNK


def test_a_read_counts_the_time_of_its_statements_and_not_its_wait_for_a_permit() -> None:
    clock = FakeClock(NOW)
    flights = Flights(Waiting(clock), clock)
    flight = flights.want(JOB, "first", ignore)
    flights.land(flight, "first")
    assert flight.elapsed_s == 2
