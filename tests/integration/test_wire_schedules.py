"""Random schedules of readings, cancels, breaks, faults and restarts, over both lanes; tests/soak runs more of them.

A seed that fails is run again alone by `run_schedule(seed, redis_url)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from sluice_client.redis_server import RedisServer

from tests.fault_schedules import Outcome, planned, run_schedules

SEEDS = range(200)
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def outcomes(redis_server: RedisServer) -> Mapping[int, Outcome]:
    """What came of each seed."""
    return run_schedules(SEEDS, redis_server.url)


def test_wire_every_schedule_is_right_heals_leaves_nothing_and_stays_under_the_cap(
    outcomes: Mapping[int, Outcome],
) -> None:
    assert {seed: outcome for seed, outcome in outcomes.items() if not outcome.sound} == {}


def test_wire_schedules_meet_answers_and_faults_alike(outcomes: Mapping[int, Outcome]) -> None:
    ends = sum((outcome.ends for outcome in outcomes.values()), Counter[str]())
    assert {"answer", "left", "failed", "WAREHOUSE_UNAVAILABLE", "WAREHOUSE_ERROR", "CANCELLED"} <= set(ends)
    assert ends["answer"] > len(SEEDS) / 2


def test_a_schedule_is_its_seed() -> None:
    assert [planned(seed) for seed in SEEDS] == [planned(seed) for seed in SEEDS]
    assert len({planned(seed).readers for seed in SEEDS}) == len(SEEDS)
