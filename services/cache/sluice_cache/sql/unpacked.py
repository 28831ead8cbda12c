"""Spooled frames as mapped files: DuckDB reads Arrow as it lies, where Parquet is decompressed at every statement.

The files are this process's own and only ever repeat what the spool holds: they are made behind the first question of
a frame, go when the disk they may take is needed for another, and are gone after a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path

import pyarrow as pa
import structlog

from sluice_cache.errors import CacheExpired
from sluice_cache.frames import Frame, TierKind
from sluice_cache.tiers import CopyBroken, TierAway
from sluice_cache.tiers.memory import HotWriter, MappedCopy, MemoryTier
from sluice_cache.tiers.opened import Opened
from sluice_cache.tiers.spool import SpoolCopy

log = structlog.get_logger()

Opening = Callable[[str], AbstractContextManager[Opened]]


class Unpacked:
    """Mapped files of spooled frames, bounded in bytes, least recently used first out.

    Args:
        folder: theirs alone; emptied now.
        behind: writes them while statements are answered from the spool.
        max_bytes: disk that they may take; 0 switches this off.
        opening: opens a frame by its id.
    """

    def __init__(self, folder: Path, behind: Executor, max_bytes: int, opening: Opening) -> None:
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        self._folder = folder
        self._files = MemoryTier(folder, max_bytes)
        self._behind = behind
        self._max_bytes = max_bytes
        self._opening = opening
        # Guards both maps, from spool file to ours; files are written outside it.
        self._lock = threading.Lock()
        self._tokens: dict[str, str] = {}
        self._coming: set[str] = set()
        self._closing = threading.Event()

    def find(self, frame: Frame) -> tuple[MappedCopy, Path] | None:
        """Return the frame's mapped copy and its file; None when it has none that is whole."""
        key = frame.copies.get(TierKind.SPOOL, "")
        with self._lock:
            token = self._tokens.get(key)
        if token is None:
            return None
        try:
            copy = self._files.open(frame.with_copy(TierKind.MEMORY, token))
        except (CopyBroken, TierAway) as error:
            log.warning("unpacked copy dropped", frame_id=frame.frame_id, reason=str(error))
            copy = None
        if isinstance(copy, MappedCopy):
            return copy, self._folder / token
        self.drop(frame)
        return None

    def want(self, frame: Frame) -> None:
        """Have the frame unpacked, unless it is, is about to be, or is too large."""
        key = frame.copies.get(TierKind.SPOOL, "")
        if not key or frame.stored_bytes > self._max_bytes:
            return
        with self._lock:
            if key in self._tokens or key in self._coming:
                return
            self._coming.add(key)
        self._behind.submit(self._unpack, frame, key)

    def drop(self, frame: Frame) -> None:
        """Drop the frame's file; who reads it ends well."""
        with self._lock:
            token = self._tokens.pop(frame.copies.get(TierKind.SPOOL, ""), None)
        if token is not None:
            self._files.delete(token)

    def close(self) -> None:
        """Have what is being written given up."""
        self._closing.set()

    def _unpack(self, frame: Frame, key: str) -> None:
        try:
            with self._opening(frame.frame_id) as opened:
                if isinstance(opened.copy, SpoolCopy) and opened.copy.token == key:
                    self._write(frame, key, opened.copy)
        except (CacheExpired, CopyBroken, pa.ArrowException, OSError) as error:
            log.info("frame not unpacked", frame_id=frame.frame_id, reason=str(error))
        finally:
            with self._lock:
                self._coming.discard(key)

    def _write(self, frame: Frame, key: str, copy: SpoolCopy) -> None:
        writer: HotWriter = self._files.create(frame.frame_id, frame.version, copy.schema)
        try:
            for batch in copy.batches():
                if self._closing.is_set():
                    return
                writer.write(batch)
            token = writer.commit()
        finally:
            writer.abort()
        # Mapped here: the bytes are compared with their sum now, and no statement waits for that.
        self._files.open(frame.with_copy(TierKind.MEMORY, token))
        with self._lock:
            self._tokens[key] = token
        self._make_room()

    def _make_room(self) -> None:
        excess = set(self._files.overflow())
        with self._lock:
            self._tokens = {key: token for key, token in self._tokens.items() if token not in excess}
        for token in excess:
            self._files.delete(token)
            self._files.evicted()
