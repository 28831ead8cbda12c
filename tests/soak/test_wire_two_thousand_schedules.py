"""The schedules of tests/integration/test_wire_schedules.py from 2,000 seeds."""

from __future__ import annotations

from sluice_client.redis_server import RedisServer

from tests.fault_schedules import run_schedules


def test_wire_no_schedule_of_two_thousand_gives_a_wrong_row_leaves_anything_or_exceeds_the_cap(
    redis_server: RedisServer,
) -> None:
    outcomes = run_schedules(range(1_000, 3_000), redis_server.url)
    assert {seed: outcome for seed, outcome in outcomes.items() if not outcome.sound} == {}
