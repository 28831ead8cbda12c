"""The whole suite as real processes for tests, started by the code that `sluice demo` starts it with.

What tests need beyond it is here: the statements the warehouse ran, faults on cue, and the assertion that no process
survives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from sluice_client.demo.programs import SuiteFiles, SuitePorts, suite_programs
from sluice_client.demo.supervisor import Supervisor
from sluice_client.demo.watch import RestartPolicy

START_TIMEOUT_S = 180.0

Json = dict[str, Any]


OF_ITS_OWN = ("snapshot", "warm-up")
"""For whom an engine reads what nobody asked for."""


class StatementLog:
    """The warehouse's own log of what really ran for those who asked; what engines read on their own is left out.

    Args:
        path: the JSON lines; need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def started(self) -> list[Json]:
        """Return a line for each statement that started, in order."""
        started = (line for line in self._lines() if line["kind"] == "start")
        return [line for line in started if not line["client_id"].startswith(OF_ITS_OWN)]

    def count(self) -> int:
        """Return how many statements have started."""
        return len(self.started())

    def since(self, count: int) -> list[Json]:
        """Return the statements after the first `count`."""
        return self.started()[count:]

    def _lines(self) -> list[Json]:
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True)
class RunningSuite:
    """A suite that serves."""

    url: str
    """Base URL of its gateway."""
    ports: SuitePorts
    """Where each process listens, on loopback."""
    data_dir: Path
    """Folder of its cache and logs."""
    plant: Path
    """The twin's DuckDB file."""
    supervisor: Supervisor
    """Who keeps the processes running."""
    statements: StatementLog
    """What the warehouse ran."""
    fault_file: Path
    """Faults the warehouse shows, once the file is there."""

    def pids(self) -> dict[str, int]:
        """Return the process ids by program name."""
        return self.supervisor.pids()

    @contextmanager
    def faults(self, rules: Sequence[Json]) -> Iterator[None]:
        """Let the warehouse show these faults within the context."""
        draft = self.fault_file.with_suffix(".draft")
        draft.write_text(json.dumps(rules), encoding="utf-8")
        draft.replace(self.fault_file)
        try:
            yield
        finally:
            self.fault_file.unlink()


@contextmanager
def running_suite(
    data_dir: Path,
    plant: Path,
    redis_program: Path | None,
    extra: Mapping[str, Mapping[str, str]] | None = None,
    policy: RestartPolicy | None = None,
) -> Iterator[RunningSuite]:
    """Give a suite that serves, with its own files and ports; afterwards none of its processes is left.

    Args:
        data_dir: folder for its cache and logs.
        plant: the twin's DuckDB file, which is only read.
        redis_program: Redis server program; None runs without Redis.
        extra: more variables for single processes, by folder name. Nothing is read unasked unless these say otherwise,
            since tests count statements.
        policy: when what died is started again; None as in the demo.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    statements, fault_file = data_dir / "statements.jsonl", data_dir / "faults.json"
    files = SuiteFiles(plant, data_dir / "cache", data_dir / "redis", statements, fault_file)
    ports = SuitePorts.free()
    idle = {"SLUICE_QUERY_ENGINE_REFRESHES_SNAPSHOTS": "false", "SLUICE_QUERY_ENGINE_WARMS_UP": "false"}
    engine = {**idle, **(extra or {}).get("query-engine", {})}
    programs = suite_programs(ports, files, redis_program, {**(extra or {}), "query-engine": engine})
    with Supervisor(programs, data_dir / "logs", print, policy=policy) as supervisor:
        supervisor.await_serving(START_TIMEOUT_S)
        url = f"http://127.0.0.1:{ports.gateway}"
        yield RunningSuite(url, ports, data_dir, plant, supervisor, StatementLog(statements), fault_file)
        pids = list(supervisor.pids().values())
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def open_http(url: str) -> httpx.Client:
    """Return an HTTP client that waits as long as a cold query may take, and trusts no proxy of the machine.

    It reads no certificates, which would take longer than most requests: nothing is encrypted.
    """
    return httpx.Client(base_url=url, timeout=60.0, trust_env=False, verify=False)
