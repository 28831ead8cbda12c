"""The ledger in memory and the script in Redis answer every request alike, whatever came before."""

from __future__ import annotations

from dataclasses import dataclass, replace

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings
from sluice_warehouse.permit_ledger import Hold, LeaseLedger, Request
from sluice_warehouse.permits_redis import RedisLedger

from tests.leased_permits import TERMS

OTHER_TERMS = replace(TERMS, plan="cap=5;one=1,two=1", lease_count=3)
LEASES = ["a", "b", "c", "d"]


@dataclass(frozen=True)
class Step:
    """What happens next: time passes, or the server is restarted or emptied, and then somebody asks."""

    server_ms: int
    restart: bool
    empty: bool
    request: Request


@st.composite
def asked(draw: st.DrawFn) -> Request:
    """Return a request of one of two processes, each of which may run twice; its number is often out of order."""
    process = draw(st.sampled_from(["one", "two"]))
    holds = st.builds(Hold, st.sampled_from(LEASES), st.just("somebody"), st.integers(0, 40_000))
    return Request(
        process=process,
        incarnation=process + draw(st.sampled_from(["", " again"])),
        seq=draw(st.integers(1, 30)),
        terms=draw(st.sampled_from([TERMS, TERMS, TERMS, OTHER_TERMS])),
        drops=draw(st.lists(st.sampled_from(LEASES), max_size=2).map(tuple)),
        holds=draw(st.lists(holds, max_size=3).map(tuple)),
        wish=draw(st.none() | holds),
        waiting_count=draw(st.integers(0, 2)),
        share=draw(st.sampled_from([(), ("somebody",)])),
        leaving=draw(st.integers(0, 9)) == 0,
    )


steps = st.lists(
    st.builds(
        Step,
        server_ms=st.sampled_from([-3_600_000, -1, 0, 1, 200, 999, 1000, 1000, 1000, 1001, 3_600_000]),
        restart=st.integers(0, 19).map(lambda number: number == 0),
        empty=st.integers(0, 19).map(lambda number: number == 0),
        request=asked(),
    ),
    max_size=60,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(steps=steps)
def test_both_ledgers_answer_alike(redis_url: str, steps: list[Step]) -> None:
    ours, theirs = LeaseLedger(), RedisLedger(redis_url, run="run 0")
    theirs.empty()
    now_ms, runs = 1_700_000_000_000, 0
    answers = []
    for step in steps:
        now_ms += step.server_ms
        runs += step.restart
        theirs.server_ms, theirs.run = now_ms, f"run {runs}"
        if step.empty:
            ours.empty()
            theirs.empty()
        answers.append((ours.answer(step.request, now_ms, theirs.run), theirs.ask(step.request)))
    theirs.close()
    assert [ours for ours, _ in answers] == [theirs for _, theirs in answers]
