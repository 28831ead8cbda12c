"""The rows of a copy that is read as a stream: as many as its frame has, or the copy is broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from sluice_cache.frames import Frame
from sluice_cache.tiers import CopyBroken


def counted(batches: Iterable[pa.RecordBatch], frame: Frame, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    """Yield the batches in order, of the columns wanted.

    Raises:
        CopyBroken: they cannot be read, or are not as many rows as the frame has.
    """
    row_count = 0
    try:
        for batch in batches:
            row_count += batch.num_rows
            yield batch if columns is None else batch.select(columns)
    except (pa.ArrowException, OSError) as error:
        raise CopyBroken(f"{frame.frame_id}: {error}") from error
    if row_count != frame.row_count:
        raise CopyBroken(f"{frame.frame_id}: {row_count} rows, the frame has {frame.row_count}")
