"""Hot files that lie as they came, zstd IPC streams: sent on as they are, decoded when somebody needs their rows."""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa
from sluice_rpc import arrow

from sluice_cache import files
from sluice_cache.frames import Frame
from sluice_cache.seals import Seal
from sluice_cache.tiers import CopyBroken

SUFFIX: Final = ".arrowz"


class EncodedCopy:
    """A hot frame as it came; its rows are decoded as they are read."""

    def __init__(self, frame: Frame, content: pa.Buffer) -> None:
        self._frame = frame
        self.content = content
        with pa.ipc.open_stream(content) as reader:
            self.schema: pa.Schema = reader.schema

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        row_count = 0
        try:
            with pa.ipc.open_stream(self.content) as reader:
                for batch in reader:
                    row_count += batch.num_rows
                    yield batch if columns is None else batch.select(columns)
        except (pa.ArrowException, OSError) as error:
            raise CopyBroken(f"{self._frame.frame_id}: {error}") from error
        if row_count != self._frame.row_count:
            raise CopyBroken(f"{self._frame.frame_id}: {row_count} rows, the frame has {self._frame.row_count}")

    def close(self) -> None:
        """Nothing to give back: the mapping ends with its last array."""


class EncodedWriter:
    """An encoded hot file in the making, under a private name.

    Args:
        folder: of the hot files.
        stem: what its name begins with.
        added: told the file's path once it has its name.
    """

    def __init__(self, folder: Path, stem: str, added: Callable[[Path], None]) -> None:
        self._folder = folder
        self._stem = stem
        self._added = added
        self._temporary = files.inside(folder, f"{stem}.{secrets.token_hex(4)}{files.TEMP_SUFFIX}")
        self._sink = self._temporary.open("wb")
        self._crc = self._batch_count = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Count a batch; its bytes come by `add`."""
        self._batch_count += 1

    def add(self, piece: arrow.Piece) -> None:
        """Take the next bytes of the stream."""
        self._crc = zlib.crc32(piece, self._crc)
        self._sink.write(piece)

    def commit(self) -> str:
        """Complete the file and return its name."""
        self._sink.close()
        seal = Seal(time.time_ns(), self._crc)
        path = files.inside(self._folder, f"{self._stem}.{seal}{SUFFIX}")
        files.publish(self._temporary, path, durable=False, stamp_ns=seal.stamp_ns)
        self._added(path)
        return path.name

    def abort(self) -> None:
        """Leave nothing behind; harmless after `commit`."""
        with suppress(OSError):
            # A disk that is full or gone may refuse what was still to be written; the file goes all the same.
            self._sink.close()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def read_back(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches counted so far, so that they can go elsewhere; nothing is added after it."""
        self._sink.close()
        with pa.memory_map(str(self._temporary)) as source, pa.ipc.open_stream(source) as reader:
            for _ in range(self._batch_count):
                yield reader.read_next_batch()
