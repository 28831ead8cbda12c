"""Progress as others see it in Redis: every field, every pointer, every life, while a query runs and after it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import redis
from sluice.query.v1 import query_service_pb2 as pb
from sluice_query_engine.bootstrap import World
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_rpc.ports import SystemClock
from sluice_warehouse import Bind, Statement
from sluice_warehouse.errors import WarehouseError
from sluice_warehouse.faults import Fault

from tests.engine_rig import EngineRig, serving_engine
from tests.polling import poll_until

YEAR = ("2025-01-01", "2025-12-31")
DATASET = "hold-history"
FIELDS = {
    "total",
    "completed",
    "failed",
    "pct",
    "status",
    "has_partial_failure",
    "failed_chunk_count",
    "failed_ranges",
}
FAILING = "2025-02-01T07:30:00"


class Faults:
    """Hangs, or fails one chunk, when told to."""

    def __init__(self) -> None:
        self.hanging = False
        self.failing = False

    def __call__(self, statement: Statement, binds: Mapping[str, Bind]) -> Fault | None:
        if statement.name != "slice":
            return None
        start = str(getattr(binds["start_time"], "isoformat", str)())
        if self.hanging and start > FAILING:
            return Fault(delay_s=60.0)
        if self.failing and "2025-03" in start:
            return Fault(error=WarehouseError(600))
        return None


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def rig(twin_path: Path, redis_url: str, faults: Faults) -> Iterator[EngineRig]:
    world = World(cache=MemoryFrameCache(SystemClock()))
    with serving_engine(twin_path, world=world, fault=faults, redis_url=redis_url) as rig:
        yield rig


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def progress_of(client: redis.Redis, query_id: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in client.hgetall(f"batch:{DATASET}:{query_id}:meta").items()}


def test_a_finished_query_shows_all_fields_and_a_pointer_per_chunk(rig: EngineRig, client: redis.Redis) -> None:
    # B2.8, B2.14
    query = rig.run(*YEAR)
    meta = f"batch:{DATASET}:{query.query_id}:meta"
    poll_until(lambda: progress_of(client, query.query_id).get("status") == "completed", 10, "the last write")
    keys = set(client.scan_iter("batch:*"))
    assert progress_of(client, query.query_id) == {
        "total": "13",
        "completed": "13",
        "failed": "0",
        "pct": "100.0",
        "status": "completed",
        "has_partial_failure": "False",
        "failed_chunk_count": "0",
        "failed_ranges": "[]",
    }
    assert keys == {meta, *(f"batch:{DATASET}:{query.query_id}:chunk:{index}" for index in range(13))}
    assert all(890 < client.ttl(key) <= 900 for key in keys)


def test_a_running_query_shows_how_far_it_is_in_redis_and_to_watchers(
    rig: EngineRig, client: redis.Redis, faults: Faults
) -> None:
    faults.hanging = True
    query = rig.start(*YEAR)
    poll_until(lambda: progress_of(client, query.query_id).get("completed") == "2", 20, "two chunks")
    shown = progress_of(client, query.query_id)
    with rig.watching(query.query_id) as watch:
        seen = next(watch).query.progress
    assert set(shown) == FIELDS
    assert (shown["total"], shown["pct"], shown["status"]) == ("13", "15.4", "running")
    assert (seen.total_count, seen.completed_count, seen.percent) == (13, 2, 15.4)
    assert seen.remaining_s > 0
    assert seen.row_count == sum(chunk.row_count for chunk in seen.chunks) > 0
    rig.stub.CancelQuery(pb.CancelQueryRequest(query_id=query.query_id, force=True))
    poll_until(lambda: progress_of(client, query.query_id)["status"] == "cancelled", 10, "the end")


def test_a_partial_query_names_its_failed_ranges(rig: EngineRig, client: redis.Redis, faults: Faults) -> None:
    # B2.13
    faults.failing = True
    query = rig.run(*YEAR)
    poll_until(lambda: progress_of(client, query.query_id).get("status") == "partial", 10, "the last write")
    shown = progress_of(client, query.query_id)
    gaps = [{"start": gap.start, "end": gap.end} for gap in query.receipt.failed_ranges]
    assert (shown["failed"], shown["failed_chunk_count"], shown["has_partial_failure"]) == ("1", "1", "True")
    assert json.loads(shown["failed_ranges"]) == gaps
    assert len(list(client.scan_iter("batch:*:chunk:*"))) == 12


def test_chunks_that_are_used_again_have_their_pointers_too(rig: EngineRig, client: redis.Redis) -> None:
    first = rig.run(*YEAR)
    second = rig.run("2025-01-01", "2025-06-30")
    assert second.receipt.chunks.run == 0
    reused = [client.get(f"batch:{DATASET}:{second.query_id}:chunk:{index}") for index in range(7)]
    there = {client.get(f"batch:{DATASET}:{first.query_id}:chunk:{index}") for index in range(13)}
    assert set(reused) <= there
    assert all(reused)


def test_a_redis_that_comes_back_empty_shows_a_running_query_again(
    rig: EngineRig, client: redis.Redis, faults: Faults
) -> None:
    faults.hanging = True
    query = rig.start(*YEAR)
    poll_until(lambda: progress_of(client, query.query_id).get("completed") == "2", 20, "two chunks")
    client.flushall()
    poll_until(lambda: progress_of(client, query.query_id).get("completed") == "2", 10, "the progress again")
    rig.stub.CancelQuery(pb.CancelQueryRequest(query_id=query.query_id, force=True))


def test_a_redis_that_is_away_is_said_in_the_receipt_and_the_metrics_and_changes_nothing_else(twin_path: Path) -> None:
    world = World(cache=MemoryFrameCache(SystemClock()))
    with serving_engine(twin_path, world=world, redis_url="redis://127.0.0.1:1/0") as rig:
        query = rig.run(*YEAR)
    assert query.state == pb.QUERY_STATE_COMPLETED
    assert query.receipt.plan.endswith("Redis is away, so another engine may have read the same")


def test_the_dba_reads_the_user_beside_the_request(twin_path: Path, tmp_path: Path) -> None:
    log_path = tmp_path / "statements.jsonl"
    world = World(cache=MemoryFrameCache(SystemClock()))
    with serving_engine(twin_path, world=world, statement_log=log_path) as rig:
        request = pb.StartQueryRequest(dataset=DATASET)
        request.parameters.update({"start_date": "2025-01-01", "end_date": "2025-01-31"})
        metadata = (("x-sluice-user", "%E7%8E%8B%E5%B0%8F%E6%98%8E"), ("x-request-id", "r" * 32))
        rig.finish(rig.stub.StartQuery(request, metadata=metadata).query.query_id)
    started = [json.loads(line) for line in log_path.read_text(encoding="utf-8").splitlines() if "client_id" in line]
    assert {line["client_id"] for line in started} == {"王小明 " + "r" * 32}
    assert "hold-history slice 2024-12-31T07:30:00" in {line["action"] for line in started}
