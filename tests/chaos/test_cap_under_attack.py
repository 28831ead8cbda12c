"""The promise to the DBA under attack: whatever dies, stops or lies, no statement starts above the cap. L9.

Two engines and lineage as processes with the product's lane, permits and settings, against a warehouse that counts
every statement at every instant. A minute of mishaps here, ten minutes in tests/soak.
"""

from __future__ import annotations

from pathlib import Path

from tests.cap_attack import CAP, attack
from tests.polling import poll_until


def test_no_statement_starts_above_the_cap_whatever_happens(redis_program: Path, tmp_path: Path) -> None:
    with attack(redis_program, tmp_path, seed=1) as running:
        # Leases are out, the cap is reached: only then is there something to break.
        poll_until(lambda: running.counter.count.most == CAP, 60, "every permit in use")
        count = running.go_on(60)
        # Once the mishaps end, the leases come back.
        poll_until(lambda: running.counter.count.running == CAP, 60, "every permit in use again")
    assert (count.over, count.most, count.started > 100, len(running.done)) == (0, CAP, True, 9)


def test_the_recipe_that_carries_on_without_redis_is_caught(redis_program: Path, tmp_path: Path) -> None:
    with attack(redis_program, tmp_path, seed=1, fail_open=True) as running:
        poll_until(lambda: running.counter.count.started > 20, 60)
        running.flush()
        running.wait(1)
        running.restart_redis()
        poll_until(lambda: running.counter.count.over > 0, 60, "a statement above the cap")


def test_killed_processes_leave_nothing_running(redis_program: Path, tmp_path: Path) -> None:
    with attack(redis_program, tmp_path, seed=2) as running:
        poll_until(lambda: running.counter.count.running > 0, 60)
        for worker in running.workers:
            worker.process.kill()
        poll_until(lambda: running.counter.count.running == 0, 60)
