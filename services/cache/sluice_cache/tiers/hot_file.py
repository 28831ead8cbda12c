"""A hot file in the making: under a private name until it is complete, then under the name that its seal gives it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sluice_cache import files
from sluice_cache.seals import Seal

AddedCallback = Callable[[Path], None]
"""Told the path of a file once it has its name."""


class HotFile:
    """One file of the folder of hot files.

    Args:
        folder: theirs.
        stem: what its name begins with.
        added: told once it has its name.
    """

    def __init__(self, folder: Path, stem: str, added: AddedCallback) -> None:
        self._folder = folder
        self._stem = stem
        self._added = added
        self.temporary = files.inside(folder, f"{stem}.{secrets.token_hex(4)}{files.TEMP_SUFFIX}")

    def publish(self, seal: Seal, suffix: str) -> str:
        """Give the complete file its name and return it."""
        path = files.inside(self._folder, f"{self._stem}.{seal}{suffix}")
        files.publish(self.temporary, path, durable=False, stamp_ns=seal.stamp_ns)
        self._added(path)
        return path.name

    def discard(self) -> None:
        """Leave nothing behind; harmless after `publish`."""
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)
