"""What every process serves beside its own services: health per service, reflection, a stop that tells first."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import CollectorRegistry
from sluice_rpc import errors
from sluice_rpc.server import RpcServer, Service
from sluice_rpc.settings import RpcServerSettings, SettingsError

from tests.unit.rpc.scripted import SERVICE, UNARY, Scripted, Suite

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("service", ["", SERVICE])
def test_a_started_process_and_its_services_are_serving(suite: Suite, service: str) -> None:
    with grpc.insecure_channel(suite.target) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == SERVING


def test_one_service_can_be_reported_alone(suite: Suite) -> None:
    suite.server.report(serving=False, service=SERVICE)
    with grpc.insecure_channel(suite.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        states = [stub.Check(health_pb2.HealthCheckRequest(service=name)).status for name in (SERVICE, "")]
    assert states == [NOT_SERVING, SERVING]


def test_the_health_of_an_unknown_service_is_not_found(suite: Suite) -> None:
    with grpc.insecure_channel(suite.target) as channel, pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="test.Unknown"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_who_watches_health_hears_of_the_stop_before_calls_are_cut(suite: Suite) -> None:
    with grpc.insecure_channel(suite.target) as channel, ThreadPoolExecutor(1) as pool:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        first = next(watch).status
        stopping = pool.submit(suite.server.stop, 5)
        second = next(watch).status
        watch.cancel()
        stopping.result(timeout=10)
    assert (first, second) == (SERVING, NOT_SERVING)


def test_a_call_in_flight_finishes_while_the_process_stops(suite: Suite) -> None:
    running, finish = threading.Event(), threading.Event()

    def act(context: grpc.ServicerContext) -> bytes:
        running.set()
        finish.wait(30)
        return b"finished"

    suite.scripted.act = act
    with suite.channel() as channel, ThreadPoolExecutor(2) as pool:
        call = pool.submit(channel.unary_unary(UNARY), b"")
        assert running.wait(10)
        stopping = pool.submit(suite.server.stop, 20)
        finish.set()
        assert call.result(timeout=10) == b"finished"
        stopping.result(timeout=10)


def test_reflection_lists_the_services(suite: Suite) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with grpc.insecure_channel(suite.target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (answer,) = stub.ServerReflectionInfo(iter([request]))
    names = {service.name for service in answer.list_services_response.service}
    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


def test_more_calls_than_the_process_takes_are_refused_at_once() -> None:
    running, finish = threading.Event(), threading.Event()

    def act(context: grpc.ServicerContext) -> bytes:
        running.set()
        finish.wait(30)
        return b""

    scripted = Scripted(act=act)
    settings = RpcServerSettings(worker_thread_count=4, max_concurrent_rpc_count=2)
    server = RpcServer("small", settings, [Service(SERVICE, scripted.add_to)], CollectorRegistry())
    server.start()
    with Suite(scripted, server, CollectorRegistry()).bare_channel() as channel:
        calls = [channel.unary_unary(UNARY).future(b"") for _ in range(2)]
        assert running.wait(10)
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(UNARY)(b"")
        finish.set()
        for call in calls:
            call.result(timeout=10)
    server.stop(0)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_address_that_is_taken_is_a_setting_that_cannot_be_served_with(suite: Suite) -> None:
    second = RpcServer("second", RpcServerSettings(listen=suite.target), [], CollectorRegistry())
    with pytest.raises(SettingsError, match=suite.target):
        second.start()
    second.stop(0)


def test_the_port_is_known_once_started(suite: Suite) -> None:
    assert 0 < suite.server.port < 65_536


def test_after_the_stop_nobody_answers(suite: Suite) -> None:
    suite.server.stop(0)
    with suite.channel() as channel, pytest.raises(errors.Unavailable):
        channel.unary_unary(UNARY)(b"", timeout=5)


SIGNALLED = """
import signal, threading
from contextlib import ExitStack
from prometheus_client import CollectorRegistry
from sluice_rpc.server import RpcServer
from sluice_rpc.settings import RpcServerSettings


class Signalled(RpcServer):
    def start(self) -> int:
        port = super().start()
        # By the time this thread is the one that the signal comes to, the other waits for it.
        threading.Timer(0.5, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
        return port


server = Signalled("signalled", RpcServerSettings(listen="127.0.0.1:0"), [], CollectorRegistry())
server.serve_until_signal(ExitStack())
"""


def test_a_signal_that_comes_to_another_thread_stops_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", SIGNALLED], timeout=120, check=False, capture_output=True)
    assert ended.returncode == 0, ended.stderr
