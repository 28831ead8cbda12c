"""Table pieces past protobuf: the bytes of a message that holds one piece and nothing else, made and read in one copy.

A piece of a table is a mebibyte or two, and protobuf copies it twice on either side. The bytes are the same as
protobuf's own, so callers that parse them as messages see no difference.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from sluice_rpc.arrow import PIECE_BYTES, Piece

Message = TypeVar("Message")
Item = TypeVar("Item")

CHUNK_FIELD: Final = 2
"""Number of `TableChunk chunk` in GetFrameResponse, RunQueryResponse, PutFrameRequest and ReadContainersResponse."""

BULK_PIECE_BYTES: Final = 2 * PIECE_BYTES
"""Of streams that are sent as they lie; no message limit is raised for it, gRPC's own is 4 MiB."""

TRANSPORT_OPTIONS: Final = (
    # A piece travels as one HTTP/2 frame and is read by few calls; the default cuts it into 64 frames.
    ("grpc.http2.max_frame_size", PIECE_BYTES),
    ("grpc.experimental.tcp_read_chunk_size", PIECE_BYTES),
    ("grpc.experimental.tcp_min_read_chunk_size", PIECE_BYTES),
    # Clients ask every 20 s whether a server that has said nothing is still there. Without this it takes three of these
    # questions within five minutes for an attack and closes the connection: after 200 s of waiting for a large table.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)
"""For both ends of every channel."""

_IPC_TAG: Final = b"\x0a"
"""Field 1, length-delimited: `bytes ipc` of TableChunk."""


def wire_of(*parts: Piece, field: int = CHUNK_FIELD) -> bytes:
    """Return the message whose only field is a TableChunk of these parts of a piece, as it stands on the wire."""
    size = sum(memoryview(part).nbytes for part in parts)
    inner = _IPC_TAG + _varint(size)
    return b"".join((_tag(field), _varint(len(inner) + size), inner, *parts))


def piece_of(wire: bytes, field: int = CHUNK_FIELD) -> memoryview | None:
    """Return the piece of a message that `wire_of` made; None for every other message, which protobuf parses."""
    tag = _tag(field)
    if not wire.startswith(tag):
        return None
    outer, start = _read_varint(wire, len(tag))
    if start + outer != len(wire) or wire[start : start + 1] != _IPC_TAG:
        return None
    size, start = _read_varint(wire, start + 1)
    if size == 0 or start + size != len(wire):
        return None
    return memoryview(wire)[start:]


def serializer(serialize: Callable[[Any], bytes] | None) -> Callable[[Any], bytes] | None:
    """Return a serializer that passes on bytes, which are the message already, and gives messages to `serialize`."""
    if serialize is None:
        return None
    return lambda message: message if type(message) is bytes else serialize(message)


def deserializer(
    parse: Callable[[bytes], Message], field: int = CHUNK_FIELD
) -> Callable[[bytes], Message | memoryview]:
    """Return a deserializer that gives a piece where a message is one, and what `parse` returns else."""

    def read(wire: bytes) -> Message | memoryview:
        piece = piece_of(wire, field)
        return parse(wire) if piece is None else piece

    return read


def on_the_wire(pieces: Iterable[Piece], field: int = CHUNK_FIELD) -> Iterator[bytes]:
    """Yield each piece as its message on the wire."""
    for piece in pieces:
        yield wire_of(piece, field=field)


def ahead(items: Iterable[Item], count: int) -> Generator[Item, None, None]:
    """Yield the items in order while a thread makes up to `count` of the next; what making one raises, this raises.

    For items whose making lets other threads run: compressing, or reading from a socket. Whoever leaves early waits for
    the one that is being made.
    """
    made = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as maker:
        coming = deque(maker.submit(next, made, _END) for _ in range(count))
        try:
            while (item := coming.popleft().result()) is not _END:
                coming.append(maker.submit(next, made, _END))
                yield item
        finally:
            maker.shutdown(wait=False, cancel_futures=True)


_END: Final[Any] = object()


def _tag(field: int) -> bytes:
    return _varint(field << 3 | 2)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(wire: bytes, start: int) -> tuple[int, int]:
    """Return the number that begins here and where it ends; one that is cut or too long ends past the message."""
    value = shift = 0
    for position in range(start, min(start + 10, len(wire))):
        value |= (wire[position] & 0x7F) << shift
        if wire[position] < 0x80:
            return value, position + 1
        shift += 7
    return value, len(wire) + 1
