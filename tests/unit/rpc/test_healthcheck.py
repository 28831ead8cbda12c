"""The probe of containers, against a real server and against nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from sluice_rpc.healthcheck import problem_of
from sluice_rpc.server import RpcServer
from sluice_rpc.settings import RpcServerSettings


@pytest.fixture
def server() -> Iterator[RpcServer]:
    """A process without services, on a free port."""
    started = RpcServer("probed", RpcServerSettings(), [], CollectorRegistry())
    with contextlib.ExitStack() as closing:
        started.start()
        closing.callback(started.stop, 0)
        yield started


def test_a_serving_process_has_no_problem(server: RpcServer) -> None:
    assert problem_of(f"127.0.0.1:{server.port}") == ""


def test_a_process_that_stops_serving_says_so(server: RpcServer) -> None:
    server.report(serving=False)
    assert problem_of(f"127.0.0.1:{server.port}") == "NOT_SERVING"


def test_a_port_without_listener_is_unavailable(server: RpcServer) -> None:
    address = f"127.0.0.1:{server.port}"
    server.stop(0)
    assert problem_of(address) == "UNAVAILABLE"


def test_a_gateway_that_cannot_be_reached_is_a_problem(server: RpcServer) -> None:
    server.stop(0)
    assert "refused" in problem_of(f"http://127.0.0.1:{server.port}/health/ready")
