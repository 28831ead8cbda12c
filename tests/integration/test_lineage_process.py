"""`python -m sluice_lineage` as a process: what it serves, how it stops, how it refuses to start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.lineage.v1 import lineage_service_pb2_grpc as pb_grpc
from sluice_rpc.healthcheck import problem_of
from sluice_twin import plant_of

from tests.polling import poll_until

SERVICE = "sluice.lineage.v1.LineageService"


def start(**variables: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "DB_SLOW"))}
    return subprocess.Popen(
        [sys.executable, "-m", "sluice_lineage"],
        env={**inherited, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running process over a plant of two containers."""
    rows = [{"CONTAINERID": "b" * 16, "CONTAINERNAME": "B", "SPLITFROMID": "a" * 16}, {"CONTAINERID": "a" * 16}]
    path = plant_of(
        {"DW_MES_CONTAINER": rows}, tmp_path_factory.mktemp("plant") / "twin.duckdb", datetime(2025, 12, 31)
    )
    address = f"127.0.0.1:{free_port()}"
    process = start(SLUICE_LINEAGE_LISTEN=address, SLUICE_LINEAGE_WAREHOUSE_URL=f"duckdb://{path}")
    poll_until(lambda: not problem_of(address), 60)
    yield address
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("service", ["", SERVICE])
def test_health_is_served_for_the_process_and_the_service(target: str, service: str) -> None:
    with grpc.insecure_channel(target) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_describes_the_service(target: str) -> None:
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE)
    with grpc.insecure_channel(target) as channel:
        (answer,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]), timeout=10)
    files = [FileDescriptorProto.FromString(file) for file in answer.file_descriptor_response.file_descriptor_proto]
    assert "ResolveSplitAncestors" in [method.name for file in files for one in file.service for method in one.method]


def test_a_real_call_is_answered(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        answer = pb_grpc.LineageServiceStub(channel).ResolveSplitAncestors(
            pb.ResolveSplitAncestorsRequest(container_ids=["b" * 16]), timeout=10
        )
    assert dict(answer.child_to_parent) == {"b" * 16: "a" * 16}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "SLUICE_LINEAGE_WAREHOUSE_URL: Field required"),
        ({"SLUICE_LINEAGE_WAREHOUSE_URL": "oracle://x"}, "expected oracle://user@host:port/service"),
        (
            {"SLUICE_LINEAGE_WAREHOUSE_URL": "duckdb:///x.duckdb", "SLUICE_LINEAGE_LISTN": "x"},
            "unknown setting SLUICE_LINEAGE_LISTN",
        ),
        (
            {"SLUICE_LINEAGE_WAREHOUSE_URL": "duckdb:///x.duckdb", "SLUICE_PERMIT_CAP": "0"},
            "SLUICE_PERMIT_CAP",
        ),
    ],
)
def test_settings_that_cannot_be_served_with_are_one_line_and_exit_code_2(variables: dict[str, str], said: str) -> None:
    process = start(**variables)
    _, written = process.communicate(timeout=60)
    assert (process.returncode, written.count("\n"), said in written) == (2, 1, True), written


def test_a_taken_port_is_exit_code_2(target: str) -> None:
    process = start(SLUICE_LINEAGE_LISTEN=target, SLUICE_LINEAGE_WAREHOUSE_URL="duckdb:///x.duckdb")
    _, written = process.communicate(timeout=60)
    assert (process.returncode, written.splitlines()[-1]) == (2, f"lineage: listen: {target} cannot be bound")
