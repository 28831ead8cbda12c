"""Hot files that lie as they came, compressed streams: sent on as they are, decoded when somebody needs their rows."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa
from sluice_rpc import arrow

from sluice_cache.frames import Frame
from sluice_cache.seals import Seal
from sluice_cache.tiers.hot_file import AddedCallback, HotFile
from sluice_cache.tiers.rows import counted

SUFFIX: Final = ".arrowz"


class EncodedCopy:
    """A hot frame as it came; its rows are decoded as they are read."""

    def __init__(self, frame: Frame, content: pa.Buffer) -> None:
        self._frame = frame
        self.content = content
        with arrow.open_stream(content) as reader:
            self.schema: pa.Schema = reader.schema

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        with arrow.open_stream(self.content) as reader:
            yield from counted(reader, self._frame, columns)

    def close(self) -> None:
        """Nothing to give back: the mapping ends with its last array."""


class EncodedWriter:
    """An encoded hot file in the making, under a private name.

    Args:
        folder: of the hot files.
        stem: what its name begins with.
        added: told the file's path once it has its name.
    """

    def __init__(self, folder: Path, stem: str, added: AddedCallback) -> None:
        self._file = HotFile(folder, stem, added)
        self._sink = self._file.temporary.open("wb")
        self.crc = self._batch_count = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Count a batch; its bytes come by `add`."""
        self._batch_count += 1

    def add(self, piece: arrow.Piece, crc: int | None = None) -> None:
        """Take the next bytes of the stream.

        Args:
            piece: these.
            crc: CRC-32 of the stream up to their end, where the caller knows it.
        """
        self.crc = zlib.crc32(piece, self.crc) if crc is None else crc
        self._sink.write(piece)

    def commit(self) -> str:
        """Complete the file and return its name."""
        self._sink.close()
        return self._file.publish(Seal(time.time_ns(), self.crc), SUFFIX)

    def abort(self) -> None:
        """Leave nothing behind; harmless after `commit`."""
        with suppress(OSError):
            # A disk that is full or gone may refuse what was still to be written; the file goes all the same.
            self._sink.close()
        self._file.discard()

    def read_back(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches counted so far, so that they can go elsewhere; nothing is added after it."""
        self._sink.close()
        with pa.memory_map(str(self._file.temporary)) as source, arrow.open_stream(source) as reader:
            for _ in range(self._batch_count):
                yield reader.read_next_batch()
