"""Files that start processes come first, in turn of their kinds; each comes once."""

from __future__ import annotations

from pathlib import Path

from tests.file_order import in_turn

TESTS = Path(__file__).resolve().parents[1]


def test_kinds_take_turns_and_what_is_quick_comes_last() -> None:
    names = ["browser/a.py", "browser/b.py", "browser/b.py", "chaos/c.py", "repo/r.py", "unit/rpc/u.py", "e2e/d.py"]
    ordered = [path.relative_to(TESTS).as_posix() for path in in_turn([TESTS / name for name in names])]
    assert ordered == ["browser/a.py", "chaos/c.py", "e2e/d.py", "browser/b.py", "repo/r.py", "unit/rpc/u.py"]
