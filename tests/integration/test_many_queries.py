"""Twenty long queries at once: never more statements than the cap, all of them answered, over one engine or two."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings
from sluice.query.v1 import query_service_pb2 as pb

from tests.engine_pair import EngineHome, EnginePair, PairedEngine, engine_home

QUERY_COUNT = {"soak": 60}.get(settings.get_current_profile_name(), 20)
ROOM = {
    "SLUICE_QUERY_ENGINE_MAX_RUNNING_QUERY_COUNT": "64",
    "SLUICE_QUERY_ENGINE_WORKER_THREAD_COUNT": "96",
    "SLUICE_QUERY_ENGINE_MAX_WATCHER_COUNT": "64",
    # Twenty queries may queue for longer than one would.
    "SLUICE_QUERY_ENGINE_PERMIT_WAIT_S": "300",
}
FIVE = {"SLUICE_PERMIT_CAP": "6"}
PERMIT_SHARES = {
    "SLUICE_PERMIT_CAP": "5",
    "SLUICE_PERMIT_SHARES": "first=2,second=2",
    # Short, so that the grace before the first lease is over while the test runs; long enough for a heartbeat that
    # twenty queries on two cores delay.
    "SLUICE_PERMIT_HOLD_S": "8",
    "SLUICE_PERMIT_MARGIN_S": "2",
}


@pytest.fixture
def home(tmp_path: Path, twin_path: Path, redis_url: str) -> Iterator[EngineHome]:
    with engine_home(tmp_path, twin_path, redis_url) as home:
        yield home


def run_all(engines: list[PairedEngine]) -> list[pb.Query]:
    def run(number: int) -> pb.Query:
        engine = engines[number % len(engines)]
        year = 2097 - 2 * number
        return engine.finish(engine.start(f"{year}-01-01", f"{year}-06-30"))

    with ThreadPoolExecutor(QUERY_COUNT) as pool:
        return list(pool.map(run, range(QUERY_COUNT)))


def most_at_once(pair: EnginePair) -> int:
    """Return the most chunk statements that ran at one instant, as the warehouse wrote them down."""
    lines = [json.loads(line) for line in pair.statements.path.read_text(encoding="utf-8").splitlines()]
    chunks = {line["id"] for line in lines if line["kind"] == "start" and "start_time" in line["binds"]}
    running = most = 0
    for line in lines:
        if line["id"] in chunks:
            running += 1 if line["kind"] == "start" else -1
            most = max(most, running)
    assert running == 0
    return most


def check(pair: EnginePair, ended: list[pb.Query]) -> None:
    assert [query for query in ended if query.state != pb.QUERY_STATE_COMPLETED] == []
    assert len(pair.chunk_statements()) == 7 * QUERY_COUNT


def test_twenty_long_queries_over_one_engine_never_pass_the_cap_and_all_end(home: EngineHome) -> None:
    with home.engine({**ROOM, **FIVE}) as engine:
        pair = home.paired(engine, engine)
        check(pair, run_all([engine]))
        assert 2 <= most_at_once(pair) <= 5


def test_twenty_long_queries_over_two_engines_never_pass_the_cap_together_and_all_end(home: EngineHome) -> None:
    leased = {**ROOM, **PERMIT_SHARES, "SLUICE_PERMIT_REDIS_URL": home.redis_url}
    first, second = ({**leased, "SLUICE_PERMIT_NAME": name} for name in ("first", "second"))
    with home.engine(first) as one, home.engine(second) as other:
        pair = home.paired(one, other)
        check(pair, run_all([one, other]))
        assert 2 <= most_at_once(pair) <= 5
