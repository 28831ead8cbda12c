"""`python -m sluice_rpc.healthcheck ADDRESS`: is a process ready? For container probes, which have no grpcurl or curl.

`host:port` asks `grpc.health.v1` for the whole process; `http://…` wants status 200. Exits 0 when ready, else 1.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

TIMEOUT_S = 3.0


def problem_of(address: str) -> str:
    """Return why the process at `address` is not ready, in a few words; empty when it is."""
    return _problem_of_http(address) if address.startswith("http://") else _problem_of_grpc(address)


def _problem_of_grpc(target: str) -> str:
    with grpc.insecure_channel(target) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            return str(error.code().name)
    name = str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
    return "" if name == "SERVING" else name


def _problem_of_http(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - http only, checked by the caller
            return "" if answer.status == 200 else f"status {answer.status}"
    except (urllib.error.URLError, TimeoutError) as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(problem_of(sys.argv[1]) or 0)
