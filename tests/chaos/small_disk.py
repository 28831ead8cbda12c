"""A disk of a few megabytes that a test may fill, or forbid to be written.

Where the tests may mount, it is a tmpfs of its own. Elsewhere the system refuses the process under test every write to
a file instead (RLIMIT_FSIZE), which is the same to it: a write that fails where one before it did not.
"""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

SIZE_BYTES = 48 << 20


class SmallDisk(Protocol):
    """A folder, and what can be done to the disk that it is on."""

    folder: Path

    def fill(self, pid: int) -> None:
        """Leave no room on it for the process."""
        ...

    def forbid(self, pid: int) -> None:
        """Let nothing be written to it by the process."""
        ...

    def relieve(self, pid: int) -> None:
        """Undo both for the process."""
        ...

    def relieve_the_next(self) -> None:
        """Undo both for a process that starts after the one before has ended."""
        ...


class MountedDisk:
    """A tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        self._root = folder
        self._ballast = folder / "ballast"
        self._forbidden = False

    def fill(self, pid: int) -> None:
        block = bytes(1 << 12)
        try:
            with self._ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(block)
        except OSError:
            return

    def forbid(self, pid: int) -> None:
        # A second mount in front of the first: the first is busy, since the process holds a file open for writing.
        subprocess.run(["mount", "--bind", str(self._root), str(self._root)], check=True)
        self._forbidden = True
        subprocess.run(["mount", "-o", "remount,bind,ro", str(self._root)], check=True)

    def relieve(self, pid: int) -> None:
        self.relieve_the_next()

    def relieve_the_next(self) -> None:
        if self._forbidden:
            subprocess.run(["umount", "--lazy", str(self._root)], check=True)
            self._forbidden = False
        self._ballast.unlink(missing_ok=True)


class RefusedDisk:
    """Writes of the process that the system refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"

    def fill(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def forbid(self, pid: int) -> None:
        self.fill(pid)

    def relieve(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def relieve_the_next(self) -> None:
        """Nothing to do: a limit ends with its process."""


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Make a small disk and take it away again."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "sluice-test", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    disk: SmallDisk = MountedDisk(folder) if mounted else RefusedDisk(folder)
    try:
        disk.folder.mkdir()
        yield disk
    finally:
        disk.relieve_the_next()
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
