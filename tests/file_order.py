"""In which order files run: what starts processes first, its kinds in turn, and what is quick last.

Workers take whole files from the front of one queue. A long file at its end would run alone, and files of one kind side
by side would want the same thing at once: two browsers two cores, for example, while waits for leases want none.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

_TESTS: Final = Path(__file__).parent
_QUICK: Final = frozenset({"repo", "unit"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of each file where the file belongs; within a file nothing changes."""
    places = {path: place for place, path in enumerate(in_turn([item.path for item in items]))}
    items.sort(key=lambda item: places[item.path])


def in_turn(paths: Sequence[Path]) -> list[Path]:
    """Return each file once: the first of every slow folder, the second of each and so on, then the quick folders."""
    files = list(dict.fromkeys(paths))
    by_folder: dict[str, list[Path]] = {}
    for path in files:
        by_folder.setdefault(_folder(path), []).append(path)
    slow = [found for folder, found in by_folder.items() if folder not in _QUICK]
    turns = [path for turn in itertools.zip_longest(*slow) for path in turn if path is not None]
    return turns + [path for path in files if _folder(path) in _QUICK]


def _folder(path: Path) -> str:
    return path.relative_to(_TESTS).parts[0] if path.is_relative_to(_TESTS) else ""
