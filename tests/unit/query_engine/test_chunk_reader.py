"""One chunk on its way from the warehouse into the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_query_engine.errors import ChunkTooLarge
from sluice_query_engine.execution.chunk import ChunkJob, ChunkLimits, ChunkReader, StoredChunk
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.small_frames import instant_of
from sluice_query_engine.parts import Part
from sluice_query_engine.planning.freshness import FreshnessRule
from sluice_query_engine.plant_clock import PlantClock
from sluice_rpc import arrow
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import FakeClock, SequentialIds
from sluice_warehouse import Bind, Statement, Tag
from sluice_warehouse.errors import StatementCancelled, WarehouseError
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.permits import LocalPermits

NOW = datetime(2025, 12, 31, 8, tzinfo=UTC)
PLANT_NOW = datetime(2026, 1, 1, 8)
SCHEMA = pa.schema([("reason", pa.string()), ("hold_time", pa.timestamp("s")), ("release_time", pa.timestamp("s"))])
STATEMENT = Statement("slice", "select :start_time, :end_time, :row_limit", ("start_time", "end_time", "row_limit"))
PART = Part("slice", STATEMENT, SCHEMA, "time", "hold_time", "release_time", ("reason",))
OLD = datetime(2025, 1, 1, 7, 30)


def held(count: int, released: datetime | None = OLD) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{"reason": "scratch", "hold_time": OLD, "release_time": released}] * count, schema=SCHEMA
    )


class FakeReading:
    """Batches in order; an exception among them is raised in its turn."""

    def __init__(self, script: list[pa.RecordBatch | ServiceError]) -> None:
        self._script = iter(script)
        self.cancelled = False
        self.row_count = 0
        self.end_confirmed = True
        self.schema = SCHEMA

    def cancel(self) -> None:
        self.cancelled = True

    def close(self) -> None:
        self.cancel()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for step in self._script:
            if self.cancelled:
                raise StatementCancelled("slice")
            if isinstance(step, ServiceError):
                raise step
            yield step

    def __enter__(self) -> FakeReading:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FakeWarehouse:
    """Hands out the scripted readings one after the other."""

    def __init__(self, *scripts: list[pa.RecordBatch | ServiceError]) -> None:
        self._scripts = list(scripts)
        self.binds: list[Mapping[str, Bind]] = []
        self.deadlines_s: list[float] = []
        self.readings: list[FakeReading] = []

    def open(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> FakeReading:
        self.binds.append(binds)
        self.deadlines_s.append(deadline_s)
        self.readings.append(FakeReading(self._scripts.pop(0)))
        return self.readings[-1]

    def open_pooled(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> FakeReading:
        return self.open(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)

    def plant_time(self) -> datetime:
        return PLANT_NOW

    def ping(self) -> None:
        return

    def close(self) -> None:
        return


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def cache(clock: FakeClock) -> MemoryFrameCache:
    return MemoryFrameCache(clock)


def read(
    cache: MemoryFrameCache,
    clock: FakeClock,
    warehouse: FakeWarehouse,
    *,
    max_rows: int = 1000,
    max_bytes: int = 1 << 20,
    scope: CancelScope | None = None,
    renewed_by: str = "",
    until: float | None = None,
) -> StoredChunk:
    job = ChunkJob(
        dataset="hold-history",
        series="0123456789abcdef",
        part=PART,
        start=OLD,
        end=OLD + timedelta(days=31),
        parameters={},
        max_row_count=max_rows,
        freshness=FreshnessRule(timedelta(seconds=900), timedelta(days=1), timedelta(days=2)),
        client_id="request-1",
        renewed_by=renewed_by,
        until=until,
    )
    reader = ChunkReader(
        SlowLane(warehouse, LocalPermits(2)),
        cache,
        clock,
        SequentialIds(),
        plant_clock=PlantClock(warehouse, clock),
        limits=ChunkLimits(max_bytes, 300.0),
    )
    return reader.read(job, scope or CancelScope(), lambda rows: None)


def test_a_chunk_is_stored_under_what_it_is_found_by(cache: MemoryFrameCache, clock: FakeClock) -> None:
    stored = read(cache, clock, FakeWarehouse([held(3), held(2)]))
    (frame,) = cache.list_frames({"series": "0123456789abcdef"})
    assert (frame.frame_id, frame.row_count, stored.truncated) == (stored.frame_id, 5, False)
    assert dict(frame.labels) == {
        "series": "0123456789abcdef",
        "part": "slice",
        "dataset": "hold-history",
        "start": "2025-01-01T07:30:00",
        "end": "2025-02-01T07:30:00",
    }


def test_categorical_columns_are_stored_dictionary_encoded(cache: MemoryFrameCache, clock: FakeClock) -> None:
    stored = read(cache, clock, FakeWarehouse([held(3), held(2)]))
    with arrow.decode(cache.read_frame(stored.frame_id)) as reader:
        assert reader.schema.field("reason").type == pa.dictionary(pa.int32(), pa.string())


def test_the_statement_asks_for_one_row_more_than_the_limit(cache: MemoryFrameCache, clock: FakeClock) -> None:
    warehouse = FakeWarehouse([held(3)])
    read(cache, clock, warehouse, max_rows=10)
    assert warehouse.binds == [{"start_time": OLD, "end_time": OLD + timedelta(days=31), "row_limit": 11}]


def test_a_chunk_that_was_waited_for_has_only_what_is_left_of_its_time(
    cache: MemoryFrameCache, clock: FakeClock
) -> None:
    warehouse = FakeWarehouse([held(3)])
    read(cache, clock, warehouse, until=clock.monotonic() + 60.0)
    assert warehouse.deadlines_s[0] <= 60.0


def test_rows_up_to_the_limit_are_whole(cache: MemoryFrameCache, clock: FakeClock) -> None:
    assert not read(cache, clock, FakeWarehouse([held(6), held(4)]), max_rows=10).truncated


def test_a_row_beyond_the_limit_marks_the_chunk_and_is_dropped(cache: MemoryFrameCache, clock: FakeClock) -> None:
    stored = read(cache, clock, FakeWarehouse([held(6), held(5)]), max_rows=10)
    (frame,) = cache.list_frames({"truncated": "1"})
    assert (stored.truncated, frame.row_count) == (True, 10)


def test_past_its_bytes_the_statement_is_cancelled_and_nothing_is_kept(
    cache: MemoryFrameCache, clock: FakeClock
) -> None:
    # B2.5, B4.6
    warehouse = FakeWarehouse([held(50_000), held(50_000)])
    with pytest.raises(ChunkTooLarge):
        read(cache, clock, warehouse, max_rows=10**6, max_bytes=100_000)
    assert warehouse.readings[0].cancelled
    assert cache.list_frames({"part": "slice"}) == []


def test_settled_rows_stay_fresh_for_longer(cache: MemoryFrameCache, clock: FakeClock) -> None:
    read(cache, clock, FakeWarehouse([held(1)]))
    (frame,) = cache.list_frames({"part": "slice"})
    assert instant_of(frame.fresh_until_time) == NOW + timedelta(days=1)


def test_one_open_row_makes_a_chunk_unsettled(cache: MemoryFrameCache, clock: FakeClock) -> None:
    read(cache, clock, FakeWarehouse([held(5), held(1, released=None)]))
    (frame,) = cache.list_frames({"part": "slice"})
    assert instant_of(frame.fresh_until_time) == NOW + timedelta(seconds=900)
    assert frame.keep_until_time.seconds > frame.fresh_until_time.seconds


@pytest.mark.parametrize(
    ("open_count", "fresh_for"), [(1, timedelta(days=1)), (2, timedelta(days=1)), (3, timedelta(seconds=900))]
)
def test_open_rows_that_are_renewed_leave_a_chunk_settled_unless_most_are_open(
    cache: MemoryFrameCache, clock: FakeClock, open_count: int, fresh_for: timedelta
) -> None:
    read(cache, clock, FakeWarehouse([held(open_count, released=None), held(2)]), renewed_by="reason")
    (frame,) = cache.list_frames({"part": "slice"})
    assert instant_of(frame.fresh_until_time) == NOW + fresh_for
    assert frame.labels.get("open", "") == (str(open_count) if fresh_for > timedelta(hours=1) else "")


def test_an_open_row_without_an_id_makes_a_chunk_unsettled(cache: MemoryFrameCache, clock: FakeClock) -> None:
    read(cache, clock, FakeWarehouse([held(1, released=None), held(5)]), renewed_by="release_time")
    (frame,) = cache.list_frames({"part": "slice"})
    assert instant_of(frame.fresh_until_time) == NOW + timedelta(seconds=900)


def test_a_refused_statement_is_not_tried_again(cache: MemoryFrameCache, clock: FakeClock) -> None:
    warehouse = FakeWarehouse([WarehouseError(942)], [held(1)])
    with pytest.raises(WarehouseError):
        read(cache, clock, warehouse)
    assert len(warehouse.readings) == 1


def test_withdrawn_work_ends_the_statement(cache: MemoryFrameCache, clock: FakeClock) -> None:
    scope = CancelScope()
    scope.cancel()
    warehouse = FakeWarehouse([held(1)])
    with pytest.raises(StatementCancelled):
        read(cache, clock, warehouse, scope=scope)
    assert cache.list_frames({"part": "slice"}) == []


def test_a_chunk_without_rows_is_stored(cache: MemoryFrameCache, clock: FakeClock) -> None:
    assert read(cache, clock, FakeWarehouse([])).row_count == 0


LISTED = Statement(
    "of_machines", "select x from DWH.T where m in (:machines) and t >= :start_time", ("machines", "start_time")
)


def job_of(machines: list[str]) -> ChunkJob:
    return ChunkJob(
        dataset="equipment-jobs",
        series="0123456789abcdef",
        part=Part("of_machines", LISTED, SCHEMA, "time", "hold_time", None),
        start=OLD,
        end=OLD + timedelta(days=31),
        parameters={"machines": machines},
        max_row_count=10,
        freshness=FreshnessRule(timedelta(seconds=900), timedelta(days=1), timedelta(days=2)),
        client_id="request-1",
    )


def test_a_list_beside_a_range_is_bound_in_powers_of_two_and_filled_with_its_last_value() -> None:
    job = job_of(["A", "B", "C"])
    assert "m in (:machines_1, :machines_2, :machines_3, :machines_4)" in job.statement().text
    assert job.binds() == {
        "machines_1": "A",
        "machines_2": "B",
        "machines_3": "C",
        "machines_4": "C",
        "start_time": OLD,
    }


def test_an_empty_list_beside_a_range_is_one_null() -> None:
    job = job_of([])
    assert job.binds() == {"machines_1": None, "start_time": OLD}


OPTIONAL = Statement(
    "of_packages",
    "select x from DWH.T where (:all_packages = 1 or p in (:packages)) and t >= :start_time",
    ("all_packages", "packages", "start_time"),
)


@pytest.mark.parametrize("parameters", [{}, {"packages": []}])
def test_a_list_that_is_not_given_counts_for_nothing(parameters: dict[str, object]) -> None:
    job = replace(job_of([]), part=replace(job_of([]).part, statement=OPTIONAL), parameters=parameters)
    assert job.binds() == {"all_packages": 1, "packages_1": None, "start_time": OLD}


def test_a_list_that_is_given_counts() -> None:
    job = replace(job_of([]), part=replace(job_of([]).part, statement=OPTIONAL), parameters={"packages": ["SMA"]})
    assert job.binds() == {"all_packages": 0, "packages_1": "SMA", "start_time": OLD}
