"""Container ids that a request asks for, as a list or as a frame of the cache for lists that no message holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
from sluice.lineage.v1 import limits_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import FieldViolation, InvalidParameter, NotFound

from sluice_lineage.errors import TooManyIds
from sluice_lineage.frames import FrameStore

_MAX_ID_LENGTH: Final = int(limits_pb2.LIMIT_ID_LENGTH)
_MAX_VIOLATION_COUNT: Final = 20
"""Error details ride in trailers, which must stay small."""
_COLUMN: Final = "container_id"
"""Of a frame of ids."""


class AskedIds:
    """Reads and checks ids.

    Args:
        frames: where frames of ids are; None where no cache is set up.
        max_count: most ids in one request.
    """

    def __init__(self, frames: FrameStore | None, *, max_count: int) -> None:
        self._frames = frames
        self._max_count = max_count

    def of(self, container_ids: Sequence[str], ids_frame_id: str = "") -> list[str]:
        """Return the ids asked for, trimmed, in the order asked, none twice, blanks dropped.

        Raises:
            InvalidParameter: both are given, an id is too long, no cache is set up, or the frame has no column of ids.
            NotFound: the frame is gone (CACHE_EXPIRED).
            ServiceUnavailable: the cache is away.
            TooManyIds: there are more than one request may have.
        """
        if ids_frame_id and container_ids:
            raise InvalidParameter("ids_frame_id", "stands in place of container_ids, not beside them")
        given = self._read(ids_frame_id) if ids_frame_id else container_ids
        if len(given) > self._max_count:
            raise TooManyIds(self._max_count, len(given))
        ids = list(dict.fromkeys(stripped for text in given if (stripped := text.strip())))
        if any(len(container_id) > _MAX_ID_LENGTH for container_id in ids):
            violations = [
                FieldViolation(f"container_ids[{position}]", f"longer than {_MAX_ID_LENGTH} characters")
                for position, text in enumerate(given)
                if len(text.strip()) > _MAX_ID_LENGTH
            ]
            raise InvalidParameter.of(violations[:_MAX_VIOLATION_COUNT])
        return ids

    def _read(self, frame_id: str) -> list[str]:
        if self._frames is None:
            raise InvalidParameter("ids_frame_id", "this process was started without a cache to read frames from")
        found = self._frames.open(frame_id)
        if found is None:
            raise NotFound(f"frame {frame_id!r} is not there", reason="CACHE_EXPIRED", frame_id=frame_id)
        with found:
            # Told before anything is read: a frame may hold millions of rows.
            if found.frame.row_count > self._max_count:
                raise TooManyIds(self._max_count, found.frame.row_count)
            with arrow.decode(found.pieces()) as rows:
                field = rows.schema.get_field_index(_COLUMN)
                if field < 0 or not pa.types.is_string(rows.schema.field(field).type):
                    raise InvalidParameter("ids_frame_id", f"the frame has no text column {_COLUMN!r}")
                return [one for batch in rows for one in batch.column(field).to_pylist() if one is not None]
