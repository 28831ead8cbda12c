"""L1: hot frames as uncompressed IPC stream files, memory-mapped; bounded in bytes, kept across restarts.

What came compressed lies as it came until somebody asks for its rows (`encoded`), and then beside them while there is
room: who asks for it compressed gets it without its being encoded again.

Hot files are not synced: a process that dies leaves them whole, only a machine that dies does not. After its next start
every file's bytes are compared with the checksum in its name before they are used. And whenever a file is mapped its
bytes are compared with the sum in its name; from then on the system's pages are trusted as its memory is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import structlog
from sluice_rpc import arrow

from sluice_cache import codec, files, seals
from sluice_cache.frames import Frame, TierKind
from sluice_cache.tiers import CopyBroken, TierAway, TierCounts, encoded
from sluice_cache.tiers.encoded import EncodedCopy, EncodedWriter
from sluice_cache.tiers.holdings import Holdings
from sluice_cache.tiers.hot_file import AddedCallback, HotFile

log = structlog.get_logger()

SUFFIX = ".arrows"


class MappedCopy:
    """A hot frame; its pages belong to the operating system, and the mapping outlives the file's name."""

    def __init__(self, table: pa.Table, content: pa.Buffer) -> None:
        self.table = table
        self.content = content

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        table = self.table if columns is None else self.table.select(columns)
        yield from table.to_batches(max_chunksize=arrow.BATCH_ROW_COUNT)

    def close(self) -> None:
        """Nothing to give back: the mapping ends with its last array."""


class MemoryTier:
    """Hot files in one folder and the tables mapped from them.

    Args:
        folder: theirs alone.
        max_bytes: what `overflow` measures against.
        beside_bytes: asked what else lives on the same budget: DuckDB's own tables.
    """

    kind = TierKind.MEMORY

    def __init__(self, folder: Path, max_bytes: int, beside_bytes: Callable[[], int] = lambda: 0) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._beside_bytes = beside_bytes
        self._holdings = Holdings(max_bytes)
        # Guards the map; mapping a file happens outside it.
        self._lock = threading.Lock()
        self._mapped: dict[str, MappedCopy | EncodedCopy] = {}
        # By the file that was made of them: compressed files that are no copy of their own any more, and their sizes.
        self._beside: dict[str, tuple[str, int]] = {}

    def load(self, tokens: set[str]) -> set[str]:
        """Take in the hot files of an earlier process; return those of `tokens` that are there."""
        found = [path for suffix in (SUFFIX, encoded.SUFFIX) for path in self._folder.glob(f"*{suffix}")]
        there = {path.name: path.stat() for path in found if path.name in tokens}
        for name in sorted(there, key=lambda name: there[name].st_atime):
            self._holdings.add(name, there[name].st_size)
        return set(there)

    def create(self, frame_id: str, version: int, schema: pa.Schema) -> HotWriter:
        return HotWriter(self._folder, f"{frame_id}.{version}", schema, self._added)

    def create_encoded(self, frame_id: str, version: int) -> EncodedWriter:
        """Begin a copy that lies as it comes, a compressed stream."""
        return EncodedWriter(self._folder, f"{frame_id}.{version}", self._added)

    def open(self, frame: Frame) -> MappedCopy | EncodedCopy | None:
        token = frame.copies.get(self.kind)
        copy = None
        if token is not None:
            self._holdings.used(token)
            copy = self._checked(token, frame)
        self._holdings.read(hit=copy is not None)
        return copy

    def examine(self, frame: Frame) -> None:
        """Map a frame's file before anybody asks for it; that is no use of it.

        Raises:
            CopyBroken: it is not the file that was written.
        """
        token = frame.copies.get(self.kind, "")
        if token in self._holdings:
            with suppress(TierAway):
                self._checked(token, frame)

    def by_last_use(self) -> list[str]:
        """Return the copies, last used first."""
        return self._holdings.by_last_use()

    def delete(self, token: str) -> None:
        self._holdings.remove(token)
        with self._lock:
            self._mapped.pop(token, None)
        self._unlink(token)
        self._forget_beside(token)

    def keep_beside(self, token: str, encoded_token: str) -> None:
        """Have a compressed file lie on beside the one that was made of it, while that lies there and there is room."""
        with self._lock:
            self._beside[token] = (encoded_token, self._holdings.size_of(encoded_token))
        self._holdings.remove(encoded_token)
        if token not in self._holdings:
            self._forget_beside(token)

    def beside(self, frame: Frame) -> EncodedCopy | None:
        """Return the compressed stream that a frame's file was made of; None when that is not there any more."""
        token = frame.copies.get(self.kind, "")
        with self._lock:
            name, _ = self._beside.get(token, ("", 0))
        try:
            copy = self._checked(name, frame) if name else None
        except (CopyBroken, TierAway) as error:
            log.warning("compressed copy dropped", frame_id=frame.frame_id, reason=str(error))
            copy = None
        if isinstance(copy, EncodedCopy):
            self._holdings.used(token)
            return copy
        self._forget_beside(token)
        return None

    def holds(self, token: str) -> bool:
        """Return whether this process wrote or took in the file and has not deleted it."""
        with self._lock:
            beside = any(token == name for name, _ in self._beside.values())
        return beside or token in self._holdings

    def unmap(self) -> None:
        """Let go of every mapping; the files stay, and the next read maps again what it needs."""
        with self._lock:
            self._mapped.clear()

    def overflow(self) -> list[str]:
        """Return the copies to give up, least recently used first, so that the rest fits the budget."""
        room_bytes = self._max_bytes - self._beside_bytes()
        if self._holdings.counts().bytes + self._encoded_bytes() > room_bytes:
            # They only repeat what lies there otherwise.
            for token in list(self._beside):
                self._forget_beside(token)
        return self._holdings.first_beyond(room_bytes)

    def evicted(self) -> None:
        """Count one copy given up for the budget."""
        self._holdings.evicted()

    def counts(self) -> TierCounts:
        return replace(self._holdings.counts(), beside_bytes=self._beside_bytes() + self._encoded_bytes())

    def _encoded_bytes(self) -> int:
        with self._lock:
            return sum(size for _, size in self._beside.values())

    def _forget_beside(self, token: str) -> None:
        with self._lock:
            name, _ = self._beside.pop(token, ("", 0))
            self._mapped.pop(name, None)
        if name:
            self._unlink(name)

    def _unlink(self, token: str) -> None:
        try:
            files.inside(self._folder, token).unlink(missing_ok=True)
        except OSError as error:
            log.warning("hot file not removed", file=token, reason=str(error))

    def _checked(self, token: str, frame: Frame) -> MappedCopy | EncodedCopy | None:
        try:
            path = files.inside(self._folder, token)
            # Also before every use of a mapping: pages beyond the end of a file that was cut would end the process.
            if not seals.intact(path):
                raise CopyBroken(f"{token}: not the bytes that were written")
            return self._take(token) or self._map(path, token, frame)
        except FileNotFoundError:
            return None
        except (pa.ArrowException, ValueError) as error:
            raise CopyBroken(f"{token}: {error}") from error
        except OSError as error:
            raise TierAway(f"{token}: {error}") from error

    def _take(self, token: str) -> MappedCopy | EncodedCopy | None:
        with self._lock:
            return self._mapped.get(token)

    def _map(self, path: Path, token: str, frame: Frame) -> MappedCopy | EncodedCopy:
        copy = _encoded(path, frame) if is_encoded(token) else _mapped(path, frame)
        with self._lock:
            if token in self._holdings or any(token == name for name, _ in self._beside.values()):
                self._mapped[token] = copy
        return copy

    def _added(self, path: Path) -> None:
        self._holdings.add(path.name, path.stat().st_size)


def is_encoded(token: str) -> bool:
    """Return whether a copy lies as a compressed stream."""
    return token.endswith(encoded.SUFFIX)


def _mapped(path: Path, frame: Frame) -> MappedCopy:
    table, content = codec.map_stream(path)
    if not seals.vouched(path.name, content):
        raise CopyBroken(f"{path.name}: not the bytes that were written")
    if table.num_rows != frame.row_count:
        raise CopyBroken(f"{path.name}: {table.num_rows} rows, the frame has {frame.row_count}")
    return MappedCopy(table, content)


def _encoded(path: Path, frame: Frame) -> EncodedCopy:
    with pa.memory_map(str(path)) as source:
        content = source.read_buffer()
    if not seals.vouched(path.name, content):
        raise CopyBroken(f"{path.name}: not the bytes that were written")
    return EncodedCopy(frame, content)


class HotWriter:
    """A hot file in the making, under a private name."""

    def __init__(self, folder: Path, stem: str, schema: pa.Schema, added: AddedCallback) -> None:
        self._file = HotFile(folder, stem, added)
        self._sink = pa.OSFile(str(self._file.temporary), "wb")
        self._writer = pa.ipc.new_stream(self._sink, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        for offset in range(0, batch.num_rows, arrow.BATCH_ROW_COUNT):
            self._writer.write_batch(batch.slice(offset, arrow.BATCH_ROW_COUNT))

    def commit(self) -> str:
        self._writer.close()
        self._sink.close()
        with pa.memory_map(str(self._file.temporary)) as written:
            seal = seals.seal_by(written.read_buffer(), time.time_ns())
        return self._file.publish(seal, SUFFIX)

    def abort(self) -> None:
        with suppress(OSError, pa.ArrowException):
            # A disk that is full or gone may refuse what was still to be written; the file goes all the same.
            self._sink.close()
        self._file.discard()

    def read_back(self) -> Iterator[pa.RecordBatch]:
        """Yield what was written so far, so that it can go to another tier; nothing can be written after it."""
        self._writer.close()
        self._sink.close()
        with pa.memory_map(str(self._file.temporary)) as source, pa.ipc.open_stream(source) as reader:
            yield from reader
