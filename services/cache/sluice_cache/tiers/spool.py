"""L3: large and demoted frames as Parquet files that DuckDB reads in place; bounded in bytes, kept across restarts."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import structlog
from sluice_rpc import arrow

from sluice_cache import codec, files
from sluice_cache.frames import Frame, TierKind
from sluice_cache.tiers import CopyBroken, TierCounts, TierFull

log = structlog.get_logger()

SUFFIX = ".parquet"
WARN_RATIO = 0.85
ROW_GROUP_ROW_COUNT = 2 * arrow.BATCH_ROW_COUNT

_ROW_COUNT_KEY = b"sluice.row_count"
_SCHEMA_KEY = b"sluice.schema"
_HASH_KEY = b"sluice.schema_hash"


class SpoolCopy:
    """A Parquet file, pinned: its name stays until the copy is closed."""

    def __init__(self, path: Path, schema: pa.Schema, opened: pq.ParquetFile, closed: Callable[[str], None]) -> None:
        self.path = path
        self.schema = schema
        self._file = opened
        self._closed = closed

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        schema = self.schema if columns is None else pa.schema([self.schema.field(name) for name in columns])
        for batch in self._file.iter_batches(batch_size=arrow.BATCH_ROW_COUNT, columns=columns):
            arrays = [_restored(batch.column(field.name), field.type) for field in schema]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def close(self) -> None:
        self._file.close()
        self._closed(self.path.name)


class SpoolTier:
    """Parquet files in one folder.

    Args:
        folder: theirs alone, and the only one DuckDB may read.
        max_bytes: past it nothing more is taken.
    """

    kind = TierKind.SPOOL

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        # Guards pins and sizes; a file's name goes only when nobody has pinned it.
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._pins: Counter[str] = Counter()
        self._doomed: set[str] = set()
        self._counts = TierCounts(max_bytes=max_bytes)

    def load(self, tokens: set[str]) -> set[str]:
        """Take in the files of an earlier process; return those of `tokens` that are there."""
        there = {path.name: path.stat().st_size for path in self._folder.glob(f"*{SUFFIX}") if path.name in tokens}
        with self._lock:
            self._sizes.update(there)
        return set(there)

    def create(self, frame_id: str, version: int, schema: pa.Schema) -> SpoolWriter:
        used = self.counts().bytes
        if used >= self._max_bytes:
            log.warning("spool is full", bytes=used, max_bytes=self._max_bytes)
            raise TierFull(f"the spool holds {used} of {self._max_bytes} bytes")
        if used >= WARN_RATIO * self._max_bytes:
            log.warning("spool is nearly full", bytes=used, max_bytes=self._max_bytes)
        token = f"{frame_id}.{version}.{secrets.token_hex(4)}{SUFFIX}"
        return SpoolWriter(files.inside(self._folder, token), schema, self._added, self._max_bytes - used)

    def open(self, frame: Frame) -> SpoolCopy | None:
        token = frame.copies.get(self.kind)
        copy = self._open(token, frame) if token is not None else None
        with self._lock:
            self._counts = self._counts.after_read(hit=copy is not None)
        return copy

    def delete(self, token: str) -> None:
        path = files.inside(self._folder, token)
        with self._lock:
            self._sizes.pop(token, None)
            if self._pins[token]:
                self._doomed.add(token)
                return
            path.unlink(missing_ok=True)

    def counts(self) -> TierCounts:
        with self._lock:
            return replace(self._counts, frame_count=len(self._sizes), bytes=sum(self._sizes.values()))

    def _open(self, token: str, frame: Frame) -> SpoolCopy | None:
        path = files.inside(self._folder, token)
        with self._lock:
            if not path.exists():
                return None
            self._pins[token] += 1
        try:
            opened = pq.ParquetFile(path)
            schema = _verified(opened, frame, token)
        except (pa.ArrowException, OSError) as error:
            self._unpin(token)
            raise CopyBroken(f"{token}: {error}") from error
        except CopyBroken:
            self._unpin(token)
            raise
        return SpoolCopy(path, schema, opened, self._unpin)

    def _unpin(self, token: str) -> None:
        with self._lock:
            self._pins[token] -= 1
            if self._pins[token] > 0:
                return
            del self._pins[token]
            if token in self._doomed:
                self._doomed.discard(token)
                files.inside(self._folder, token).unlink(missing_ok=True)

    def _added(self, path: Path) -> None:
        with self._lock:
            self._sizes[path.name] = path.stat().st_size


def _restored(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return the column in the type it was written with; Parquet has no seconds and no dictionaries of its own."""
    return column if column.type.equals(kind) else column.cast(kind)


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
    """A Parquet file in the making, under a private name."""

    def __init__(self, path: Path, schema: pa.Schema, added: Callable[[Path], None], room_bytes: int) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + files.TEMP_SUFFIX)
        self._added = added
        self._room_bytes = room_bytes
        self._row_count = 0
        self._schema = schema
        self._plain = schema.remove_metadata()
        self._pending: list[pa.RecordBatch] = []
        self._sink = pa.OSFile(str(self._temporary), "wb")
        self._writer = pq.ParquetWriter(self._sink, self._plain, compression="zstd", compression_level=1)

    def write(self, batch: pa.RecordBatch) -> None:
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
            }
        )
        self._writer.close()
        self._sink.close()
        files.publish(self._temporary, self._path)
        self._added(self._path)
        return self._path.name

    def abort(self) -> None:
        self._writer.close()
        self._sink.close()
        self._temporary.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, schema=self._plain)
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROW_COUNT)
            self._pending.clear()
        if self._sink.tell() > self._room_bytes:
            raise TierFull(f"the spool has no room for {self._path.name}")
