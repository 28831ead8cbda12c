"""Who may import whom; the contracts stand in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.repo.tree import PROCESSES, ROOT


def contracts() -> list[dict[str, object]]:
    """Return the import contracts."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return list(settings["contracts"])


def test_every_import_contract_holds(tmp_path: Path) -> None:
    # A process of its own: the linter reconfigures imports and prints what it found.
    linter = Path(sys.executable).with_name("lint-imports")
    command = [str(linter), "--no-logo", "--cache-dir", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_process_is_under_the_independence_contract() -> None:
    (independent,) = [contract["modules"] for contract in contracts() if contract["type"] == "independence"]
    assert independent == [f"sluice_{name.replace('-', '_')}" for name in PROCESSES]
