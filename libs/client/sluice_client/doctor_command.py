"""`sluice doctor` asks each process that reads the warehouse to try what it needs there.

`sluice datasets check` asks the query engine what is wrong with dataset folders.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Final

DOCTORS: Final = ("sluice_query_engine.doctor", "sluice_lineage.doctor")
"""Modules that take a URL, write a line for each thing they tried, and exit with 0 where all is well.

Run as programs of their own: the client contains no process, and no driver.
"""


def run_doctors(url: str) -> int:
    """Run all of them, one after the other, and return the worst exit code; a URL that is none ends it at once."""
    worst = 0
    for module in DOCTORS:
        sys.stdout.write(f"{module.partition('.')[0].removeprefix('sluice_').replace('_', '-')}:\n")
        # What the child writes shall come behind it.
        sys.stdout.flush()
        code = subprocess.run([sys.executable, "-m", module, url], check=False).returncode  # noqa: S603 - our own modules
        worst = max(worst, abs(code))
        if code > 1:
            break
    return worst


def run_check(arguments: Sequence[str]) -> int:
    """Have the query engine check dataset folders, and return its exit code."""
    command = [sys.executable, "-m", "sluice_query_engine.check", *arguments]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - our own module
