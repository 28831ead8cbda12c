"""L3: large and demoted frames as Parquet files that DuckDB reads in place; bounded in bytes, kept across restarts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import structlog
from sluice_rpc import arrow

from sluice_cache import codec
from sluice_cache.frames import Frame, TierKind, from_json, is_written, to_json
from sluice_cache.tiers import CopyBroken, TierAway, TierCounts, TierFull, categories
from sluice_cache.tiers.categories import Categories
from sluice_cache.tiers.holdings import Holdings
from sluice_cache.tiers.spool_folder import POINTER_SUFFIX, SpoolFile, SpoolFolder, data_of

log = structlog.get_logger()

WARN_RATIO = 0.85
ROW_GROUP_ROW_COUNT = 2 * arrow.BATCH_ROW_COUNT

_ROW_COUNT_KEY = b"sluice.row_count"
_SCHEMA_KEY = b"sluice.schema"
_HASH_KEY = b"sluice.schema_hash"
_CATEGORIES_KEY = b"sluice.categories"


class SpoolCopy:
    """A Parquet file, pinned: its name stays until the copy is closed."""

    def __init__(
        self, token: str, path: Path | None, schema: pa.Schema, opened: pq.ParquetFile, closed: Callable[[str], None]
    ) -> None:
        self.token = token
        self._path = path
        self.schema = schema
        self._file = opened
        self._closed = closed

    @property
    def path(self) -> Path:
        """Where it lies on this machine, for who reads it in place; a spool elsewhere is read through the first tier.

        Raises:
            CopyBroken: the spool's file system is not of this machine.
        """
        if self._path is None:
            raise CopyBroken(f"{self.token} does not lie on this machine")
        return self._path

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        schema = self.schema if columns is None else pa.schema([self.schema.field(name) for name in columns])
        try:
            known = categories.by_column(self._file.metadata.metadata or {}, _CATEGORIES_KEY)
            for batch in self._file.iter_batches(batch_size=arrow.BATCH_ROW_COUNT, columns=columns):
                arrays = [
                    categories.restored(batch.column(field.name), field.type, known.get(field.name)) for field in schema
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        except (pa.ArrowException, OSError) as error:
            raise CopyBroken(f"{self.token}: {error}") from error

    def close(self) -> None:
        self._file.close()
        self._closed(self.token)


class SpoolTier:
    """Parquet files in one folder.

    Args:
        folder: where they lie; nothing else lies there.
        max_bytes: past it nothing more is taken.
    """

    kind = TierKind.SPOOL

    def __init__(self, folder: SpoolFolder, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._holdings = Holdings(max_bytes)
        # Guards the pins; a file's name goes only when nobody has pinned it.
        self._lock = threading.Lock()
        self._pins: Counter[str] = Counter()
        self._doomed: set[str] = set()

    def load(self, tokens: set[str]) -> set[str]:
        """Take in the files of an earlier process; return those of `tokens` that are there."""
        there = {item.name: item.bytes for item in self.folder.listed() if item.name in tokens}
        for name, size in there.items():
            self._holdings.add(name, size)
        return set(there)

    def create(self, frame_id: str, version: int, schema: pa.Schema) -> SpoolWriter:
        used = self.counts().bytes
        if used >= self._max_bytes:
            log.warning("spool is full", bytes=used, max_bytes=self._max_bytes)
            raise TierFull(f"the spool holds {used} of {self._max_bytes} bytes")
        if used >= WARN_RATIO * self._max_bytes:
            log.warning("spool is nearly full", bytes=used, max_bytes=self._max_bytes)
        return SpoolWriter(
            self.folder.create(f"{frame_id}.{version}"), schema, self._holdings.add, self._max_bytes - used
        )

    def open(self, frame: Frame) -> SpoolCopy | None:
        token = frame.copies.get(self.kind)
        copy = self._open(token, frame) if token is not None else None
        self._holdings.read(hit=copy is not None)
        return copy

    def delete(self, token: str) -> None:
        self._holdings.remove(token)
        with self._lock:
            if self._pins[token]:
                self._doomed.add(token)
                return
        self._remove(token)

    def point(self, frame: Frame) -> None:
        """Write what the frame's file says of itself, if it has one; the last step of keeping it.

        Where another process has prolonged it further, it stays as long as that.
        """
        token = frame.copies.get(self.kind)
        if token is None:
            return
        present = self.pointed(token)
        longest = frame if present is None else frame.touched(None, present.keep_until_time)
        if longest != present:
            self.folder.point(token, to_json(longest).encode())

    def reachable(self, frame: Frame) -> Frame:
        """Return the frame, without the copy in the spool where its file is not in this spool."""
        token = frame.copies.get(self.kind)
        if token is None or self.holds(token) or self.folder.has(token):
            return frame
        return frame.without_copy(self.kind)

    def pointed(self, token: str) -> Frame | None:
        """Return what a file's pointer says now, or None when it has none that can be read."""
        content = self.folder.pointer(token)
        try:
            return from_json(content) if content is not None else None
        except ValueError:
            return None

    def is_damaged(self, token: str) -> bool:
        """Return whether a file has a pointer that no release has written: cut, or overwritten."""
        content = self.folder.pointer(token)
        return content is not None and not is_written(content)

    def pointed_of(self, frame: Frame) -> Frame | None:
        """Return what the pointer of the frame's file says of the same version now, or None."""
        token = frame.copies.get(self.kind)
        said = self.pointed(token) if token is not None else None
        return said if said is not None and said.version == frame.version else None

    def all_pointed(self) -> list[Frame]:
        """Return the frames that the files of the spool hold by their pointers."""
        names = {item.name for item in self.folder.listed()}
        said = [self.pointed(data_of(name)) for name in sorted(names) if name.endswith(POINTER_SUFFIX)]
        return [frame for frame in said if frame is not None and frame.copies.get(self.kind) in names]

    def holds(self, token: str) -> bool:
        """Return whether this process wrote or opened the file and has not deleted it."""
        with self._lock:
            return token in self._holdings or token in self._pins

    def counts(self) -> TierCounts:
        return self._holdings.counts()

    def _open(self, token: str, frame: Frame) -> SpoolCopy | None:
        with self._lock:
            self._pins[token] += 1
        try:
            opened = self._opened(token)
            schema = _verified(opened, frame, token)
            path = self.folder.local_path(token)
        except FileNotFoundError:
            self._unpin(token)
            return None
        except (pa.ArrowException, ValueError) as error:
            self._unpin(token)
            raise CopyBroken(f"{token}: {error}") from error
        except OSError as error:
            # What the file system does not hand out now may be there again later; nothing is deleted for that.
            self._unpin(token)
            raise TierAway(f"{token}: {error}") from error
        except CopyBroken:
            self._unpin(token)
            raise
        return SpoolCopy(token, path, schema, opened, self._unpin)

    def _opened(self, token: str) -> pq.ParquetFile:
        # Opened before it is verified: what is read later is this very file, whatever its name stands for by then.
        source = self.folder.open(token)
        if not self.folder.intact(token):
            source.close()
            raise CopyBroken(f"{token}: not the bytes that were written")
        # Buffered ahead, all of the file is: 452 MiB for 10 M rows, where a row group takes 6.
        return pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=False)

    def _unpin(self, token: str) -> None:
        with self._lock:
            self._pins[token] -= 1
            if self._pins[token] > 0:
                return
            del self._pins[token]
            doomed = token in self._doomed
            self._doomed.discard(token)
        if doomed:
            self._remove(token)

    def _remove(self, token: str) -> None:
        try:
            self.folder.remove(token)
        except OSError as error:
            log.warning("spool file not removed", file=token, reason=str(error))


def _verified(opened: pq.ParquetFile, frame: Frame, token: str) -> pa.Schema:
    """Return the schema that the file was written with, after checking that the file still fits it and its frame."""
    said = opened.metadata.metadata or {}
    if opened.metadata.num_rows != frame.row_count or said.get(_ROW_COUNT_KEY) != str(frame.row_count).encode():
        raise CopyBroken(f"{token}: {opened.metadata.num_rows} rows, the frame has {frame.row_count}")
    schema = codec.schema_from_text(said.get(_SCHEMA_KEY, b""))
    if said.get(_HASH_KEY) != codec.schema_hash(schema).encode() or schema.names != opened.schema_arrow.names:
        raise CopyBroken(f"{token}: not the schema it was written with")
    return schema


class SpoolWriter:
    """A Parquet file in the making."""

    def __init__(self, file: SpoolFile, schema: pa.Schema, added: Callable[[str, int], None], room_bytes: int) -> None:
        self._file = file
        self._added = added
        self._room_bytes = room_bytes
        self._row_count = 0
        self._schema = schema
        self._plain = schema.remove_metadata()
        self._categories = Categories(schema)
        self._pending: list[pa.RecordBatch] = []
        self._writer = pq.ParquetWriter(
            file.sink, self._plain, compression="zstd", compression_level=1, write_page_checksum=True
        )

    def write(self, batch: pa.RecordBatch) -> None:
        self._categories.add(batch)
        self._pending.append(batch.replace_schema_metadata(None))
        self._row_count += batch.num_rows
        if sum(item.num_rows for item in self._pending) >= ROW_GROUP_ROW_COUNT:
            self._flush()

    def commit(self) -> str:
        self._flush()
        self._writer.add_key_value_metadata(
            {
                _ROW_COUNT_KEY: str(self._row_count),
                _SCHEMA_KEY: codec.schema_to_text(self._schema),
                _HASH_KEY: codec.schema_hash(self._plain),
                _CATEGORIES_KEY: self._categories.to_text(),
            }
        )
        self._writer.close()
        size = self._file.sink.tell()
        token = self._file.publish()
        self._added(token, size)
        return token

    def abort(self) -> None:
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        # A footer that found no room is not tried again when the writer is collected.
        self._writer.is_open = False
        self._file.abort()

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, schema=self._plain)
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROW_COUNT)
            self._pending.clear()
        if self._file.sink.tell() > self._room_bytes:
            raise TierFull("the spool has no room for the frame")
