"""Arrow tables as pieces of one IPC stream, cut at 1 or 2 MiB so that no gRPC message limit is ever raised."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import pyarrow as pa

from sluice_rpc import fixed_texts

BATCH_ROW_COUNT = 65_536
PIECE_BYTES = 1 << 20

_CLAIM_BYTES = 256 << 20
"""A message that says it is longer gets its memory only once its bytes are there."""

ZSTD_LEVEL = -1
"""Against Arrow's default of 1 a third more bytes, and a third less of a processor to encode and decode (ADR 0042)."""

Codec = Literal["lz4", "zstd"]

Piece = bytes | memoryview
"""Bytes of an IPC stream, cut anywhere."""


def encode(schema: pa.Schema, batches: Iterable[pa.RecordBatch], codec: Codec | None = None) -> Iterator[bytes]:
    """Yield the pieces of one IPC stream: schema, the batches in order, end marker.

    Batches above 65,536 rows are sliced. One batch is held at a time. No piece is empty; all but the last are 1 MiB.
    """
    return map(b"".join, encode_parts(schema, batches, codec))


def encode_parts(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], codec: Codec | None = None, piece_bytes: int = PIECE_BYTES
) -> Iterator[list[memoryview]]:
    """Yield the pieces as `encode` does, each in parts that nobody has copied yet.

    Args:
        schema: of every batch.
        batches: the rows.
        codec: of the batches; None leaves them plain.
        piece_bytes: size of all pieces but the last.
    """
    buffer = _PieceBuffer(piece_bytes)
    with pa.ipc.new_stream(buffer.sink, schema, options=write_options(codec)) as writer:
        yield from buffer.full_pieces()
        for batch in batches:
            for offset in range(0, batch.num_rows, BATCH_ROW_COUNT):
                writer.write_batch(batch.slice(offset, BATCH_ROW_COUNT))
                yield from buffer.full_pieces()
    yield from buffer.full_pieces()
    yield from buffer.rest()


def write_options(codec: Codec | None) -> pa.ipc.IpcWriteOptions:
    """Return how Sluice writes IPC streams under a codec, wherever it does."""
    return pa.ipc.IpcWriteOptions(compression=_codec(codec) if codec is not None else None)


def _codec(codec: Codec) -> pa.Codec:
    return pa.Codec(codec, compression_level=ZSTD_LEVEL) if codec == "zstd" else pa.Codec(codec)


def decode(pieces: Iterable[Piece], pool: pa.MemoryPool | None = None) -> pa.RecordBatchReader:
    """Return a reader over the IPC stream that the pieces make up; it pulls pieces as it is read.

    Args:
        pieces: of the stream.
        pool: that the rows lie in; Arrow's own unless given.

    Raises:
        pyarrow.ArrowInvalid: the pieces are no IPC stream, or end in the middle of one.
    """
    return open_stream(pa.PythonFile(_PieceReader(iter(pieces), pool), mode="r"), pool)


def open_stream(source: pa.NativeFile | pa.Buffer, pool: pa.MemoryPool | None = None) -> pa.RecordBatchReader:
    """Return a reader over an IPC stream, its rows as they were before they were packed for the way.

    Args:
        source: of the stream.
        pool: that the rows lie in where they are not the source's own bytes; Arrow's own unless given.

    Raises:
        pyarrow.ArrowInvalid: it is no IPC stream; also from the reader.
    """
    reader = pa.ipc.open_stream(source, memory_pool=pool)
    if not fixed_texts.is_packed(reader.schema):
        return reader
    schema = fixed_texts.unpacked_schema(reader.schema)
    return pa.RecordBatchReader.from_batches(schema, fixed_texts.unpacked(reader, reader.schema, pool))


class _PieceBuffer:
    """A sink that hands out what was written so far in pieces, as parts of what was written."""

    def __init__(self, piece_bytes: int) -> None:
        self._piece_bytes = piece_bytes
        self._parts: deque[memoryview] = deque()
        self._size = 0
        self.sink = pa.PythonFile(_Appender(self._append), mode="w")

    def full_pieces(self) -> Iterator[list[memoryview]]:
        while self._size >= self._piece_bytes:
            yield self._cut(self._piece_bytes)

    def rest(self) -> Iterator[list[memoryview]]:
        if self._size:
            yield self._cut(self._size)

    def _append(self, part: memoryview) -> None:
        self._parts.append(part)
        self._size += part.nbytes

    def _cut(self, size: int) -> list[memoryview]:
        taken: list[memoryview] = []
        missing = size
        while missing:
            part = self._parts.popleft()
            if part.nbytes > missing:
                self._parts.appendleft(part[missing:])
                part = part[:missing]
            taken.append(part)
            missing -= part.nbytes
        self._size -= size
        return taken


class _Appender(io.RawIOBase):
    """Passes on what Arrow writes; the buffers it hands over are immutable and live as long as somebody holds them."""

    def __init__(self, append: Callable[[memoryview], None]) -> None:
        self._append = append

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]  # pyarrow passes bytes or a buffer
        self._append(view)
        return view.nbytes


class _PieceReader(io.RawIOBase):
    """Gives Arrow each message body as one buffer of its own; every byte is copied once, to where it stays."""

    def __init__(self, pieces: Iterator[Piece], pool: pa.MemoryPool | None) -> None:
        self._pieces = pieces
        self._pool = pool
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return b"".join([bytes(self._take(len(self._rest))), *self._pieces])
        return b"".join(self._parts(size))

    def read_buffer(self, size: int) -> pa.Buffer:
        if size > _CLAIM_BYTES:
            return pa.py_buffer(self.read(size))
        buffer = pa.allocate_buffer(size, self._pool)
        if size:
            target = memoryview(buffer).cast("B")
            start = 0
            for part in self._parts(size):
                target[start : start + part.nbytes] = part
                start += part.nbytes
        return buffer

    def _parts(self, size: int) -> Iterator[memoryview]:
        missing = size
        while missing > 0:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    # Arrow itself takes an end between two messages for the end of the stream, rows missing or not.
                    raise pa.ArrowInvalid("the IPC stream ends before its end marker")
                self._rest = memoryview(piece)
            part = self._take(missing)
            missing -= part.nbytes
            yield part

    def _take(self, size: int) -> memoryview:
        part, self._rest = self._rest[:size], self._rest[size:]
        return part
