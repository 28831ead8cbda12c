"""Memory between blocks that are in use is given back."""

from __future__ import annotations

import json
import subprocess
import sys

_BLOCKS = """
import json
from pathlib import Path
from sluice_query_engine import heap

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

heap.keep_little()
blocks = [bytes([1]) * 65_536 for _ in range(2_000)]
full = held()
blocks[::] = blocks[::2]
freed = held()
heap.give_back()
print(json.dumps([full, freed, held(), len(blocks)]))
"""


def test_free_pages_between_blocks_in_use_are_given_back() -> None:
    # In a process of its own, since what the allocator of this one keeps depends on every test before.
    told = subprocess.run([sys.executable, "-c", _BLOCKS], check=True, capture_output=True, text=True).stdout
    full, freed, given_back, block_count = json.loads(told)
    assert block_count == 1_000
    assert full - freed < 10_000
    assert full - given_back > 50_000
