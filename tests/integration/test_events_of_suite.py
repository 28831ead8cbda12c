"""Events from real processes: kept in the cache under a key of Redis, streamed in flat memory, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import psutil
import pytest
import redis
from sluice.health.v1 import details_service_pb2, details_service_pb2_grpc
from sluice.lineage.v1 import event_service_pb2 as pb
from sluice.lineage.v1 import event_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_client.ports import take_free
from sluice_rpc.client import open_channel
from sluice_rpc.healthcheck import problem_of
from sluice_rpc.interceptors import ResponseStream

from tests.event_rig import EventAnswer, received
from tests.polling import poll_until
from tests.running_suite import RunningSuite
from tests.unit.lineage.event_plants import container, held_plant

MIB = 1 << 20
LIMIT_MIB = 64
CONTAINERS = 20_000
HOLDS_EACH = 14


@dataclass(frozen=True)
class Lineage:
    """A lineage process on a quarter of a million holds, its buffers capped."""

    pid: int
    events: pb_grpc.EventServiceStub
    details: details_service_pb2_grpc.DetailsServiceStub

    def stream(self, ids: list[str]) -> ResponseStream:
        """Ask for an Arrow stream."""
        request = pb.ReadEventsRequest(domain="holds", container_ids=ids, format=pb.EVENT_FORMAT_ARROW)
        # The stub's annotations do not know the interceptor that wraps the call.
        stream: ResponseStream = self.events.ReadEvents(request, timeout=120)  # type: ignore[assignment]
        return stream

    def held_permits(self) -> int:
        """Return how many permits it holds, those in quarantine included."""
        return self.details.GetDetails(details_service_pb2.GetDetailsRequest(), timeout=10).permits.active_count


@pytest.fixture(scope="module")
def lineage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineage]:
    url = held_plant(tmp_path_factory.mktemp("plant") / "twin.duckdb", CONTAINERS, each=HOLDS_EACH, comment="x" * 250)
    target = f"127.0.0.1:{take_free(1)[0]}"
    settings = {
        "SLUICE_LINEAGE_LISTEN": target,
        "SLUICE_LINEAGE_WAREHOUSE_URL": url,
        "SLUICE_LINEAGE_WAREHOUSE_MEMORY_LIMIT_BYTES": str(64 * MIB),
        "SLUICE_PERMIT_SHARES": "lineage=3",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    command = [sys.executable, "-P", "-m", "sluice_lineage"]
    with subprocess.Popen(command, env={**inherited, **settings}, stdout=subprocess.DEVNULL) as process:
        poll_until(lambda: not problem_of(target), 60)
        with open_channel(target, "lineage") as channel:
            details = details_service_pb2_grpc.DetailsServiceStub(channel)
            yield Lineage(process.pid, pb_grpc.EventServiceStub(channel), details)
        process.terminate()


def test_a_large_request_is_streamed_in_flat_memory(lineage: Lineage) -> None:
    ids = [container(number) for number in range(CONTAINERS)]
    received(lineage.stream(ids[:5_000]))
    process = psutil.Process(lineage.pid)
    idle = process.memory_info().rss
    peak, size, end = idle, 0, pb.EventEnd()
    for response in lineage.stream(ids):
        peak = max(peak, process.memory_info().rss)
        size += len(response.chunk.ipc)
        end = response.end
    assert (end.receipt.row_count, end.receipt.status) == (CONTAINERS * HOLDS_EACH, table_pb2.COMPLETENESS_COMPLETE)
    # Were it held at once, it would not fit below the limit.
    assert (peak - idle < LIMIT_MIB * MIB, size > LIMIT_MIB * MIB) == (True, True), (peak - idle, size)


def test_a_caller_that_walks_away_leaves_no_permit_behind(lineage: Lineage) -> None:
    with lineage.stream([container(number) for number in range(CONTAINERS)]) as stream:
        for _ in range(3):
            next(stream)
        poll_until(lambda: lineage.held_permits() == 2, 60)
    poll_until(lambda: lineage.held_permits() == 0, 60)


@pytest.fixture(scope="module")
def ids(suite: RunningSuite) -> list[str]:
    """Some containers of the suite's plant."""
    with duckdb.connect(str(suite.plant), read_only=True) as connection:
        rows = connection.sql("select trim(CONTAINERID) from DWH.DW_MES_CONTAINER limit 200").fetchall()
    return [row[0] for row in rows]


def ask(suite: RunningSuite, ids: list[str], domain: str) -> EventAnswer:
    with open_channel(f"127.0.0.1:{suite.ports.lineage}", "lineage") as channel:
        request = pb.ReadEventsRequest(domain=domain, container_ids=ids)
        return received(pb_grpc.EventServiceStub(channel).ReadEvents(request, timeout=60))


@pytest.mark.parametrize("domain", ["history", "holds", "rejects"])
def test_the_second_answer_comes_from_the_cache_without_a_statement(
    suite: RunningSuite, ids: list[str], domain: str
) -> None:
    first = ask(suite, ids, domain)
    before = suite.statements.count()
    again = ask(suite, ids[::-1], domain)
    assert (first.receipt.warehouse_statement_count, suite.statements.count()) == (1, before)
    assert (again.records, again.receipt.tier) == (first.records, table_pb2.TIER_MEMORY)


def test_redis_points_to_the_frame_of_a_kept_answer(suite: RunningSuite, ids: list[str]) -> None:
    with redis.Redis(port=suite.ports.redis, decode_responses=True) as client:
        earlier = set(client.scan_iter("evt:materials:*"))
        ask(suite, ids[:7], "materials")
        [key] = set(client.scan_iter("evt:materials:*")) - earlier
        assert (client.get(key), 0 < client.ttl(key) <= 300) == (key.replace(":", "-"), True)
