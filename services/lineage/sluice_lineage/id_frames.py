"""Ids that come as a frame of the cache, for lists that no message holds."""

from __future__ import annotations

from typing import Final, Protocol

import pyarrow as pa
from sluice_rpc.errors import InvalidParameter

_COLUMN: Final = "container_id"


class Frames(Protocol):
    """Frames by id."""

    def read(self, frame_id: str) -> pa.Table:
        """Return a frame. Raises NotFound (CACHE_EXPIRED) and ServiceUnavailable."""
        ...


class IdFrames:
    """Reads ids.

    Args:
        frames: where frames are; None where no cache is set up.
    """

    def __init__(self, frames: Frames | None) -> None:
        self._frames = frames

    def read(self, frame_id: str) -> list[str]:
        """Return the ids of a frame, without NULLs.

        Raises:
            InvalidParameter: no cache is set up, or the frame has no such column of texts.
            NotFound: the frame is gone (CACHE_EXPIRED).
            ServiceUnavailable: the cache is away.
        """
        if self._frames is None:
            raise InvalidParameter("ids_frame_id", "this process was started without a cache to read frames from")
        table = self._frames.read(frame_id)
        if _COLUMN not in table.column_names or not pa.types.is_string(table.schema.field(_COLUMN).type):
            raise InvalidParameter("ids_frame_id", f"the frame has no text column {_COLUMN!r}")
        ids: list[str] = table.column(_COLUMN).drop_null().to_pylist()
        return ids
