"""Asking a process how it is: over gRPC health, over HTTP, or with Redis's PING."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sluice_client.ports import LOOPBACK
from sluice_client.redis_server import answers_ping

_TIMEOUT_S = 1.0


class Health(Enum):
    """What a process says of itself."""

    SERVING = "serves"
    NOT_SERVING = "answers, but does not serve"
    SILENT = "does not answer"


Probe = Callable[[], Health]


def grpc_probe(port: int) -> Probe:
    """Return a probe that asks grpc.health.v1 on the loopback port for the process as a whole."""

    def probe() -> Health:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(f"{LOOPBACK}:{port}", options=options) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
            except grpc.RpcError:
                return Health.SILENT
        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        return Health.SERVING if serving else Health.NOT_SERVING

    return probe


def http_probe(port: int) -> Probe:
    """Return a probe that asks the gateway on the loopback port whether everything behind it serves."""

    def probe() -> Health:
        try:
            # Nothing is encrypted here, and to read the certificates of the machine takes longer than to ask.
            url = f"http://{LOOPBACK}:{port}/health/ready"
            answer = httpx.get(url, timeout=_TIMEOUT_S, trust_env=False, verify=False)  # noqa: S501
        except httpx.HTTPError:
            return Health.SILENT
        return Health.SERVING if answer.status_code == httpx.codes.OK else Health.NOT_SERVING

    return probe


def redis_probe(port: int) -> Probe:
    """Return a probe that sends PING to the loopback port."""

    def probe() -> Health:
        return Health.SERVING if answers_ping(port, _TIMEOUT_S) else Health.SILENT

    return probe
