"""The systemd units start every process and nothing else."""

from __future__ import annotations

import re

from tests.repo.tree import PROCESSES, ROOT, text_of


def test_the_target_wants_every_process() -> None:
    wanted = re.findall(r"sluice@(\w+)\.service", text_of(ROOT / "deploy" / "systemd" / "sluice.target"))
    assert sorted(wanted) == sorted(name.replace("-", "_") for name in PROCESSES)


def test_the_unit_runs_the_package_of_its_instance() -> None:
    unit = text_of(ROOT / "deploy" / "systemd" / "sluice@.service")
    assert re.findall(r"^ExecStart=.+ -m (\S+)$", unit, re.MULTILINE) == ["sluice_%i"]
