"""Two query engines as real processes on one plant, one cache and one Redis, for tests that end one of them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.cache.v1 import frame_service_pb2_grpc
from sluice.query.v1 import query_service_pb2 as pb
from sluice.query.v1 import query_service_pb2_grpc
from sluice_client.child import Child
from sluice_client.demo.probe import Health, grpc_probe
from sluice_client.demo.programs import SuiteFiles, SuitePorts, suite_programs
from sluice_client.ports import LOOPBACK, take_free
from sluice_rpc.client import open_channel

from tests.engine_rig import DATASET
from tests.polling import poll_until
from tests.running_suite import START_TIMEOUT_S, StatementLog

Json = dict[str, Any]


@dataclass(frozen=True)
class PairedEngine:
    """One of the two engines.

    Args:
        child: its process.
        stub: calls it.
        fault_file: what the warehouse does wrong to this engine only.
    """

    child: Child
    stub: query_service_pb2_grpc.QueryServiceStub
    fault_file: Path

    def start(self, start_date: str, end_date: str, *, no_cache: bool = False) -> str:
        """Start a query of holds and return its id."""
        request = pb.StartQueryRequest(dataset=DATASET, no_cache=no_cache)
        request.parameters.update({"start_date": start_date, "end_date": end_date})
        return str(self.stub.StartQuery(request).query.query_id)

    def get(self, query_id: str) -> pb.Query:
        """Return a query as it stands."""
        return self.stub.GetQuery(pb.GetQueryRequest(query_id=query_id)).query

    def watch(self, query_id: str) -> Iterator[pb.Query]:
        """Yield a query as it changes, to its end."""
        for change in self.stub.WatchQuery(pb.WatchQueryRequest(query_id=query_id)):
            yield change.query

    def finish(self, query_id: str) -> pb.Query:
        """Watch a query to its end and return it."""
        *_, last = self.watch(query_id)
        return last

    def faults(self, rules: Sequence[Json]) -> None:
        """Have the warehouse show these faults to this engine from now on."""
        draft = self.fault_file.with_suffix(".draft")
        draft.write_text(json.dumps(rules), encoding="utf-8")
        draft.replace(self.fault_file)

    def kill(self) -> None:
        """End it without a word, and wait until it is gone."""
        os.kill(self.child.pid, signal.SIGKILL)
        assert self.child.wait(10)


@dataclass(frozen=True)
class EnginePair:
    """Two engines that serve."""

    one: PairedEngine
    other: PairedEngine
    statements: StatementLog
    """What both had the warehouse do."""
    cache: frame_service_pb2_grpc.FrameServiceStub

    def chunk_statements(self) -> list[tuple[str, str]]:
        """Return part and start of each chunk statement that started, in order."""
        started = [line for line in self.statements.started() if "start_time" in line["binds"]]
        return [(line["statement"], str(line["binds"]["start_time"])) for line in started]

    def frame_count(self) -> int:
        """Return how many chunks are in the cache."""
        return len(self.cache.ListFrames(frames.ListFramesRequest(labels={"dataset": DATASET})).frames)


@contextmanager
def engine_pair(
    data_dir: Path,
    plant: Path,
    redis_url: str,
    settings: Mapping[str, str] | None = None,
    *,
    first_redis_url: str | None = None,
) -> Iterator[EnginePair]:
    """Give a cache and two engines that serve; afterwards none of the processes is left.

    Args:
        data_dir: folder for files and logs.
        plant: the twin's DuckDB file.
        redis_url: the Redis that all share.
        settings: more settings of both engines, without the prefix of their names.
        first_redis_url: the same Redis as the first engine calls it; None is like the others.
    """
    statements = data_dir / "statements.jsonl"
    ports = take_free(3)
    with ExitStack() as stack:
        programs = [
            _program("cache", SuitePorts(0, 0, 0, ports[0], 0), data_dir, plant),
            *(_program("query-engine", SuitePorts(0, port, 0, ports[0], 0), data_dir, plant) for port in ports[1:]),
        ]
        children = []
        for number, (program, port) in enumerate(zip(programs, ports, strict=True)):
            own = {"SLUICE_CACHE_REDIS_URL": redis_url}
            if program.name == "query-engine":
                fault_file = data_dir / f"faults-{number}.json"
                own = {f"SLUICE_QUERY_ENGINE_{name}": value for name, value in (settings or {}).items()}
                own["SLUICE_QUERY_ENGINE_FAULT_FILE"] = str(fault_file)
                own["SLUICE_QUERY_ENGINE_REDIS_URL"] = (first_redis_url if number == 1 else None) or redis_url
            environment = {**os.environ, **program.environment, **own}
            child = Child(program.command, data_dir / "logs" / f"{program.name}-{number}.log", environment)
            stack.callback(_end, child)
            children.append(child)
            poll_until(lambda port=port: grpc_probe(port)() is Health.SERVING, START_TIMEOUT_S, program.name)  # type: ignore[misc]
        channels = [stack.enter_context(open_channel(f"{LOOPBACK}:{port}", "tested")) for port in ports]
        engines = [
            PairedEngine(child, query_service_pb2_grpc.QueryServiceStub(channel), data_dir / f"faults-{number}.json")
            for number, (child, channel) in enumerate(zip(children, channels, strict=True))
        ]
        cache = frame_service_pb2_grpc.FrameServiceStub(channels[0])
        yield EnginePair(engines[1], engines[2], StatementLog(statements), cache)
    assert [child.pid for child in children if psutil.pid_exists(child.pid)] == []


def _program(name: str, ports: SuitePorts, data_dir: Path, plant: Path) -> Any:
    files = SuiteFiles(plant, data_dir / "cache", data_dir / "redis", data_dir / "statements.jsonl", None)
    return next(program for program in suite_programs(ports, files, None) if program.name == name)


def _end(child: Child) -> None:
    if child.exit_code() is None:
        child.stop(10)
