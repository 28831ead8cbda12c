"""Domains of one request are read a few at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sluice_lineage.callers import Caller
from sluice_lineage.events.turns import Turns
from sluice_lineage.settings import Settings
from sluice_lineage.withdrawal import Withdrawal
from sluice_warehouse.errors import StatementTimeout

from tests.polling import poll_until


def caller(client_id: str = "a-trace", left_s: float = 60.0) -> Caller:
    return Caller(time.monotonic() + left_s, client_id, Withdrawal())


@pytest.fixture
def turns() -> Turns:
    return Turns(2)


@pytest.fixture
def two_held(turns: Turns) -> Iterator[ExitStack]:
    """Two domains of a trace being read."""
    with ExitStack() as held:
        for domain in ("history", "materials"):
            held.enter_context(turns.turn(domain, caller()))
        yield held


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def take(turns: Turns, who: Caller) -> None:
    with turns.turn("rejects", who):
        pass


def waiting(turns: Turns, who: Caller, pool: ThreadPoolExecutor) -> Future[None]:
    """Return a third turn that is being waited for."""
    third = pool.submit(take, turns, who)
    # Tied to its caller, which is the last thing it does before it waits.
    poll_until(lambda: bool(who.withdrawal._readings), 60)
    assert not third.done()
    return third


def test_a_third_domain_of_a_request_waits_until_one_is_read(
    turns: Turns, two_held: ExitStack, pool: ThreadPoolExecutor
) -> None:
    third = waiting(turns, caller(), pool)
    two_held.close()
    third.result(60)


def test_another_request_has_turns_of_its_own(turns: Turns, two_held: ExitStack) -> None:
    take(turns, caller("another-trace"))


def test_a_caller_that_walks_away_waits_no_longer(turns: Turns, two_held: ExitStack, pool: ThreadPoolExecutor) -> None:
    who = caller()
    third = waiting(turns, who, pool)
    who.withdrawal.withdraw()
    third.result(60)


def test_a_caller_whose_time_is_over_is_told(turns: Turns, two_held: ExitStack) -> None:
    with pytest.raises(StatementTimeout):
        take(turns, caller(left_s=0.05))


@pytest.mark.parametrize("name", ["SLUICE_LINEAGE_EVENT_MAX_DOMAINS", "TRACE_EVENTS_MAX_WORKERS"])
def test_e6_the_environment_sets_how_many_domains_are_read_at_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("SLUICE_LINEAGE_WAREHOUSE_URL", "duckdb:///nowhere")
    assert Settings.load().event_max_domains == 2
    monkeypatch.setenv(name, "5")
    assert Settings.load().event_max_domains == 5


@pytest.mark.parametrize("name", ["SLUICE_LINEAGE_EVENT_MAX_WORKERS", "EVENT_FETCHER_MAX_WORKERS"])
def test_e6_the_environment_sets_how_many_statements_a_domain_runs_at_once(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SLUICE_LINEAGE_WAREHOUSE_URL", "duckdb:///nowhere")
    assert Settings.load().event_max_workers == 2
    monkeypatch.setenv(name, "4")
    assert Settings.load().event_max_workers == 4
