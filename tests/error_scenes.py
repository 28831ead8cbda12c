"""A running suite in which every error code can be provoked: limits shrunk, the engine on Oracle's stand-in.

What goes wrong on cue: the stand-in's faults for the engine, the twin's fault file for lineage, ended processes and a
refusing disk for the rest.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from google.protobuf import struct_pb2
from sluice.cache.v1 import frame_service_pb2 as cache_pb
from sluice.cache.v1 import frame_service_pb2_grpc as cache_rpc
from sluice.lineage.v1 import lineage_service_pb2 as lineage_pb
from sluice.lineage.v1 import lineage_service_pb2_grpc as lineage_rpc
from sluice.query.v1 import query_service_pb2 as pb
from sluice.query.v1 import query_service_pb2_grpc as rpc
from sluice_client.demo.watch import RestartPolicy
from sluice_rpc.client import open_channel
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_SERVICE, DEFAULT_USER, FaultRule, OracleWireServer

from tests.polling import poll_until
from tests.running_suite import Json, RunningSuite, open_http, running_suite

BACK_S: Final = 120.0
MAX_ID_COUNT: Final = 40
MARKED_ID: Final = "5ec2e75ec2e75ec2"
"""Asked of lineage; a value, so it must not show in any log."""
HOLDS: Final = "DW_MES_HOLDRELEASEHISTORY"
_FIRST_DAY: Final = date(2024, 2, 1)
_PASSWORD: Final = "SLUICE_WAREHOUSE_PASSWORD"
_WAREHOUSE: Final = {
    "CONNECT_TIMEOUT_S": "2",
    "LOGON_TIMEOUT_S": "1",
    "CONNECT_RETRY_COUNT": "0",
    "CANCEL_GRACE_S": "0.5",
    "POOL_MAX": "1",
    "POOL_WAIT_MS": "400",
    "HEALTH_CALL_TIMEOUT_MS": "1000",
    "BREAKER_FAILURE_THRESHOLD": "4",
    "BREAKER_RECOVERY_S": "2",
}
_ENGINE: Final = {
    "CHUNK_DEADLINE_S": "4",
    "CHUNK_RETRY_COUNT": "0",
    "MAX_RUNNING_QUERY_COUNT": "1",
    "WATCHER_GRACE_S": "30",
}
_LINEAGE: Final = {"MAX_ID_COUNT": str(MAX_ID_COUNT), "MAX_RESPONSE_BYTES": "1024", "PERMIT_WAIT_S": "0.4"}


@dataclass
class Scene:
    """The suite, its warehouse, and clients of both faces."""

    suite: RunningSuite
    oracle: OracleWireServer
    http: httpx.Client
    queries: rpc.QueryServiceStub
    lineage: lineage_rpc.LineageServiceStub
    frames: cache_rpc.FrameServiceStub
    _days: Iterator[int] = field(default_factory=lambda: itertools.count(0, 11))
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def dates(self) -> Json:
        """Return a range that nobody has asked for yet."""
        start = _FIRST_DAY + timedelta(days=next(self._days))
        return {"start_date": start.isoformat(), "end_date": (start + timedelta(days=9)).isoformat()}

    def ask(self, dates: Json | None = None, wait_s: int = 20) -> httpx.Response:
        """Start a query and wait for it."""
        return self.http.post(
            "/api/hold-history/query", json=dates or self.dates(), headers={"Prefer": f"wait={wait_s}"}
        )

    def start(self, dates: Json) -> None:
        """Start a query over gRPC."""
        parameters = struct_pb2.Struct()
        parameters.update(dates)
        self.queries.StartQuery(pb.StartQueryRequest(dataset="hold-history", parameters=parameters))

    def started(self) -> str:
        """Start a query that nobody waits for and return its id."""
        return str(self.ask(wait_s=0).json()["query_id"])

    def finished(self) -> str:
        """Return the id of a query that is complete."""
        answer = self.ask()
        assert answer.status_code == 200, answer.text
        return str(answer.json()["query_id"])

    def view(self, query_id: str, view: str = "trend") -> httpx.Response:
        return self.http.get("/api/hold-history/view", params={"query_id": query_id, "view": view})

    def read_view(self, query_id: str, view: str = "trend") -> None:
        """Read a view over gRPC."""
        list(self.queries.ReadView(pb.ReadViewRequest(query_id=query_id, views=[view])))

    def ancestors(self, ids: Sequence[str] | None = None) -> httpx.Response:
        return self.http.post("/api/lineage/ancestors", json={"container_ids": list(ids or self.unknown_id())})

    def read_ancestors(self, ids: Sequence[str] | None = None) -> None:
        """Ask lineage over gRPC."""
        request = lineage_pb.ResolveSplitAncestorsRequest(container_ids=ids or self.unknown_id())
        self.lineage.ResolveSplitAncestors(request)

    def unknown_id(self) -> list[str]:
        """Return an id that no memory of lineage's knows; it begins as all marked ones do."""
        return [f"{MARKED_ID[:12]}{next(self._ids):04d}"]

    @contextmanager
    def faults(self, **rule: Any) -> Iterator[Callable[[], bool]]:
        """Let the engine's warehouse show a fault within the context, and give what says whether it has."""
        # The stand-in remembers the faults of all rules before.
        before = len(self.oracle.faults.fired)
        self.oracle.faults.set([FaultRule(**rule)])
        try:
            yield lambda: len(self.oracle.faults.fired) > before
        finally:
            self.oracle.faults.clear()

    @contextmanager
    def stalled(self) -> Iterator[str]:
        """Give a query that runs until the context ends, and then is withdrawn by force."""
        with self.faults(phase="execute", do="stall", statement=HOLDS, seconds=30) as fired:
            query_id = self.started()
            poll_until(fired, BACK_S, "the statement to stall")
            yield query_id
        self.http.delete(f"/api/queries/{query_id}", params={"force": "true"})
        self.settle()

    @contextmanager
    def lineage_faults(self, **rule: Any) -> Iterator[None]:
        """Let lineage's warehouse show a fault, whatever the statement of ancestors is called."""
        before = self.suite.statements.count()
        self.read_ancestors()
        names = {str(line["statement"]) for line in self.suite.statements.since(before)}
        with self.suite.faults([{"statement": name, **rule} for name in sorted(names)]):
            yield

    @contextmanager
    def silent_listener(self) -> Iterator[None]:
        """Let nobody reach the engine's warehouse within the context."""
        self.oracle.stop_listening()
        self.oracle.drop_connections()
        try:
            yield
        finally:
            self.oracle.listen()

    def settle(self) -> None:
        """Wait until nothing runs, every process serves and the breaker is closed."""
        poll_until(lambda: not self.queries.ListRunningQueries(pb.ListRunningQueriesRequest()).queries, BACK_S, "rest")
        poll_until(lambda: self.http.get("/health/ready").status_code == 200, BACK_S, "readiness")
        poll_until(lambda: self.ask().status_code == 200, BACK_S, "a query that works")

    def await_new(self, name: str, old_pid: int) -> None:
        """Wait until a killed process is back."""
        poll_until(lambda: self.suite.pids().get(name, old_pid) != old_pid, BACK_S, f"a new {name}")
        poll_until(lambda: self.http.get("/health/ready").status_code == 200, BACK_S, "readiness")

    def forget_references(self) -> None:
        """Drop the tables that queries look names up in, so that the next one reads them."""
        for name in ("workcenter_groups", "non_quality_reasons"):
            found = self.frames.ListFrames(cache_pb.ListFramesRequest(labels={"reference": name}))
            for frame in found.frames:
                self.frames.DeleteFrame(cache_pb.DeleteFrameRequest(frame_id=frame.frame_id))

    def log_sizes(self) -> dict[Path, int]:
        """Return how long each log is now."""
        return {path: path.stat().st_size for path in (self.suite.data_dir / "logs").glob("*.log")}

    def logged(self, since: Mapping[Path, int]) -> str:
        """Return what all processes have logged since."""
        return "".join(path.read_text(encoding="utf-8")[size:] for path, size in since.items())

    def secrets(self) -> list[str]:
        """Return texts that no answer and no log may hold: places, addresses, tables, values."""
        return [
            *(str(path) for path in (self.suite.plant, self.suite.data_dir)),
            *(f"{self.oracle.port}/{DEFAULT_SERVICE}", "oracle://", "duckdb://", "redis://", "Traceback"),
            *("DW_MES", "DWH.", "HOLDTXNDATE", "SPLITFROM", MARKED_ID[:12]),
        ]


SQL: Final = re.compile(r"\b(select|insert|with)\b.{1,400}\bfrom\b", re.IGNORECASE | re.DOTALL)


def lines_of(text: str) -> list[Json]:
    """Return the JSON lines of a log."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@contextmanager
def scene(folder: Path, plant: Path, redis_program: Path) -> Iterator[Scene]:
    """Give the suite, serving."""
    with ExitStack() as closing:
        oracle = closing.enter_context(OracleWireServer(plant))
        url = f"oracle://{DEFAULT_USER}@127.0.0.1:{oracle.port}/{DEFAULT_SERVICE}"
        engine = {f"SLUICE_QUERY_ENGINE_{key}": value for key, value in (_ENGINE | {"WAREHOUSE_URL": url}).items()}
        engine |= {f"SLUICE_WAREHOUSE_{key}": value for key, value in _WAREHOUSE.items()} | {
            _PASSWORD: DEFAULT_PASSWORD
        }
        lineage = {f"SLUICE_LINEAGE_{key}": value for key, value in _LINEAGE.items()}
        extra = {"query-engine": engine, "lineage": lineage, "gateway": {"SLUICE_GATEWAY_HEALTH_TTL_S": "0"}}
        policy = RestartPolicy(max_rapid_deaths=100, max_delay_s=0.5)
        suite = closing.enter_context(running_suite(folder, plant, redis_program, extra, policy))
        channels = {
            name: closing.enter_context(open_channel(f"127.0.0.1:{port}", name))
            for name, port in (
                ("query-engine", suite.ports.query_engine),
                ("lineage", suite.ports.lineage),
                ("cache", suite.ports.cache),
            )
        }
        yield Scene(
            suite,
            oracle,
            closing.enter_context(open_http(suite.url)),
            rpc.QueryServiceStub(channels["query-engine"]),
            lineage_rpc.LineageServiceStub(channels["lineage"]),
            cache_rpc.FrameServiceStub(channels["cache"]),
        )
