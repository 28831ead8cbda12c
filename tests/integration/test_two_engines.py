"""Two engines, one Redis, one cache, one plant: what both want is read once, and one finishes what the other began."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sluice.query.v1 import query_service_pb2 as pb

from tests.engine_pair import EnginePair, PairedEngine, engine_pair
from tests.polling import poll_until

YEAR = ("2025-01-01", "2025-12-31")
YEAR_AND_A_WEEK = ("2025-01-01", "2026-01-07")
SLOW = [{"statement": "slice", "delay_s": 0.15}, {"statement": "carry_in", "delay_s": 0.15}]
FIRST_CHUNK = {"statement": "slice", "start_time": "2024-12-31T07:30:00"}
HANGS = [{"statement": "slice", "delay_s": 60}, {"statement": "carry_in", "delay_s": 60}]
LONGEST_LEASE_S = 10.0


@pytest.fixture
def pair(tmp_path: Path, twin_path: Path, redis_url: str) -> Iterator[EnginePair]:
    with engine_pair(tmp_path, twin_path, redis_url) as pair:
        yield pair


@pytest.fixture
def leases(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def held(leases: redis.Redis) -> list[str]:
    return sorted(leases.scan_iter("query:lease:*"))


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


def test_the_same_query_from_both_engines_reads_each_chunk_once(pair: EnginePair, leases: redis.Redis) -> None:
    pair.one.faults(SLOW)
    pair.other.faults(SLOW)
    ended = finish_both(pair, pair.one.start(*YEAR), pair.other.start(*YEAR))
    assert [query.state for query in ended] == [pb.QUERY_STATE_COMPLETED] * 2
    assert set(Counter(pair.chunk_statements()).values()) == {1}
    assert len(pair.chunk_statements()) == 13
    assert sum(query.receipt.warehouse_statement_count for query in ended) == pair.statements.count()
    assert held(leases) == []


def test_overlapping_queries_from_both_engines_share_every_chunk(pair: EnginePair) -> None:
    pair.one.faults(SLOW)
    pair.other.faults(SLOW)
    ended = finish_both(pair, pair.one.start(*YEAR), pair.other.start(*YEAR_AND_A_WEEK))
    assert [query.state for query in ended] == [pb.QUERY_STATE_COMPLETED] * 2
    assert set(Counter(pair.chunk_statements()).values()) == {1}
    assert len(pair.chunk_statements()) == 14


def test_a_query_that_its_engine_gave_up_is_finished_by_the_other(pair: EnginePair, leases: redis.Redis) -> None:
    pair.one.faults(HANGS)
    query_id = pair.one.start(*YEAR)
    poll_until(lambda: len(held(leases)) == 3, 20, "chunks of the first engine")
    pair.other.start(*YEAR)
    pair.one.stub.CancelQuery(pb.CancelQueryRequest(query_id=query_id, force=True))
    assert pair.other.finish(query_id).state == pb.QUERY_STATE_COMPLETED


class Killed:
    """What an engine had done when it was killed, and when that was."""

    def __init__(self, pair: EnginePair) -> None:
        self.frame_count = pair.frame_count()
        self.statement_count = len(pair.chunk_statements())
        self.time = time.monotonic()


def check_the_other_finishes(pair: EnginePair, query_id: str, killed: Killed, leases: redis.Redis) -> None:
    """Demand that the other engine reads exactly what had not landed, and that no lease of the dead one is left."""
    ended = pair.other.finish(query_id)
    assert ended.state == pb.QUERY_STATE_COMPLETED
    assert len(pair.chunk_statements()) - killed.statement_count == 13 - killed.frame_count
    poll_until(lambda: held(leases) == [], LONGEST_LEASE_S - (time.monotonic() - killed.time), "leases to end")


def kill(pair: EnginePair, engine: PairedEngine) -> Killed:
    engine.kill()
    return Killed(pair)


def test_owner_killed_in_the_middle_of_statements(pair: EnginePair, leases: redis.Redis) -> None:
    pair.one.faults([{**FIRST_CHUNK, "delay_s": 0}, *HANGS])
    query_id = pair.one.start(*YEAR)
    poll_until(lambda: pair.frame_count() == 1 and len(held(leases)) == 3, 20, "statements of the first engine")
    pair.other.start(*YEAR)
    check_the_other_finishes(pair, query_id, kill(pair, pair.one), leases)


def test_owner_killed_while_it_waits_for_a_permit(
    tmp_path: Path, twin_path: Path, redis_url: str, leases: redis.Redis
) -> None:
    with engine_pair(tmp_path, twin_path, redis_url, {"SLOW_MAX_CONCURRENT": "1"}) as pair:
        pair.one.faults(HANGS)
        pair.one.start("2024-01-01", "2024-01-31")
        poll_until(lambda: len(held(leases)) == 1, 20, "the chunk that holds the only permit")
        query_id = pair.one.start(*YEAR)
        poll_until(lambda: len(held(leases)) >= 2, 20, "a lease without a permit")
        pair.other.start(*YEAR)
        check_the_other_finishes(pair, query_id, kill(pair, pair.one), leases)


def test_owner_killed_before_it_has_a_lease(pair: EnginePair, leases: redis.Redis) -> None:
    pair.one.faults([{"statement": "workcenter_groups", "delay_s": 60}])
    query_id = pair.one.start(*YEAR)
    poll_until(lambda: leases.keys("query:pending:*"), 20, "announced chunks")
    assert held(leases) == []
    pair.other.start(*YEAR)
    check_the_other_finishes(pair, query_id, kill(pair, pair.one), leases)


def test_owner_killed_between_a_frame_and_the_note_of_it(
    tmp_path: Path, twin_path: Path, redis_url: str, leases: redis.Redis
) -> None:
    leases.acl_setuser("first", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all"])
    first_url = redis_url.replace("redis://", "redis://first:secret@")
    with engine_pair(tmp_path, twin_path, redis_url, first_redis_url=first_url) as pair:
        pair.one.faults([{**FIRST_CHUNK, "delay_s": 1}, *HANGS])
        query_id = pair.one.start(*YEAR)
        poll_until(lambda: len(held(leases)) == 3, 20, "chunks of the first engine")
        # From here on the first engine writes nothing to Redis: its frame lands, and nobody is told.
        leases.acl_setuser("first", commands=["-@all"])
        poll_until(lambda: pair.frame_count() == 1, 20, "the frame")
        killed = kill(pair, pair.one)
        leases.acl_deluser("first")
        assert leases.keys("query:landed:*") == []
        pair.other.start(*YEAR)
        check_the_other_finishes(pair, query_id, killed, leases)


def test_owner_killed_while_it_composes_the_manifest(pair: EnginePair, leases: redis.Redis) -> None:
    query_id = pair.one.start(*YEAR)
    for query in pair.one.watch(query_id):
        if query.progress.completed_count == 13:
            break
    killed = kill(pair, pair.one)
    assert query.state == pb.QUERY_STATE_RUNNING
    pair.other.start(*YEAR)
    check_the_other_finishes(pair, query_id, killed, leases)
