"""Files that are there whole or not at all, and a folder that belongs to one process."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMP_SUFFIX = ".part"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}")


class FolderTaken(Exception):
    """Another process works in the data folder."""


def inside(folder: Path, name: str) -> Path:
    """Return the path of a plain file name in a folder.

    Raises:
        ValueError: the name is not plain, so that the path could lie elsewhere.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no plain file name")
    return folder / name


def publish(temporary: Path, final: Path, *, durable: bool = True) -> None:
    """Give a complete file its name; readers see all of it or nothing.

    Args:
        temporary: the complete file, in the same folder.
        final: its name from now on; what stood there is replaced.
        durable: whether it must outlive a power cut.
    """
    if durable:
        sync(temporary)
    temporary.replace(final)
    if durable:
        sync(final.parent)


def write_whole(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a small file so that readers see the old or the new content."""
    temporary = path.with_name(path.name + TEMP_SUFFIX)
    temporary.write_bytes(content)
    publish(temporary, path, durable=durable)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone; the kernel gives it back however the process ends.

    Raises:
        FolderTaken: another process holds it.
    """
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderTaken(f"another cache process works in {folder}") from None
        yield
