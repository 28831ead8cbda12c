"""The bytes of a put as they come, beside the batches that are decoded from them: so nobody encodes them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from sluice_rpc import arrow

_ENCODED_RATIO = 0.9
"""A record batch on the wire that takes less than this part of its columns' size came compressed."""


class Arrival:
    """A stream on its way in; whoever reads it leaves its pieces here until they are taken.

    Args:
        pieces: of one IPC stream.
    """

    def __init__(self, pieces: Iterable[arrow.Piece]) -> None:
        self._pieces = pieces
        self._left: list[arrow.Piece] = []

    def __iter__(self) -> Iterator[arrow.Piece]:
        for piece in self._pieces:
            self._left.append(piece)
            yield piece

    def taken(self) -> list[arrow.Piece]:
        """Return the pieces that were read since the last call, in order."""
        left, self._left = self._left, []
        return left

    def is_encoded(self, first: pa.RecordBatch) -> bool:
        """Return whether the stream is worth keeping as it comes: full batches, compressed.

        Args:
            first: its first batch, decoded from the pieces that are still here.
        """
        if first.num_rows != arrow.BATCH_ROW_COUNT:
            return False
        messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(b"".join(self._left)))
        message = messages.read_next_message()
        while message.type != "record batch":
            message = messages.read_next_message()
        return bool(message.body.size < _ENCODED_RATIO * first.nbytes)
