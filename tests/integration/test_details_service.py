"""What a process tells of its warehouse, its permits and its Redis, over real gRPC and with the stand-in behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry
from sluice.health.v1 import details_service_pb2 as pb
from sluice.health.v1 import details_service_pb2_grpc as pb_grpc
from sluice_rpc.client import open_channel
from sluice_rpc.ports import FakeClock
from sluice_rpc.server import RpcServer
from sluice_rpc.settings import RpcServerSettings
from sluice_twin.oracle_wire import OracleWireServer
from sluice_warehouse import Warehouse
from sluice_warehouse.breaker import Breaker, BreakerRule
from sluice_warehouse.details import Links, details_service
from sluice_warehouse.guarded import GuardedWarehouse
from sluice_warehouse.permits import LocalPermits
from sluice_warehouse.pulse import REST_S

from tests.oracle_numbers import numbers_server
from tests.oracle_rig import Line, oracle

AT_ONCE_S = 1.5


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def server() -> Iterator[OracleWireServer]:
    with numbers_server() as running:
        yield running


@contextmanager
def details(
    warehouse: Warehouse, clock: FakeClock, permits: LocalPermits | None = None, links: Links | None = None
) -> Iterator[pb_grpc.DetailsServiceStub]:
    """Give a stub of a process that serves nothing else."""
    with ExitStack() as closing:
        service = details_service(warehouse, permits or LocalPermits(2), clock, closing, links)
        server = RpcServer("test", RpcServerSettings(listen="127.0.0.1:0"), [service], CollectorRegistry())
        server.start()
        closing.callback(server.stop, 0)
        channel = closing.enter_context(open_channel(f"127.0.0.1:{server.port}", "test"))
        yield pb_grpc.DetailsServiceStub(channel)


def read(stub: pb_grpc.DetailsServiceStub) -> pb.GetDetailsResponse:
    return stub.GetDetails(pb.GetDetailsRequest(), timeout=5)


def test_a_warehouse_that_answers_is_reachable(server: OracleWireServer, clock: FakeClock) -> None:
    with oracle(server.port) as warehouse, details(warehouse, clock) as stub:
        shown = read(stub).warehouse
    assert shown.reachable
    assert shown.check_time.ToDatetime(UTC) == clock.now()
    assert not shown.HasField("breaker")


def test_a_warehouse_that_hangs_up_is_away_and_is_found_again(server: OracleWireServer, clock: FakeClock) -> None:
    with oracle(server.port) as warehouse, details(warehouse, clock) as stub:
        server.stop_listening()
        gone = read(stub).warehouse.reachable
        server.listen()
        clock.advance(REST_S)
        assert (gone, read(stub).warehouse.reachable) == (False, True)


def test_a_silent_warehouse_counts_as_away_within_a_second(server: OracleWireServer, clock: FakeClock) -> None:
    with Line(server.port) as line, oracle(line.port) as warehouse, details(warehouse, clock) as stub:
        line.stop()
        asked = time.monotonic()
        reachable = read(stub).warehouse.reachable
        took_s = time.monotonic() - asked
    assert not reachable
    assert took_s < AT_ONCE_S


def test_an_answer_counts_for_a_while_whoever_asks(server: OracleWireServer, clock: FakeClock) -> None:
    with oracle(server.port) as warehouse, details(warehouse, clock) as stub:
        first = read(stub)
        clock.advance(REST_S - 1)
        assert read(stub).warehouse.check_time == first.warehouse.check_time


def test_the_breaker_is_shown_with_what_it_is_judged_by(server: OracleWireServer, clock: FakeClock) -> None:
    breaker = Breaker(BreakerRule(failure_threshold=2, recovery_s=30), clock)
    with oracle(server.port) as plain, details(GuardedWarehouse(plain, breaker), clock) as stub:
        closed = read(stub).warehouse.breaker.state
        for _ in range(2):
            breaker.admit().failed()
        shown = read(stub).warehouse.breaker
    assert closed == pb.BREAKER_STATE_CLOSED
    assert (shown.state, shown.failure_count, shown.open_for_s, shown.enabled) == (pb.BREAKER_STATE_OPEN, 2, 30, True)
    assert shown.last_failure_time.ToDatetime(UTC) == clock.now()


def test_permits_are_shown_with_who_holds_them(server: OracleWireServer, clock: FakeClock) -> None:
    permits = LocalPermits(2)
    with oracle(server.port) as warehouse, details(warehouse, clock, permits) as stub, permits.acquire(1, "a chunk"):
        permits.acquire(1, "a lost one").release(confirmed=False)
        shown = read(stub).permits
    assert (shown.total_count, shown.active_count, shown.quarantined_count, shown.available_count) == (2, 2, 1, 0)
    assert [(held.who, held.quarantined) for held in shown.held] == [("a chunk", False), ("a lost one", True)]
    assert shown.lease_state == "none"


def test_each_use_of_redis_is_shown(server: OracleWireServer, clock: FakeClock) -> None:
    links: Links = {"state": lambda: False}
    with oracle(server.port) as warehouse, details(warehouse, clock, links=links) as stub:
        assert [(link.use, link.available) for link in read(stub).redis] == [("state", False)]
