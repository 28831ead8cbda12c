"""The attack of tests/chaos/test_cap_under_attack.py for ten minutes, from three seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cap_attack import CAP, attack
from tests.polling import poll_until


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_statement_starts_above_the_cap_for_ten_minutes_in_all(
    redis_program: Path, tmp_path: Path, seed: int
) -> None:
    with attack(redis_program, tmp_path, seed) as running:
        poll_until(lambda: running.counter.count.most == CAP, 60, "every permit in use")
        count = running.go_on(200)
        poll_until(lambda: running.counter.count.running == CAP, 60, "every permit in use again")
    assert (count.over, count.most, count.started > 2000) == (0, CAP, True)
