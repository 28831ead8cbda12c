"""Programs that tests of the web page need besides Python; where one is missing, its tests are left out by name."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

LEAST_NODE = (20, 19)
"""What the page's build asks for."""


@cache
def chromium() -> Path | None:
    """Return the browser's program; None where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return Path(found) if found else None


@cache
def npm() -> Path | None:
    """Return the npm of a Node that is new enough; None where there is none."""
    node, found = shutil.which("node"), shutil.which("npm")
    if node is None or found is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = re.match(r"v(\d+)\.(\d+)", said)
    new_enough = numbers is not None and (int(numbers[1]), int(numbers[2])) >= LEAST_NODE
    return Path(found) if new_enough else None


def missing() -> dict[str, str]:
    """Return why tests with a mark cannot run here, by mark."""
    reasons = {}
    if chromium() is None:
        reasons["browser"] = "there is no Chromium on this machine (install chromium)"
    if npm() is None:
        reasons["node"] = f"there is no Node {LEAST_NODE[0]}.{LEAST_NODE[1]} or newer with npm on this machine"
    return reasons


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark that is not in pyproject.toml."""
    config.addinivalue_line("markers", "node: needs Node and npm")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run here."""
    reasons = missing()
    out = [item for item in items if any(item.get_closest_marker(mark) for mark in reasons)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what this machine cannot run; workers know it too, so it holds for a run of any shape."""
    for mark, reason in missing().items():
        terminalreporter.section("left out")
        terminalreporter.write_line(f"every test marked {mark!r}: {reason}")
