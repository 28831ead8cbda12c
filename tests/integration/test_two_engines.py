"""Two engines, one Redis, one cache, one plant: what both want is read once, and one finishes what the other began."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.query.v1 import query_service_pb2 as pb
from sluice_client.redis_server import RedisServer

from tests.engine_pair import EngineHome, EnginePair, PairedEngine, engine_home
from tests.polling import poll_until

SLOW = [{"statement": "slice", "delay_s": 0.15}, {"statement": "carry_in", "delay_s": 0.15}]
HANGS = [{"statement": "slice", "delay_s": 60}, {"statement": "carry_in", "delay_s": 60}]
LONGEST_LEASE_S = 10.0


@pytest.fixture(scope="module")
def redis_of_engines(redis_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis that nobody empties under the engines."""
    with RedisServer(redis_program, tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="module")
def home(redis_of_engines: str, twin_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHome]:
    with engine_home(tmp_path_factory.mktemp("engines"), twin_path, redis_of_engines) as home:
        yield home


@pytest.fixture
def pair(home: EngineHome) -> Iterator[EnginePair]:
    with home.pair() as pair:
        yield pair


@pytest.fixture
def leases(redis_of_engines: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_of_engines, decode_responses=True) as client:
        for key in client.scan_iter("query:*"):
            client.delete(key)
        yield client


@dataclass(frozen=True)
class Year:
    """A year that no other test has read: 13 chunks. Reads are counted in statements, so it needs no rows."""

    number: int

    @property
    def whole(self) -> tuple[str, str]:
        """First and last day."""
        return f"{self.number}-01-01", f"{self.number}-12-31"

    @property
    def and_a_week(self) -> tuple[str, str]:
        """First day, and last of a week more."""
        return f"{self.number}-01-01", f"{self.number + 1}-01-07"

    @property
    def first_chunk(self) -> dict[str, object]:
        """The rule that fits the first slice only."""
        return {"statement": "slice", "start_time": f"{self.number - 1}-12-31T07:30:00"}


@pytest.fixture
def year(request: pytest.FixtureRequest) -> Year:
    names = sorted(item.name for item in request.session.items if item.path == request.path)
    return Year(2020 - 3 * names.index(request.node.name))


def held(leases: redis.Redis) -> list[str]:
    """Return the leases on chunks; those on running a query come besides."""
    return sorted(key for key in leases.scan_iter("query:lease:*") if not key.startswith("query:lease:owner:"))


def finish_both(pair: EnginePair, first: str, second: str) -> list[pb.Query]:
    ended: list[pb.Query] = []
    threads = [
        threading.Thread(target=lambda engine=engine, query=query: ended.append(engine.finish(query)))
        for engine, query in ((pair.one, first), (pair.other, second))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return ended


def test_the_same_query_from_both_engines_reads_each_chunk_once(
    pair: EnginePair, year: Year, leases: redis.Redis
) -> None:
    pair.one.faults(SLOW)
    pair.other.faults(SLOW)
    ended = finish_both(pair, pair.one.start(*year.whole), pair.other.start(*year.whole))
    assert [query.state for query in ended] == [pb.QUERY_STATE_COMPLETED] * 2
    assert set(Counter(pair.chunk_statements()).values()) == {1}
    assert len(pair.chunk_statements()) == 13
    assert sum(query.receipt.warehouse_statement_count for query in ended) == len(pair.started())
    assert held(leases) == []


def test_rows_of_now_are_not_replaced_by_older_ones_that_the_other_engine_began_to_read_before(
    pair: EnginePair, year: Year
) -> None:
    pair.one.faults([{"statement": "slice", "delay_s": 1.0}])
    query_id = pair.one.start(*year.whole)
    poll_until(pair.frame_count, 60)
    anew = pair.other.finish(pair.other.start(*year.whole, no_cache=True))
    slow = pair.one.finish(query_id)
    assert [anew.state, slow.state] == [pb.QUERY_STATE_COMPLETED] * 2
    manifest = pair.cache.GetManifest(frames.GetManifestRequest(manifest_id=query_id)).manifest
    assert manifest.receipt.read_time.ToDatetime() >= anew.receipt.read_time.ToDatetime()


def test_overlapping_queries_from_both_engines_share_every_chunk(pair: EnginePair, year: Year) -> None:
    pair.one.faults(SLOW)
    pair.other.faults(SLOW)
    ended = finish_both(pair, pair.one.start(*year.whole), pair.other.start(*year.and_a_week))
    assert [query.state for query in ended] == [pb.QUERY_STATE_COMPLETED] * 2
    assert set(Counter(pair.chunk_statements()).values()) == {1}
    assert len(pair.chunk_statements()) == 14


def test_a_query_that_its_engine_gave_up_is_finished_by_the_other(
    pair: EnginePair, year: Year, leases: redis.Redis
) -> None:
    pair.one.faults(HANGS)
    query_id = pair.one.start(*year.whole)
    poll_until(lambda: len(held(leases)) == 3, 20, "chunks of the first engine")
    pair.other.start(*year.whole)
    pair.one.stub.CancelQuery(pb.CancelQueryRequest(query_id=query_id, force=True))
    assert pair.other.finish(query_id).state == pb.QUERY_STATE_COMPLETED


def check_the_other_finishes(pair: EnginePair, query_id: str, killed: float, leases: redis.Redis) -> None:
    """Demand that no chunk that had been read is read again, and that no lease of the dead engine is left.

    What the dead engine had only begun stands without an end in the warehouse's log.
    """
    ended = pair.other.finish(query_id)
    assert ended.state == pb.QUERY_STATE_COMPLETED
    assert set(Counter(pair.completed()).values()) == {1}
    assert len(pair.completed()) == pair.frame_count() == 13
    poll_until(lambda: held(leases) == [], LONGEST_LEASE_S - (time.monotonic() - killed), "leases to end")


def kill(engine: PairedEngine) -> float:
    """Kill an engine and return when."""
    engine.kill()
    return time.monotonic()


def test_owner_killed_in_the_middle_of_statements(pair: EnginePair, year: Year, leases: redis.Redis) -> None:
    pair.one.faults([{**year.first_chunk, "delay_s": 0}, *HANGS])
    query_id = pair.one.start(*year.whole)
    poll_until(lambda: pair.frame_count() == 1 and len(held(leases)) == 3, 20, "statements of the first engine")
    pair.other.start(*year.whole)
    check_the_other_finishes(pair, query_id, kill(pair.one), leases)


def test_owner_killed_between_two_batches_of_rows(pair: EnginePair, leases: redis.Redis) -> None:
    # A year in which the plant has rows; those of the other tests lie before its first.
    year = Year(2025)
    pair.one.faults([{**rule, "hang_after_row_count": 1} for rule in HANGS])
    query_id = pair.one.start(*year.whole)
    poll_until(lambda: pair.one.get(query_id).progress.row_count > 0, 20, "rows of a chunk that has not ended")
    assert pair.frame_count() == 0
    pair.other.start(*year.whole)
    check_the_other_finishes(pair, query_id, kill(pair.one), leases)


def test_owner_killed_while_it_waits_for_a_permit(home: EngineHome, year: Year, leases: redis.Redis) -> None:
    with home.pair({"SLUICE_PERMIT_SHARES": "query-engine=1"}) as pair:
        pair.one.faults(HANGS)
        pair.one.start("1971-01-01", "1971-01-31")
        poll_until(lambda: len(held(leases)) == 1, 20, "the chunk that holds the only permit")
        query_id = pair.one.start(*year.whole)
        poll_until(lambda: len(held(leases)) >= 2, 20, "a lease without a permit")
        pair.other.start(*year.whole)
        check_the_other_finishes(pair, query_id, kill(pair.one), leases)


def test_owner_killed_before_it_has_a_lease(tmp_path: Path, twin_path: Path, redis_url: str, year: Year) -> None:
    # A cache of its own: where no reference is there yet, its look-up keeps the engine from its chunks.
    with (
        engine_home(tmp_path, twin_path, redis_url) as home,
        home.pair() as pair,
        redis.Redis.from_url(redis_url, decode_responses=True) as leases,
    ):
        pair.one.faults([{"statement": "workcenter_groups", "delay_s": 60}])
        query_id = pair.one.start(*year.whole)
        assert leases.keys("query:pending:*")
        assert held(leases) == []
        pair.other.start(*year.whole)
        check_the_other_finishes(pair, query_id, kill(pair.one), leases)


def test_owner_killed_between_a_frame_and_the_note_of_it(home: EngineHome, year: Year, leases: redis.Redis) -> None:
    leases.acl_setuser("first", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all"])
    first_url = home.redis_url.replace("redis://", "redis://first:secret@")
    with home.pair(first_redis_url=first_url) as pair:
        pair.one.faults([{**year.first_chunk, "delay_s": 1}, *HANGS])
        query_id = pair.one.start(*year.whole)
        poll_until(lambda: len(held(leases)) == 3, 20, "chunks of the first engine")
        # From here on the first engine writes nothing to Redis: its frame lands, and nobody is told.
        leases.acl_setuser("first", commands=["-@all"])
        poll_until(lambda: pair.frame_count() == 1, 20, "the frame")
        killed = kill(pair.one)
        leases.acl_deluser("first")
        assert leases.keys("query:landed:*") == []
        pair.other.start(*year.whole)
        check_the_other_finishes(pair, query_id, killed, leases)


def test_owner_killed_while_it_composes_the_manifest(pair: EnginePair, year: Year, leases: redis.Redis) -> None:
    query_id = pair.one.start(*year.whole)
    for query in pair.one.watch(query_id):
        if query.progress.completed_count == 13:
            break
    killed = kill(pair.one)
    assert query.state == pb.QUERY_STATE_RUNNING
    pair.other.start(*year.whole)
    check_the_other_finishes(pair, query_id, killed, leases)


def test_a_query_of_one_engine_is_cancelled_through_the_other(
    pair: EnginePair, year: Year, leases: redis.Redis
) -> None:
    pair.one.faults(HANGS)
    query_id = pair.one.start(*year.whole)
    poll_until(lambda: len(held(leases)) == 3, 20, "chunks of the first engine")
    assert pair.other.get(query_id).state == pb.QUERY_STATE_RUNNING
    pair.other.stub.CancelQuery(pb.CancelQueryRequest(query_id=query_id))
    poll_until(lambda: pair.one.get(query_id).state == pb.QUERY_STATE_CANCELLED, 5, "the query to be cancelled")
    poll_until(lambda: held(leases) == [], 5, "leases to be given back")


def test_an_owner_that_stood_still_past_its_lease_neither_doubles_nor_replaces_what_its_successor_read(
    pair: EnginePair, year: Year, leases: redis.Redis
) -> None:
    pair.one.faults([{**year.first_chunk, "delay_s": 3}, *HANGS])
    query_id = pair.one.start(*year.whole)
    poll_until(lambda: len(held(leases)) == 3, 20, "chunks of the first engine")
    os.kill(pair.one.child.pid, signal.SIGSTOP)
    pair.other.start(*year.whole)
    assert pair.other.finish(query_id).state == pb.QUERY_STATE_COMPLETED
    os.kill(pair.one.child.pid, signal.SIGCONT)
    assert pair.one.finish(query_id).state == pb.QUERY_STATE_COMPLETED
    assert pair.frame_count() == 13
