"""The life of a query: joined, shared, watched, withdrawn, abandoned, interrupted, resumed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import json_format
from sluice.cache.v1 import frame_service_pb2 as frames_pb
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_query_engine.bootstrap import World
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_query_engine.state import MemoryState
from sluice_rpc.errors import FailedPrecondition, NotFound, ResourceExhausted, ServiceUnavailable, Unavailable
from sluice_rpc.ports import SystemClock
from sluice_warehouse import Bind, Statement
from sluice_warehouse.errors import WarehouseUnavailable
from sluice_warehouse.faults import Fault

from tests.engine_rig import EngineRig, datasets_with, serving_engine
from tests.polling import poll_until

YEAR = ("2025-01-01", "2025-12-31")
YEAR_AND_A_WEEK = ("2025-01-01", "2026-01-07")
WAIT_S = 20.0


class Valve:
    """Lets chunk statements through, makes them hang until they are cancelled, or has the next ones fail once."""

    def __init__(self) -> None:
        self.open = True
        self.passing = 10**6
        self.failing = 0
        self._lock = threading.Lock()

    def __call__(self, statement: Statement, binds: Mapping[str, Bind]) -> Fault | None:
        if statement.name not in ("slice", "carry_in"):
            return None
        with self._lock:
            if self.failing > 0:
                self.failing -= 1
                return Fault(error=WarehouseUnavailable())
            if self.open or self.passing > 0:
                self.passing -= 0 if self.open else 1
                return None
            return Fault(delay_s=60.0)


class RestartedCache(MemoryFrameCache):
    """A cache that is away the first time it is asked for a reference."""

    refused = False

    def list_frames(self, labels: Mapping[str, str]) -> list[frames_pb.Frame]:
        if "reference" in labels and not self.refused:
            self.refused = True
            raise ServiceUnavailable("cache")
        return super().list_frames(labels)


@pytest.fixture
def valve() -> Valve:
    return Valve()


@pytest.fixture
def world() -> World:
    clock = SystemClock()
    return World(cache=MemoryFrameCache(clock), state=MemoryState(clock), clock=clock)


@pytest.fixture
def rig(twin_path: Path, valve: Valve, world: World) -> Iterator[EngineRig]:
    with serving_engine(twin_path, world=world, fault=valve) as rig:
        yield rig


def state_of(rig: EngineRig, query_id: str) -> pb.Query:
    return rig.stub.GetQuery(pb.GetQueryRequest(query_id=query_id)).query


def chunk_is(query: pb.Query, state: pb.ChunkState.ValueType) -> int:
    return sum(chunk.state == state for chunk in query.progress.chunks)


@contextmanager
def stalled(rig: EngineRig, valve: Valve, done: int = 0) -> Iterator[str]:
    """A year that hangs once `done` chunks are there."""
    valve.open, valve.passing = False, done
    query = rig.start(*YEAR)
    poll_until(lambda: chunk_is(state_of(rig, query.query_id), pb.CHUNK_STATE_DONE) == done, WAIT_S, "chunks")
    poll_until(lambda: chunk_is(state_of(rig, query.query_id), pb.CHUNK_STATE_RUNNING) > 0, WAIT_S, "a running chunk")
    yield query.query_id
    valve.open = True


def test_a_query_started_twice_is_read_once(rig: EngineRig) -> None:
    first, second = rig.start(*YEAR), rig.start(*YEAR)
    rig.finish(second.query_id)
    assert first.query_id == second.query_id
    assert rig.warehouse.counts.started == 14


def test_a_running_query_that_is_asked_for_without_the_cache_is_read_once_more(rig: EngineRig) -> None:
    first, second = rig.start(*YEAR), rig.start(*YEAR, no_cache=True)
    assert rig.finish(second.query_id).receipt.chunks.run == 13
    assert first.query_id == second.query_id
    assert rig.warehouse.counts.started == 14 + 13


def test_two_queries_at_once_share_every_chunk_they_both_need(rig: EngineRig) -> None:
    first, second = rig.start(*YEAR), rig.start(*YEAR_AND_A_WEEK)
    ended = [rig.finish(first.query_id), rig.finish(second.query_id)]
    assert [query.state for query in ended] == [pb.QUERY_STATE_COMPLETED] * 2
    assert rig.warehouse.counts.started == 15
    assert sum(query.receipt.warehouse_statement_count for query in ended) == 15


def test_cancelling_one_of_two_queries_leaves_the_shared_chunks_to_the_other(rig: EngineRig, valve: Valve) -> None:
    with stalled(rig, valve) as query_id:
        other = rig.start(*YEAR_AND_A_WEEK)
        rig.stub.CancelQuery(pb.CancelQueryRequest(query_id=query_id, force=True))
        assert state_of(rig, other.query_id).state == pb.QUERY_STATE_RUNNING
        rig.stub.CancelQuery(pb.CancelQueryRequest(query_id=other.query_id, force=True))
    assert state_of(rig, other.query_id).state == pb.QUERY_STATE_CANCELLED


def test_cancelling_ends_the_statements_and_keeps_finished_chunks(rig: EngineRig, valve: Valve) -> None:
    with stalled(rig, valve, done=4) as query_id:
        rig.stub.CancelQuery(pb.CancelQueryRequest(query_id=query_id))
        poll_until(lambda: rig.warehouse.counts.running == 0, WAIT_S, "the statements to end")
    cancelled = state_of(rig, query_id)
    again = rig.run(*YEAR)
    assert (cancelled.state, cancelled.error_code) == (pb.QUERY_STATE_CANCELLED, "CANCELLED")
    assert (again.state, again.receipt.chunks.reused) == (pb.QUERY_STATE_COMPLETED, 4)


def test_a_query_started_by_two_goes_on_when_one_withdraws(rig: EngineRig, valve: Valve) -> None:
    with stalled(rig, valve) as query_id:
        rig.start(*YEAR)
        assert rig.stub.CancelQuery(pb.CancelQueryRequest(query_id=query_id)).query.state == pb.QUERY_STATE_RUNNING
        after_both = rig.stub.CancelQuery(pb.CancelQueryRequest(query_id=query_id)).query
    assert after_both.state == pb.QUERY_STATE_CANCELLED


def test_a_query_that_nobody_looks_at_is_cancelled(twin_path: Path, valve: Valve, world: World) -> None:
    with serving_engine(twin_path, world=world, fault=valve, abandon_after_s=0.2) as rig:
        valve.open, valve.passing = False, 0
        query = rig.start(*YEAR)
        run = rig.process.coordinator.run_of(query.query_id)
        assert run is not None
        poll_until(lambda: not run.running, WAIT_S, "the query to be abandoned")
        assert (run.state_name, rig.warehouse.counts.running) == ("cancelled", 0)


def test_a_watched_query_is_abandoned_only_once_its_watcher_left(twin_path: Path, valve: Valve, world: World) -> None:
    with serving_engine(twin_path, world=world, fault=valve, abandon_after_s=0.2) as rig:
        valve.open, valve.passing = False, 0
        query = rig.start(*YEAR)
        run = rig.process.coordinator.run_of(query.query_id)
        assert run is not None
        with rig.watching(query.query_id) as watch:
            next(watch)
            assert (run.running, run.idle_s) == (True, 0.0)
        poll_until(lambda: not run.running, WAIT_S, "the query to be abandoned")


def test_a_statement_is_cancelled_within_seconds_of_its_last_watcher_leaving(
    twin_path: Path, valve: Valve, world: World
) -> None:
    with serving_engine(twin_path, world=world, fault=valve) as rig:
        valve.open, valve.passing = False, 0
        query = rig.start(*YEAR)
        with rig.watching(query.query_id) as watch:
            next(watch)
            poll_until(lambda: rig.process.permits.snapshot().holders, WAIT_S, "a permit to be taken")
        poll_until(lambda: not rig.process.permits.snapshot().holders, 5.0, "the permits to come back")
        assert state_of(rig, query.query_id).state == pb.QUERY_STATE_CANCELLED


def test_a_query_past_its_deadline_names_what_it_did_not_read(twin_path: Path, valve: Valve, world: World) -> None:
    with serving_engine(twin_path, world=world, fault=valve, query_deadline_s=0.5) as rig:
        valve.open, valve.passing = False, 4
        query = rig.run(*YEAR)
    assert query.state == pb.QUERY_STATE_PARTIAL
    assert {gap.code for gap in query.receipt.failed_ranges} == {"QUERY_TIMEOUT"}
    assert (query.receipt.chunks.run, query.receipt.chunks.failed) == (4, 9)


def test_second_attempts_end_with_their_budget(twin_path: Path, valve: Valve, world: World) -> None:
    with serving_engine(twin_path, world=world, fault=valve, chunk_retry_count=0) as rig:
        valve.failing = 1
        query = rig.run("2025-01-01", "2025-01-31")
    assert [gap.code for gap in query.receipt.failed_ranges] == ["WAREHOUSE_UNAVAILABLE"]


def test_an_answer_that_expired_is_not_called_completed(rig: EngineRig, world: World) -> None:
    query = rig.run(*YEAR)
    assert state_of(rig, query.query_id).state == pb.QUERY_STATE_COMPLETED
    assert isinstance(world.cache, MemoryFrameCache)
    world.cache.forget()
    with pytest.raises(NotFound) as of_state:
        state_of(rig, query.query_id)
    with pytest.raises(NotFound) as of_watch:
        rig.finish(query.query_id)
    retried = rig.stub.RetryQuery(pb.RetryQueryRequest(query_id=query.query_id)).query
    assert [caught.value.reason for caught in (of_state, of_watch)] == ["CACHE_EXPIRED"] * 2
    assert rig.finish(retried.query_id).state == pb.QUERY_STATE_COMPLETED


def test_a_partial_answer_of_a_running_query_calls_nothing_failed_that_is_still_to_come(
    rig: EngineRig, valve: Valve
) -> None:
    with stalled(rig, valve, done=4) as query_id:
        answer = rig.read(pb.ReadViewRequest(query_id=query_id, views=["list"], allow_partial=True))["list"]
    assert "still to come" in answer.receipt.plan
    assert "failed" not in answer.receipt.plan


def test_a_cache_that_is_away_while_a_reference_is_pinned_is_asked_once_more(twin_path: Path, world: World) -> None:
    cache = RestartedCache(SystemClock())
    with serving_engine(twin_path, world=replace(world, cache=cache)) as rig:
        assert rig.run("2025-01-01", "2025-01-31").state == pb.QUERY_STATE_COMPLETED
    assert cache.refused


def test_a_view_of_a_running_query_is_not_ready(rig: EngineRig, valve: Valve) -> None:
    with stalled(rig, valve, done=2) as query_id, pytest.raises(FailedPrecondition) as caught:
        rig.views(query_id, "trend")
    assert caught.value.reason == "QUERY_NOT_READY"


def test_a_partial_view_of_a_running_query_names_what_is_missing(rig: EngineRig, valve: Valve) -> None:
    with stalled(rig, valve, done=4) as query_id:
        answer = rig.read(pb.ReadViewRequest(query_id=query_id, views=["list"], allow_partial=True))["list"]
    assert answer.receipt.status == table_pb2.COMPLETENESS_PARTIAL
    assert len(answer.receipt.failed_ranges) == 9
    assert {item.code for item in answer.receipt.failed_ranges} == {"QUERY_NOT_READY"}


def test_a_query_run_again_answers_from_its_last_manifest_meanwhile(rig: EngineRig, valve: Valve) -> None:
    query = rig.run(*YEAR)
    valve.open, valve.passing = False, 0
    rig.start(*YEAR, no_cache=True)
    assert rig.views(query.query_id, "list")["list"].receipt.status == table_pb2.COMPLETENESS_COMPLETE
    valve.open = True


def test_watching_shows_the_query_first_as_it_stands_and_last_in_its_final_state(rig: EngineRig) -> None:
    query = rig.start(*YEAR)
    seen = [item.query for item in rig.stub.WatchQuery(pb.WatchQueryRequest(query_id=query.query_id))]
    assert seen[0].progress.total_count == 13
    assert (seen[-1].state, seen[-1].progress.percent) == (pb.QUERY_STATE_COMPLETED, 100.0)
    assert [item.progress.completed_count for item in seen] == sorted(item.progress.completed_count for item in seen)


def test_watchers_beyond_the_cap_are_refused_until_one_leaves(twin_path: Path, valve: Valve, world: World) -> None:
    with serving_engine(twin_path, world=world, fault=valve, max_watcher_count=1) as rig:
        valve.open, valve.passing = False, 0
        query_id = rig.start(*YEAR).query_id
        with rig.watching(query_id) as watch:
            next(watch)
            with pytest.raises(ResourceExhausted) as caught:
                next(rig.watching(query_id))
            assert caught.value.retry_after_s == 2.0
        poll_until(lambda: _can_watch(rig, query_id), WAIT_S, "the place to come free")


def _can_watch(rig: EngineRig, query_id: str) -> bool:
    try:
        with rig.watching(query_id) as watch:
            return bool(next(watch).query.query_id)
    except ResourceExhausted:
        return False


def test_queries_beyond_the_cap_are_refused(twin_path: Path, valve: Valve, world: World) -> None:
    with serving_engine(twin_path, world=world, fault=valve, max_running_query_count=1) as rig:
        valve.open, valve.passing = False, 0
        rig.start(*YEAR)
        with pytest.raises(ResourceExhausted) as caught:
            rig.start(*YEAR_AND_A_WEEK)
    assert caught.value.reason == "RATE_LIMITED"


def test_a_transient_failure_is_tried_once_more(rig: EngineRig, valve: Valve) -> None:
    valve.failing = 1
    assert rig.run("2025-01-01", "2025-01-31").state == pb.QUERY_STATE_COMPLETED


def test_a_chunk_that_fails_twice_is_failed(rig: EngineRig, valve: Valve) -> None:
    valve.failing = 4
    query = rig.run("2025-01-01", "2025-01-31")
    assert (query.state, query.error_code) == (pb.QUERY_STATE_FAILED, "WAREHOUSE_UNAVAILABLE")


def test_without_the_cache_a_start_says_so_and_works_once_it_is_back(rig: EngineRig, world: World) -> None:
    assert isinstance(world.cache, MemoryFrameCache)
    world.cache.away = True
    with pytest.raises(Unavailable) as caught:
        rig.start(*YEAR)
    world.cache.away = False
    assert caught.value.reason == "SERVICE_UNAVAILABLE"
    assert rig.run(*YEAR).state == pb.QUERY_STATE_COMPLETED


def test_a_cache_that_forgot_everything_makes_views_expire_and_the_query_run_again(
    rig: EngineRig, world: World
) -> None:
    query = rig.run(*YEAR)
    assert isinstance(world.cache, MemoryFrameCache)
    world.cache.forget()
    with pytest.raises(NotFound) as caught:
        rig.views(query.query_id, "trend")
    assert caught.value.reason == "CACHE_EXPIRED"
    assert rig.run(*YEAR).receipt.chunks.run == 13


def test_a_query_whose_process_went_away_is_interrupted_and_resumes_with_what_is_missing(
    twin_path: Path, valve: Valve, world: World
) -> None:
    state = world.state
    assert state is not None
    with serving_engine(twin_path, world=replace(world, state=MemoryState(SystemClock())), fault=valve) as rig:
        with stalled(rig, valve, done=5) as query_id:
            record = json_format.MessageToJson(state_of(rig, query_id))
            rig.stub.CancelQuery(pb.CancelQueryRequest(query_id=query_id, force=True))
        # The cache outlives the engine; what a killed engine leaves is its record and nobody's lease.
        frames = world.cache
        assert isinstance(frames, MemoryFrameCache)
        kept = [frame.frame_id for frame in frames.list_frames({"dataset": "hold-history"})]
        state.write_query(query_id, record, 60)
        survivor = World(cache=frames, state=state, clock=world.clock)
        with serving_engine(twin_path, world=survivor) as successor:
            found = state_of(successor, query_id)
            watched = successor.finish(query_id)
            resumed = successor.finish(
                successor.stub.RetryQuery(pb.RetryQueryRequest(query_id=query_id)).query.query_id
            )
    assert len(kept) == 5
    assert (found.state, found.error_code, watched.error_code) == (pb.QUERY_STATE_FAILED, "INTERRUPTED", "INTERRUPTED")
    assert (resumed.state, resumed.receipt.chunks.reused) == (pb.QUERY_STATE_COMPLETED, 5)


def test_a_successor_knows_a_finished_query_from_its_manifest_alone(
    rig: EngineRig, twin_path: Path, world: World
) -> None:
    query = rig.run(*YEAR)
    forgetful = replace(world, state=MemoryState(SystemClock()))
    with serving_engine(twin_path, world=forgetful) as successor:
        found = state_of(successor, query.query_id)
        assert (found.state, found.dataset) == (pb.QUERY_STATE_COMPLETED, "hold-history")
        assert json_format.MessageToDict(found.parameters) == {"start_date": YEAR[0], "end_date": YEAR[1]}
        assert successor.views(query.query_id, "list")["list"].table.num_rows > 0


def test_progress_and_pointers_are_shown_under_their_keys(rig: EngineRig, world: World) -> None:
    # B2.8, B2.13, B2.14
    query = rig.run(*YEAR)
    state = world.state
    assert state is not None
    rig.process.coordinator.close()
    progress = state.read_progress("hold-history", query.query_id)
    pointers = [state.read_chunk("hold-history", query.query_id, index) for index in range(13)]
    assert progress is not None
    assert (progress["status"], progress["total"], progress["completed"]) == ("completed", "13", "13")
    assert all(pointers)


def test_a_dataset_may_give_its_queries_less_time_than_the_process(
    twin_path: Path, valve: Valve, world: World, tmp_path: Path
) -> None:
    datasets = datasets_with(tmp_path / "datasets", {"[limits]\n": "[limits]\ndeadline_s = 1\n"})
    with serving_engine(twin_path, world=world, fault=valve, datasets_dir=datasets) as rig:
        valve.open, valve.passing = False, 4
        query = rig.run(*YEAR)
    assert {gap.code for gap in query.receipt.failed_ranges} == {"QUERY_TIMEOUT"}
