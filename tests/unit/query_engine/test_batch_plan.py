"""A plan of the caller's own chunks: what is read, kept, counted, merged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_query_engine.errors import ChunksMissing
from sluice_query_engine.execution import (
    ChunkStore,
    PlanOptions,
    execute_plan,
    get_batch_progress,
    iterate_chunks,
    merge_chunks,
)
from sluice_query_engine.execution.batch_plan import QueryFunction
from sluice_query_engine.planning import compute_query_hash, decompose_by_ids, decompose_by_time_range
from sluice_query_engine.state import MemoryState
from sluice_rpc.ports import FakeClock, SequentialIds
from sluice_warehouse.permits import LocalPermits

HASH = "0123456789abcdef"
FIVE = decompose_by_time_range("2025-01-01", "2025-05-31")
Chunk = Mapping[str, object]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2025, 12, 31, 8, tzinfo=UTC))


@pytest.fixture
def store(clock: FakeClock) -> ChunkStore:
    return ChunkStore(MemoryFrameCache(clock), MemoryState(clock), clock, SequentialIds())


def rows(chunk: Chunk) -> pa.Table:
    return pa.table({"day": [chunk["chunk_start"], chunk["chunk_end"]]})


class Reads:
    """A query function that remembers what it was asked for."""

    def __init__(self, answer: Callable[[Chunk], pa.Table] = rows) -> None:
        self.chunks: list[Chunk] = []
        self.limits: set[int | None] = set()
        self.threads: set[str] = set()
        self._answer = answer

    def __call__(self, chunk: Chunk, *, max_rows_per_chunk: int | None) -> pa.Table:
        self.chunks.append(chunk)
        self.limits.add(max_rows_per_chunk)
        self.threads.add(threading.current_thread().name)
        return self._answer(chunk)


def failing_on(start: str) -> QueryFunction:
    def read(chunk: Chunk, *, max_rows_per_chunk: int | None) -> pa.Table:
        if chunk["chunk_start"] == start:
            raise TimeoutError("no answer")
        return rows(chunk)

    return read


def test_a_sequential_plan_stores_every_chunk(store: ChunkStore) -> None:
    # B2.3, B4.3
    reads = Reads()
    assert execute_plan(FIVE, reads, query_hash=HASH, store=store, cache_prefix="hold") == HASH
    assert reads.chunks == FIVE
    assert all(store.exists("hold", HASH, index) for index in range(5))


def test_a_parallel_plan_runs_in_a_pool_and_leaves_one_permit(store: ChunkStore) -> None:
    # B2.4, B4.4: three permits leave two for the plan; both are in use at once, or the barrier would break.
    together = threading.Barrier(2, timeout=10)

    def answer(chunk: Chunk) -> pa.Table:
        together.wait()
        return rows(chunk)

    reads = Reads(answer)
    options = PlanOptions(permits=LocalPermits(3))
    execute_plan(FIVE[:4], reads, parallel=8, query_hash=HASH, store=store, options=options)
    assert len(reads.threads) == 2


def test_two_of_five_chunks_that_are_there_leave_three_to_read(store: ChunkStore) -> None:
    # B4.5
    for index in (0, 3):
        store.store("hold", HASH, index, rows(FIVE[index]), ttl_s=900, max_bytes=1 << 20)
    reads = Reads()
    execute_plan(FIVE, reads, query_hash=HASH, store=store, cache_prefix="hold")
    assert reads.chunks == [FIVE[1], FIVE[2], FIVE[4]]


def test_without_skipping_everything_is_read_again(store: ChunkStore) -> None:
    execute_plan(FIVE, Reads(), query_hash=HASH, store=store)
    reads = Reads()
    execute_plan(FIVE, reads, query_hash=HASH, store=store, skip_cached=False)
    assert len(reads.chunks) == 5


def test_an_oversized_chunk_is_discarded_and_failed(store: ChunkStore) -> None:
    # B2.5, B4.6
    big = Reads(lambda chunk: pa.table({"n": list(range(1000))}))
    execute_plan(FIVE[:1], big, query_hash=HASH, store=store, options=PlanOptions(max_chunk_bytes=1000))
    progress = get_batch_progress("", HASH, store=store)
    assert progress is not None
    assert (progress["status"], progress["failed"], store.exists("", HASH, 0)) == ("failed", "1", False)


def test_the_row_limit_reaches_the_query_function_and_hitting_it_is_counted(store: ChunkStore) -> None:
    # B4.7
    reads = Reads()
    execute_plan(FIVE, reads, query_hash=HASH, store=store, options=PlanOptions(max_rows_per_chunk=2))
    progress = get_batch_progress("", HASH, store=store)
    assert progress is not None
    assert (reads.limits, progress["truncated_chunk_count"]) == ({2}, "5")


def test_merging_equals_concatenating_in_chunk_order(store: ChunkStore) -> None:
    # B2.7, B4.8
    execute_plan(FIVE, Reads(), parallel=3, query_hash=HASH, store=store, cache_prefix="hold")
    assert merge_chunks("hold", HASH, store=store).equals(pa.concat_tables([rows(chunk) for chunk in FIVE]))


def test_chunks_can_be_taken_one_by_one(store: ChunkStore) -> None:
    execute_plan(FIVE, Reads(), query_hash=HASH, store=store)
    assert [table.num_rows for table in iterate_chunks("", HASH, store=store)] == [2] * 5


class WatchedStore(ChunkStore):
    """A store that remembers how many chunks were complete at each writing of the progress."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(MemoryFrameCache(clock), MemoryState(clock), clock, SequentialIds())
        self.completed: list[str] = []

    def write_progress(self, prefix: str, query_hash: str, fields: Mapping[str, str], ttl_s: float) -> None:
        self.completed.append(fields["completed"])
        super().write_progress(prefix, query_hash, fields, ttl_s)


def test_progress_is_written_after_each_chunk(clock: FakeClock) -> None:
    # B4.9: at the start, after each of the four, and when the plan has ended.
    store = WatchedStore(clock)
    execute_plan(FIVE[:4], Reads(), query_hash=HASH, store=store)
    assert store.completed == ["0", "1", "2", "3", "4", "4"]


def test_progress_has_every_field_when_the_plan_has_ended(store: ChunkStore) -> None:
    execute_plan(FIVE[:4], Reads(), query_hash=HASH, store=store)
    assert get_batch_progress("", HASH, store=store) == {
        "total": "4",
        "completed": "4",
        "failed": "0",
        "pct": "100.0",
        "status": "completed",
        "has_partial_failure": "False",
        "failed_chunk_count": "0",
        "failed_ranges": "[]",
        "truncated_chunk_count": "0",
    }


def test_one_failing_chunk_leaves_the_others_and_a_partial_plan(store: ChunkStore) -> None:
    # B2.9, B4.10
    execute_plan(FIVE, failing_on(FIVE[2]["chunk_start"]), query_hash=HASH, store=store)
    progress = get_batch_progress("", HASH, store=store)
    assert progress is not None
    assert (progress["status"], progress["completed"], progress["has_partial_failure"]) == ("partial", "4", "True")
    assert progress["failed_ranges"] == '[{"start": "2025-03-04", "end": "2025-04-03"}]'


def test_a_failed_chunk_cannot_be_merged_away(store: ChunkStore) -> None:
    execute_plan(FIVE, failing_on(FIVE[2]["chunk_start"]), query_hash=HASH, store=store)
    with pytest.raises(ChunksMissing) as caught:
        merge_chunks("", HASH, store=store)
    assert caught.value.indexes == (2,)


def test_running_a_partial_plan_again_reads_what_failed(store: ChunkStore) -> None:
    execute_plan(FIVE, failing_on(FIVE[2]["chunk_start"]), query_hash=HASH, store=store)
    reads = Reads()
    execute_plan(FIVE, reads, query_hash=HASH, store=store)
    assert reads.chunks == [FIVE[2]]


def test_a_query_function_that_returns_nothing_has_failed(store: ChunkStore) -> None:
    execute_plan(FIVE[:1], Reads(lambda chunk: None), query_hash=HASH, store=store)
    assert not store.exists("", HASH, 0)


def test_a_plan_whose_life_is_over_cannot_be_merged(store: ChunkStore, clock: FakeClock) -> None:
    execute_plan(FIVE, Reads(), query_hash=HASH, store=store, chunk_ttl=60)
    clock.advance(61)
    with pytest.raises(ChunksMissing):
        merge_chunks("", HASH, store=store)


def test_chunks_without_rows_are_kept_and_merge_to_a_table_without_rows(store: ChunkStore) -> None:
    empty = pa.table({"day": pa.array([], pa.string())})
    execute_plan(FIVE, Reads(lambda chunk: empty), query_hash=HASH, store=store)
    assert merge_chunks("", HASH, store=store).num_rows == 0


def test_a_plan_without_chunks_is_completed(store: ChunkStore) -> None:
    execute_plan([], Reads(), query_hash=HASH, store=store)
    progress = get_batch_progress("", HASH, store=store)
    assert progress is not None
    assert (progress["status"], progress["total"], progress["pct"]) == ("completed", "0", "0.0")


def test_a_plan_of_ids_needs_no_dates(store: ChunkStore) -> None:
    chunks = [{"ids": batch} for batch in decompose_by_ids(["a", "b", "c"], 2)]
    name = execute_plan(chunks, Reads(lambda chunk: pa.table({"id": chunk["ids"]})), store=store)
    assert name == compute_query_hash({"chunks": chunks})
    assert merge_chunks("", name, store=store).column("id").to_pylist() == ["a", "b", "c"]
