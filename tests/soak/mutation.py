"""The deliberate mistakes of `mutations.toml`, and a copy of the repository in which one can be made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.repo.tree import ROOT, files, linked_folders, relative

LIST = Path(__file__).with_name("mutations.toml")
_PACKAGE_DIRS = (
    "protos/gen", "libs/rpc", "libs/warehouse", "libs/twin", "libs/client",
    "services/query-engine", "services/lineage", "services/cache", "gateway",
)  # fmt: skip
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Mutation:
    """A mistake, and the test that sees it."""

    requirement: str
    """Id of the requirement that the test proves."""
    about: str
    """The mistake in words."""
    file: str
    """The file it is made in, from the root of the repository."""
    find: str
    """Text that stands there exactly once."""
    put: str
    """What stands there instead."""
    test: str
    """The test that must turn red."""


def mutations() -> list[Mutation]:
    """Return all of them, in the order of the file."""
    return [Mutation(**entry) for entry in tomllib.loads(LIST.read_text(encoding="utf-8"))["mutation"]]


class MutableCopy:
    """A copy of the repository whose sources may be broken.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        for path in files():
            target = root / relative(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        for link in linked_folders():
            target = root / relative(link)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(link.readlink())
        shutil.copytree(ROOT / "protos" / "gen", root / "protos" / "gen", dirs_exist_ok=True)

    @contextmanager
    def broken(self, mutation: Mutation) -> Iterator[None]:
        """Let the mistake stand within the context."""
        path = self._root / mutation.file
        whole = path.read_text(encoding="utf-8")
        path.write_text(whole.replace(mutation.find, mutation.put), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(whole, encoding="utf-8")

    def exit_code_of(self, test: str) -> int:
        """Run one test in the copy and return pytest's exit code: 0 it passed, 1 it failed, else it did not run."""
        found = [str(self._root), *(str(self._root / folder) for folder in _PACKAGE_DIRS)]
        ended = subprocess.run(
            [sys.executable, "-B", "-m", "pytest", "-q", "-x", test],
            cwd=self._root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(found)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
        return ended.returncode
