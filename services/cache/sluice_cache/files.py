"""Files that are there whole or not at all, and a folder that belongs to one process."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMP_SUFFIX = ".part"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}")


class FolderTaken(Exception):
    """Another process works in the data folder."""


def is_name(name: str) -> bool:
    """Return whether a text is a plain file name of ours."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return the name.

    Raises:
        ValueError: the name is not plain, so that its path could lie elsewhere.
    """
    if not is_name(name):
        raise ValueError(f"{name!r} is no plain file name")
    return name


def inside(folder: Path, name: str) -> Path:
    """Return the path of a plain file name in a folder.

    Raises:
        ValueError: the name is not plain, so that the path could lie elsewhere.
    """
    return folder / check_name(name)


def publish(temporary: Path, final: Path, *, durable: bool = True, stamp_ns: int | None = None) -> None:
    """Give a complete file its name; readers see all of it or nothing.

    Args:
        temporary: the complete file, in the same folder.
        final: its name from now on; what stood there is replaced.
        durable: whether it must outlive a power cut.
        stamp_ns: the time of change that it carries from now on, in nanoseconds since 1970; None leaves it.
    """
    if stamp_ns is not None:
        os.utime(temporary, ns=(stamp_ns, stamp_ns))
    if durable:
        sync(temporary)
    temporary.replace(final)
    if durable:
        sync(final.parent)


def write_whole(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a small file so that readers see the old or the new content."""
    temporary = path.with_name(path.name + TEMP_SUFFIX)
    try:
        temporary.write_bytes(content)
        publish(temporary, path, durable=durable)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def identity(folder: Path) -> str:
    """Return what names the owner of a folder from its first start on, in 8 characters."""
    path = folder / ".identity"
    if not path.exists():
        write_whole(path, secrets.token_hex(4).encode(), durable=True)
    return path.read_text(encoding="ascii")


def restarted(folder: Path) -> bool:
    """Return whether the machine has started since this was last asked of a folder; true where that cannot be told."""
    path = folder / ".boot"
    try:
        now = _BOOT_ID.read_text(encoding="ascii")
        if path.exists() and path.read_text(encoding="ascii") == now:
            return False
        write_whole(path, now.encode(), durable=True)
    except OSError:
        return True
    return True


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
