"""The page's source: its packages, installed once for whoever needs them."""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.browser_programs import npm
from tests.repo.tree import ROOT

WEB_DIR = ROOT / "gateway" / "web"
BUILT_DIR = ROOT / "gateway" / "sluice_gateway" / "static" / "app"


def run_npm(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what npm says; its failure fails the test with its words."""
    done = subprocess.run(
        [str(npm()), *arguments], cwd=WEB_DIR, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, f"npm {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def installed() -> Path:
    """Return the folder of the packages that package-lock.json names, installing them where they are not."""
    folder = WEB_DIR / "node_modules"
    # Workers of one run share the checkout.
    with (Path(tempfile.gettempdir()) / "sluice-web-packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".package-lock.json").is_file():
            run_npm("ci", "--no-audit", "--no-fund")
    return folder
