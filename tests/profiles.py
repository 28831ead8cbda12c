"""How long property tests search, what a run left out, and when golden answers are rewritten; loaded by conftest.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, settings

# A shared machine stalls now and then; the per-test timeout catches what really hangs.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile(
    "soak", parent=settings.get_profile("default"), max_examples=5000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `make golden` passes, and how long soaks of the page last."""
    parser.addoption("--write-golden", action="store_true", help="rewrite golden answers instead of comparing them")
    share = "share of their length that soaks of the page take, 1 for all of it"
    parser.addoption("--soak-share", type=float, default=1.0, help=share)


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark that `make golden` selects."""
    config.addinivalue_line("markers", "golden: compares an answer with a reviewed file; make golden rewrites the file")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what this run did not run; a run of everything says nothing."""
    lines = left_out(terminalreporter.stats, str(config.getoption("markexpr")), str(config.getoption("keyword")))
    if lines:
        terminalreporter.section("left out")
        for line in lines:
            terminalreporter.write_line(line)


def left_out(stats: Mapping[str, Sequence[object]], marks: str, words: str) -> list[str]:
    """Return one sentence for each group of tests that were collected and not run."""
    lines = []
    if deselected := len(stats.get("deselected", [])):
        asked = " ".join(f"{option} {value!r}" for option, value in (("-m", marks), ("-k", words)) if value)
        lines.append(f"{deselected} tests do not match {asked or 'the selection'}")
    lines.extend(f"{len(stats[kind])} tests {kind}" for kind in ("skipped", "xfailed", "xpassed") if stats.get(kind))
    return lines
