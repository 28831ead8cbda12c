"""Same seed and scale, same data: the whole plant, written by separate processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_WRITE = """
import json, sys
from pathlib import Path
from sluice_twin import digests, write_plant
summary = write_plant(Path(sys.argv[1]), scale=0.02, seed=int(sys.argv[2]))
print(json.dumps({"tables": digests(summary.path), "truth": summary.truth_path.read_text()}))
"""


def written_by_a_process(out: Path, seed: int, hash_seed: str) -> dict[str, dict[str, str]]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", _WRITE, str(out), str(seed)],
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    answer: dict[str, dict[str, str]] = json.loads(done.stdout)
    return answer


def test_two_processes_write_the_same_plant_for_one_seed(tmp_path: Path) -> None:
    one = written_by_a_process(tmp_path / "one.duckdb", 7, hash_seed="1")
    other = written_by_a_process(tmp_path / "other.duckdb", 7, hash_seed="2")
    assert one == other


def test_another_seed_changes_every_table_that_is_drawn(tmp_path: Path) -> None:
    one = written_by_a_process(tmp_path / "one.duckdb", 7, hash_seed="0")["tables"]
    other = written_by_a_process(tmp_path / "other.duckdb", 8, hash_seed="0")["tables"]
    assert {name for name in one if one[name] == other[name]} == {
        "DW_MES_SPEC_WORKCENTER_V",
        "ERP_PJ_WIP_SCRAP_REASONS_EXCLUDE",
    }
