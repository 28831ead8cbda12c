"""A cache killed between any two steps of what it does to its disk: the old frame or the new one, whole, or neither."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.cache_steps import DEEDS, NEW, OLD

# A process for every step, each begun anew; on a busy machine minutes for the longest deed.
pytestmark = pytest.mark.timeout(600)

LEAST_STEPS = {
    "replace a hot frame by a spooled one": 12,
    "replace a hot frame": 5,
    "replace a spooled frame": 12,
    "demote": 8,
    "delete": 2,
    "expire": 2,
    "prolong": 2,
}
"""So many steps each deed has at least; fewer and the test would not have seen what it is about."""

STANDING = {
    "replace a hot frame by a spooled one": {1: OLD, 2: NEW},
    "replace a hot frame": {1: OLD, 2: OLD[:2000]},
    "replace a spooled frame": {1: NEW, 2: NEW[:3600]},
    "demote": {1: OLD},
    "delete": {1: OLD},
    "expire": {1: OLD},
    "prolong": {1: OLD},
}
MAY_BE_GONE = {"delete", "expire"}


@dataclass(frozen=True)
class Round:
    """What was found after one kill, or after the deed went through."""

    killed: bool
    version: int | None
    values: list[int] | None
    orphans: list[str]
    missing: list[str]
    keep_s: float = 0.0


@pytest.fixture(scope="module", params=sorted(DEEDS))
def deed(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def rounds(deed: str, tmp_path_factory: pytest.TempPathFactory) -> list[Round]:
    folder: Path = tmp_path_factory.mktemp("steps")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.chaos.cache_steps", str(folder), deed],
        capture_output=True,
        timeout=540,
        check=False,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return [Round(**json.loads(line)) for line in ended.stdout.splitlines() if line.startswith('{"killed"')]


def test_every_step_but_the_last_was_a_kill(deed: str, rounds: list[Round]) -> None:
    assert [item.killed for item in rounds] == [True] * (len(rounds) - 1) + [False]
    assert len(rounds) > LEAST_STEPS[deed]


def test_what_is_read_afterwards_is_one_version_whole(deed: str, rounds: list[Round]) -> None:
    read = [item for item in rounds if item.version is not None]
    assert [item.values for item in read] == [STANDING[deed][item.version or 0] for item in read]


def test_a_frame_that_was_there_is_there_unless_it_was_to_go(deed: str, rounds: list[Round]) -> None:
    assert deed in MAY_BE_GONE or all(item.version is not None for item in rounds)


def test_what_was_done_in_the_end_is_there_in_the_end(deed: str, rounds: list[Round]) -> None:
    assert rounds[-1].version == (None if deed in MAY_BE_GONE else max(STANDING[deed]))


def test_nothing_lies_about_that_no_frame_names(rounds: list[Round]) -> None:
    assert [item.orphans for item in rounds] == [[]] * len(rounds)


def test_nothing_is_named_that_is_not_there(rounds: list[Round]) -> None:
    assert [item.missing for item in rounds] == [[]] * len(rounds)
