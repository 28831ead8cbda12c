"""One way to run each tool: the Makefile, the hooks and the CI run agree."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.repo.tree import ROOT, text_of

MAKEFILE = text_of(ROOT / "Makefile")
HOOKS: dict[str, Any] = yaml.safe_load(text_of(ROOT / ".pre-commit-config.yaml"))


def recipe(target: str) -> str:
    """Return the one line of a target."""
    (found,) = re.findall(rf"^{target}: (?:\.venv/ready )?; (.+)$", MAKEFILE, re.MULTILINE)
    return str(found).replace("$(bin)", ".venv/bin")


@pytest.mark.parametrize(
    "target", ["demo", "test", "check", "bench", "soak", "golden", "proto", "docs", "lock", "clean"]
)
def test_a_target_is_one_line(target: str) -> None:
    assert recipe(target) != ""


def test_hooks_download_nothing() -> None:
    assert [repository["repo"] for repository in HOOKS["repos"]] == ["local"]


def test_hooks_of_the_whole_tree_run_what_check_runs() -> None:
    whole = [hook["entry"] for hook in HOOKS["repos"][0]["hooks"] if hook.get("pass_filenames") is False]
    assert [entry for entry in whole if entry not in recipe("check")] == []


def test_ci_runs_check_and_test() -> None:
    steps = re.findall(r"^\s*step \w+ make (\S+)$", text_of(ROOT / ".ci" / "run"), re.MULTILINE)
    assert steps == [".venv/ready", "check", "test"]
