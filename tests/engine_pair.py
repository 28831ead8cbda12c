"""Two query engines as real processes on one plant, one cache and one Redis, for tests that end one of them."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.cache.v1 import frame_service_pb2_grpc
from sluice.query.v1 import query_service_pb2 as pb
from sluice.query.v1 import query_service_pb2_grpc
from sluice_client.child import Child
from sluice_client.demo.probe import Health
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
    """Two engines that serve, and what has happened since the pair was made."""

    one: PairedEngine
    other: PairedEngine
    statements: StatementLog
    """What the warehouse ever did."""
    earlier_statement_count: int
    cache: frame_service_pb2_grpc.FrameServiceStub
    earlier_frame_count: int

    def chunk_statements(self) -> list[tuple[str, str]]:
        """Return part and start of each chunk statement that started, in order."""
        started = [line for line in self.started() if "start_time" in line["binds"]]
        return [(line["statement"], str(line["binds"]["start_time"])) for line in started]

    def completed(self) -> list[tuple[str, str]]:
        """Return part and start of each chunk statement that gave its last row."""
        lines = [json.loads(line) for line in self.statements.path.read_text(encoding="utf-8").splitlines()]
        ended = {line["id"] for line in lines if line.get("outcome") == "completed"}
        started = [line for line in self.started() if "start_time" in line["binds"] and line["id"] in ended]
        return [(line["statement"], str(line["binds"]["start_time"])) for line in started]

    def started(self) -> list[Json]:
        """Return all statements that started."""
        return self.statements.since(self.earlier_statement_count)

    def frame_count(self) -> int:
        """Return how many chunks have landed in the cache."""
        return _frame_count(self.cache) - self.earlier_frame_count


class EngineHome:
    """One cache and one Redis for pairs of engines, one pair after the other.

    Args:
        data_dir: folder for files and logs.
        plant: the twin's DuckDB file.
        redis_url: the Redis that all share.
        stack: ends what is started for as long as the home is there.
    """

    def __init__(self, data_dir: Path, plant: Path, redis_url: str, stack: ExitStack) -> None:
        self.redis_url = redis_url
        self._data_dir = data_dir
        self._plant = plant
        self._numbers = itertools.count()
        self._ports = SuitePorts.free()
        self._statements = StatementLog(data_dir / "statements.jsonl")
        child = self._child("cache", self._ports, {"SLUICE_CACHE_REDIS_URL": redis_url})
        stack.callback(_end, child)
        channel = stack.enter_context(open_channel(f"{LOOPBACK}:{self._ports.cache}", "cache"))
        self._cache = frame_service_pb2_grpc.FrameServiceStub(channel)
        self._other: PairedEngine | None = None
        self._stack = stack

    @contextmanager
    def pair(
        self, settings: Mapping[str, str] | None = None, *, first_redis_url: str | None = None
    ) -> Iterator[EnginePair]:
        """Give a new first engine beside the other, which stays.

        Args:
            settings: more environment of the first engine.
            first_redis_url: the same Redis as the first engine calls it; None is like the others.
        """
        if self._other is None:
            self._other = self._stack.enter_context(self.engine())
        self._other.faults([])
        with self.engine(settings, first_redis_url) as one:
            yield self.paired(one, self._other)

    def paired(self, one: PairedEngine, other: PairedEngine) -> EnginePair:
        """Return two engines as a pair that has done nothing yet."""
        return EnginePair(
            one, other, self._statements, self._statements.count(), self._cache, _frame_count(self._cache)
        )

    @contextmanager
    def engine(self, settings: Mapping[str, str] | None = None, redis_url: str | None = None) -> Iterator[PairedEngine]:
        """Give an engine that serves; it may be killed meanwhile."""
        fault_file = self._data_dir / f"faults-{next(self._numbers)}.json"
        ports = replace(self._ports, query_engine=take_free(1)[0])
        own = {
            "SLUICE_QUERY_ENGINE_FAULT_FILE": str(fault_file),
            "SLUICE_QUERY_ENGINE_REDIS_URL": redis_url or self.redis_url,
            "SLUICE_QUERY_ENGINE_REFRESHES_SNAPSHOTS": "false",
            "SLUICE_QUERY_ENGINE_WARMS_UP": "false",
            **(settings or {}),
        }
        child = self._child("query-engine", ports, own)
        try:
            with open_channel(f"{LOOPBACK}:{ports.query_engine}", "query-engine") as channel:
                yield PairedEngine(child, query_service_pb2_grpc.QueryServiceStub(channel), fault_file)
        finally:
            _end(child)

    def _child(self, name: str, ports: SuitePorts, more: Mapping[str, str]) -> Child:
        files = SuiteFiles(self._plant, self._data_dir / "cache", self._data_dir / "redis", self._statements.path, None)
        program = next(item for item in suite_programs(ports, files, None) if item.name == name)
        log_path = self._data_dir / "logs" / f"{name}-{next(self._numbers)}.log"
        child = Child(program.command, log_path, {**os.environ, **program.environment, **more})
        try:
            poll_until(lambda: program.probe() is Health.SERVING, START_TIMEOUT_S, f"{name}, see {log_path}")
        except BaseException:
            _end(child)
            raise
        return child


@contextmanager
def engine_home(data_dir: Path, plant: Path, redis_url: str) -> Iterator[EngineHome]:
    """Give a home for pairs of engines; afterwards none of its processes is left. Arguments as of `EngineHome`."""
    with ExitStack() as stack:
        yield EngineHome(data_dir, plant, redis_url, stack)


def _frame_count(cache: frame_service_pb2_grpc.FrameServiceStub) -> int:
    return len(cache.ListFrames(frames.ListFramesRequest(labels={"dataset": DATASET}, page_size=10_000)).frames)


def _end(child: Child) -> None:
    if child.exit_code() is None:
        child.stop(10)
    assert not psutil.pid_exists(child.pid)
