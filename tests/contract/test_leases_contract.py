"""What every store of leases promises: one owner, lives by its own clock, fences that rise, late owners that lose."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis
from sluice_query_engine.leases import Landed, Lease, Leases, LeasesAway, MemoryLeases
from sluice_query_engine.leases_redis import RedisLeases
from sluice_query_engine.redis_link import RedisLink
from sluice_rpc.ports import SystemClock

from tests.polling import poll_until

CHUNK = "5eb63bbbe01eeed0:2026-01-01T07:30:00:2026-02-01T07:30:00"


@pytest.fixture(params=["memory", "redis", "redis with a prefix"])
def leases(request: pytest.FixtureRequest) -> Iterator[Leases]:
    clock = SystemClock()
    if request.param == "memory":
        yield MemoryLeases(clock)
        return
    prefix = "plant7:" if "prefix" in request.param else ""
    link = RedisLink(request.getfixturevalue("redis_url"), clock, prefix=prefix)
    yield RedisLeases(link)
    link.close()


@pytest.fixture(params=["memory", "redis"])
def away(request: pytest.FixtureRequest) -> Iterator[Leases]:
    clock = SystemClock()
    if request.param == "memory":
        lost = MemoryLeases(clock)
        lost.away = True
        yield lost
        return
    link = RedisLink("redis://127.0.0.1:1/0", clock)
    yield RedisLeases(link)
    link.close()


def taken(leases: Leases, token: str, life_s: float = 60.0) -> Lease:
    lease = leases.take(CHUNK, token, life_s)
    assert lease is not None
    return lease


def test_a_lease_is_given_to_one_owner_at_a_time(leases: Leases) -> None:
    lease = taken(leases, "one")
    assert leases.take(CHUNK, "two", 60) is None
    leases.release(lease)
    assert leases.take(CHUNK, "two", 60) is not None


def test_taking_twice_with_one_token_is_taking_once(leases: Leases) -> None:
    assert taken(leases, "one") == taken(leases, "one")


def test_of_many_who_take_at_once_one_gets_it(leases: Leases) -> None:
    got: list[Lease] = []
    start = threading.Barrier(8)

    def take(token: str) -> None:
        start.wait(10)
        lease = leases.take(CHUNK, token, 60)
        if lease is not None:
            got.append(lease)

    threads = [threading.Thread(target=take, args=(f"owner-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(got) == 1


def test_a_lease_ends_with_its_life(leases: Leases) -> None:
    taken(leases, "one", 0.05)
    poll_until(lambda: not leases.look(CHUNK).held, 5, "the lease to end")


def test_a_renewed_lease_outlives_its_first_life(leases: Leases) -> None:
    lease = taken(leases, "one", 0.3)
    assert leases.renew(lease, 60)
    assert leases.look(CHUNK).held


def test_a_lease_that_ended_is_not_renewed(leases: Leases) -> None:
    lease = taken(leases, "one", 0.05)
    poll_until(lambda: not leases.look(CHUNK).held, 5, "the lease to end")
    assert not leases.renew(lease, 60)
    assert not leases.look(CHUNK).held


def test_an_owner_of_before_neither_renews_nor_releases_the_lease_of_its_successor(leases: Leases) -> None:
    before = taken(leases, "one", 0.05)
    poll_until(lambda: not leases.look(CHUNK).held, 5, "the lease to end")
    after = taken(leases, "two")
    leases.release(before)
    assert not leases.renew(before, 60)
    assert leases.renew(after, 60)


def test_fences_rise_from_owner_to_owner_and_from_chunk_to_chunk(leases: Leases) -> None:
    first = taken(leases, "one")
    other = leases.take("another chunk", "one", 60)
    leases.release(first)
    second = taken(leases, "two")
    assert other is not None
    assert first.fence < other.fence < second.fence


def test_landing_leaves_the_record_and_frees_the_lease(leases: Leases) -> None:
    lease = taken(leases, "one")
    assert leases.land(lease, '{"frame_id":"chunk-ä"}', 60)
    sight = leases.look(CHUNK)
    assert (sight.held, sight.landed) == (False, Landed(lease.fence, '{"frame_id":"chunk-ä"}'))


def test_landing_twice_is_landing_once(leases: Leases) -> None:
    lease = taken(leases, "one")
    assert leases.land(lease, "a", 60)
    assert leases.land(lease, "a", 60)


def test_a_late_owner_lands_nothing_while_its_successor_reads(leases: Leases) -> None:
    late = taken(leases, "one", 0.05)
    poll_until(lambda: not leases.look(CHUNK).held, 5, "the lease to end")
    successor = taken(leases, "two")
    assert not leases.land(late, "late", 60)
    assert leases.look(CHUNK).landed is None
    assert leases.renew(successor, 60)


def test_a_late_owner_never_replaces_what_its_successor_left(leases: Leases) -> None:
    late = taken(leases, "one", 0.05)
    poll_until(lambda: not leases.look(CHUNK).held, 5, "the lease to end")
    successor = taken(leases, "two")
    assert leases.land(successor, "newer", 60)
    assert not leases.land(late, "late", 60)
    assert leases.look(CHUNK).landed == Landed(successor.fence, "newer")


def test_an_owner_whose_lease_ended_unseen_lands_while_nobody_followed(leases: Leases) -> None:
    lease = taken(leases, "one", 0.05)
    poll_until(lambda: not leases.look(CHUNK).held, 5, "the lease to end")
    assert leases.land(lease, "only", 60)


def test_a_record_ends_with_its_life(leases: Leases) -> None:
    leases.land(taken(leases, "one"), "short", 0.05)
    poll_until(lambda: leases.look(CHUNK).landed is None, 5, "the record to go")


def test_what_is_announced_is_seen_until_it_is_retracted(leases: Leases) -> None:
    leases.announce("series", ["a", "b"], 60)
    leases.announce("other series", ["c"], 60)
    leases.retract("series", ["a"])
    assert leases.announced("series") == ["b"]
    leases.retract("series", ["b"])
    assert leases.announced("series") == []


def test_what_is_announced_goes_with_whoever_announced_it(leases: Leases) -> None:
    leases.announce("series", ["dead"], 0.05)
    leases.announce("series", ["alive"], 60)
    poll_until(lambda: leases.announced("series") == ["alive"], 5, "the announcement to end")


def test_without_a_server_every_question_says_so(away: Leases) -> None:
    with pytest.raises(LeasesAway):
        away.take(CHUNK, "one", 60)
    with pytest.raises(LeasesAway):
        away.look(CHUNK)
    with pytest.raises(LeasesAway):
        away.land(Lease(CHUNK, "one", 1), "x", 60)
    assert away.degraded


def test_fences_go_on_rising_when_the_server_comes_back_empty(redis_url: str) -> None:
    link = RedisLink(redis_url, SystemClock())
    store = RedisLeases(link)
    before = taken(store, "one")
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    assert taken(store, "two").fence > before.fence
    link.close()


def test_keys_belong_to_the_query_engine_and_live_no_longer_than_their_lease(redis_url: str) -> None:
    link = RedisLink(redis_url, SystemClock(), prefix="plant7:")
    store = RedisLeases(link)
    store.land(taken(store, "one", 6), "record", 60)
    taken(store, "two", 6)
    store.announce("series", ["a"], 6)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        lives = {key: client.ttl(key) for key in client.scan_iter("plant7:query:*")}
        everything = set(client.scan_iter("*"))
    assert everything == set(lives)
    assert 0 < lives.pop(f"plant7:query:lease:{CHUNK}") <= 6
    assert 0 < lives.pop("plant7:query:pending:series") <= 6
    assert 0 < lives.pop(f"plant7:query:landed:{CHUNK}") <= 60
    assert set(lives) == {"plant7:query:fence"}
    link.close()
