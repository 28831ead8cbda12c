"""The demo's folder: one demo at a time, and a note for other commands that says where it listens."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = "demo.lock"
_NOTE = "demo.json"


class DataDirInUse(Exception):
    """Another demo runs on the folder; the message says where and what to do."""


class DataDir:
    """The folder of a demo, created if it is missing.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; the system lets go of it however the process ends.

        Raises:
            DataDirInUse: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise DataDirInUse(_in_use(self.path)) from None
            yield

    @contextmanager
    def announced(self, url: str) -> Iterator[None]:
        """Leave a note that a demo listens at `url`, for as long as the context lasts."""
        note = self.path / _NOTE
        draft = note.with_suffix(".draft")
        draft.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
        draft.replace(note)
        try:
            yield
        finally:
            note.unlink(missing_ok=True)


def running_demo_url(path: Path) -> str | None:
    """Return where the demo on this folder listens; None when no demo runs on it."""
    try:
        with (path / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        # Somebody holds it, so the note is not a leftover of a demo that was killed.
        return _noted_url(path)
    return None


def _noted_url(path: Path) -> str | None:
    try:
        note = json.loads((path / _NOTE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return str(note["url"])


def _in_use(path: Path) -> str:
    url = _noted_url(path)
    where = f" at {url}" if url else ""
    return f"a demo already runs on {path}{where}; stop it, or give this one a folder of its own with --data-dir"
