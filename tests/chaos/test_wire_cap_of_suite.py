"""Two engines and lineage under one cap, killed again and again; the stand-in counts statements at every instant."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest
from sluice.query.v1 import query_service_pb2 as pb
from sluice.query.v1 import query_service_pb2_grpc
from sluice_client.demo.programs import SuiteFiles, suite_programs
from sluice_client.demo.supervisor import Supervisor
from sluice_client.ports import LOOPBACK, take_free
from sluice_rpc.client import open_channel
from sluice_rpc.errors import ServiceError
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_SERVICE, DEFAULT_USER, FaultRule, OracleWireServer

from tests.polling import poll_until
from tests.running_suite import START_TIMEOUT_S, RunningSuite, running_suite

CAP = 4
ATTACK_S = 20.0
SEED = 1
LOOK_UPS = ("workcenter_groups", "non_quality_reasons")
"""Statements of the pool, which the cap is not about."""


def counted(sql: str) -> bool:
    """Say whether a statement runs in the slow lane: ours carry their name, and the pool's are known."""
    return "/* sluice " in sql and not any(f"/* sluice {name} " in sql for name in LOOK_UPS)


@pytest.fixture(scope="module")
def server(twin_path: Path) -> Iterator[OracleWireServer]:
    # Every reply takes a while, so that statements overlap, and what nobody wants any more goes on a little.
    steady = FaultRule(phase="fetch", do="stall", seconds=0.3)
    with OracleWireServer(twin_path, counted=counted, orphan_s=0.3, faults=[steady]) as running:
        yield running


def environment(server: OracleWireServer, redis_url: str, process: str, name: str) -> dict[str, str]:
    """Return what makes a process read the stand-in as one of three under the cap."""
    return {
        f"SLUICE_{process}_WAREHOUSE_URL": f"oracle://{DEFAULT_USER}@127.0.0.1:{server.port}/{DEFAULT_SERVICE}",
        "SLUICE_WAREHOUSE_PASSWORD": DEFAULT_PASSWORD,
        "SLUICE_WAREHOUSE_CANCEL_GRACE_S": "1",
        "SLUICE_PERMIT_CAP": str(CAP),
        "SLUICE_PERMIT_SHARES": "query-engine=1,query-engine-2=1,lineage=1",
        "SLUICE_PERMIT_NAME": name,
        "SLUICE_PERMIT_REDIS_URL": redis_url,
        "SLUICE_PERMIT_REDIS_PREFIX": "suite:",
        "SLUICE_PERMIT_HOLD_S": "3",
        # A cancel's grace, a reply, what an orphan goes on, and a machine that is slow to see that somebody is dead.
        "SLUICE_PERMIT_MARGIN_S": "6",
    }


@contextmanager
def second_engine(suite: RunningSuite, settings: dict[str, str]) -> Iterator[tuple[Supervisor, str]]:
    """Give one more engine on the suite's cache, started again whenever it dies, and where it listens."""
    ports = replace(suite.ports, query_engine=take_free(1)[0])
    files = SuiteFiles(suite.plant, suite.data_dir / "cache", suite.data_dir / "redis")
    programs = suite_programs(
        ports, files, None, {"query-engine": {"SLUICE_QUERY_ENGINE_WARMS_UP": "false", **settings}}
    )
    program = next(item for item in programs if item.name == "query-engine")
    with Supervisor([program], suite.data_dir / "second", print) as supervisor:
        supervisor.await_serving(START_TIMEOUT_S)
        yield supervisor, f"{LOOPBACK}:{ports.query_engine}"


def ask_over_http(suite: RunningSuite, stop: threading.Event) -> None:
    headers = {"Prefer": "wait=3", "Cache-Control": "no-cache"}
    body = {"start_date": "2024-02-01", "end_date": "2025-11-30"}
    with httpx.Client(base_url=suite.url, timeout=10, trust_env=False, verify=False) as http:
        while not stop.is_set():
            with suppress(httpx.HTTPError):
                http.post("/api/hold-history/query", json=body, headers=headers)
            stop.wait(0.2)


def ask_for_lineage(suite: RunningSuite, stop: threading.Event) -> None:
    # Others each time: what was read is kept.
    numbers = itertools.count()
    with httpx.Client(base_url=suite.url, timeout=10, trust_env=False, verify=False) as http:
        while not stop.is_set():
            with suppress(httpx.HTTPError):
                http.post("/api/lineage/ancestors", json={"container_ids": [f"{next(numbers):016x}"]})
            stop.wait(0.05)


def ask_second(target: str, stop: threading.Event) -> None:
    with open_channel(target, "query-engine") as channel:
        stub = query_service_pb2_grpc.QueryServiceStub(channel)
        while not stop.is_set():
            request = pb.StartQueryRequest(dataset="hold-history", no_cache=True)
            request.parameters.update({"start_date": "2024-03-01", "end_date": "2025-10-31"})
            with suppress(ServiceError, grpc.RpcError):
                query_id = stub.StartQuery(request, timeout=5).query.query_id
                for _ in stub.WatchQuery(pb.WatchQueryRequest(query_id=query_id), timeout=5):
                    if stop.is_set():
                        break
            stop.wait(0.2)


def kill(supervisor: Supervisor, name: str) -> None:
    pid = supervisor.pids().get(name)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_wire_two_engines_and_lineage_stay_under_the_cap_while_they_are_killed(
    server: OracleWireServer, twin_path: Path, redis_program: Path, redis_url: str, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    extra = {
        "query-engine": environment(server, redis_url, "QUERY_ENGINE", "query-engine"),
        "lineage": environment(server, redis_url, "LINEAGE", "lineage"),
    }
    second = environment(server, redis_url, "QUERY_ENGINE", "query-engine-2")
    stop = threading.Event()
    with ExitStack() as stack:
        suite = stack.enter_context(running_suite(tmp_path / "suite", twin_path, redis_program, extra))
        other, target = stack.enter_context(second_engine(suite, second))
        victims: list[Callable[[], None]] = [
            lambda: kill(suite.supervisor, "query-engine"),
            lambda: kill(suite.supervisor, "lineage"),
            lambda: kill(other, "query-engine"),
        ]
        work = [
            threading.Thread(target=ask_over_http, args=(suite, stop)),
            threading.Thread(target=ask_second, args=(target, stop)),
            threading.Thread(target=ask_for_lineage, args=(suite, stop)),
        ]
        for thread in work:
            stack.callback(thread.join, 15)
            thread.start()
        stack.callback(stop.set)
        poll_until(lambda: server.peak_in_flight >= CAP - 1, 60, "statements of all three")
        until = time.monotonic() + ATTACK_S
        while time.monotonic() < until:
            chance.choice(victims)()
            stop.wait(chance.uniform(0.5, 4.0))
        peak = server.peak_in_flight
    assert CAP - 1 <= peak <= CAP
    poll_until(lambda: server.statements_in_flight == 0, 60, "no statement")
