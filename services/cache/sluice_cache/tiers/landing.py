"""Where a put lands: hot, until it passes a threshold; then all of it moves to the spool and the rest follows."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import structlog

from sluice_cache.frames import TierKind
from sluice_cache.tiers import TierFull
from sluice_cache.tiers.memory import HotWriter, MemoryTier
from sluice_cache.tiers.spool import SpoolTier, SpoolWriter

log = structlog.get_logger()


@dataclass(frozen=True)
class StoreLimits:
    """Which frames go where, and how long they stay.

    Attributes:
        spill_row_count: frames with more rows go straight to the spool.
        spill_bytes: frames with more decoded bytes go straight to the spool.
        shared_max_bytes: frames with more decoded bytes never go to the shared tier.
        hot_max_bytes: a frame that the spool has no room for may stay hot up to so many decoded bytes.
        default_keep_s: life of a frame whose trailer names none, in seconds.
    """

    spill_row_count: int
    spill_bytes: int
    shared_max_bytes: int
    hot_max_bytes: int
    default_keep_s: float

    def spills(self, row_count: int, size: int) -> bool:
        """Return whether a frame of this size belongs into the spool."""
        return row_count > self.spill_row_count or size > self.spill_bytes


class Landing:
    """One put on its way.

    Args:
        memory, spool: where it can land.
        limits: which of the two.
        frame_id, version, schema: of the frame.
    """

    def __init__(
        self,
        memory: MemoryTier,
        spool: SpoolTier,
        limits: StoreLimits,
        *,
        frame_id: str,
        version: int,
        schema: pa.Schema,
    ) -> None:
        self._spool = spool
        self._limits = limits
        self._key = (frame_id, version, schema)
        self._writer: HotWriter | SpoolWriter = memory.create(frame_id, version, schema)
        self._spool_is_full = False
        self._row_count = 0
        self.bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the next batch.

        Raises:
            TierFull: neither tier has room for the frame.
        """
        self._row_count += batch.num_rows
        self.bytes += batch.nbytes
        if self._spool_is_full and self.bytes > self._limits.hot_max_bytes:
            raise TierFull("neither the spool nor the first tier has room for the frame")
        self._writer.write(batch)
        if not self._spool_is_full and self._limits.spills(self._row_count, self.bytes):
            self._spill()

    def commit(self) -> tuple[TierKind, str]:
        """Complete the copy and return its tier and the tier's name for it."""
        kind = TierKind.MEMORY if isinstance(self._writer, HotWriter) else TierKind.SPOOL
        return kind, self._writer.commit()

    def leave(self) -> None:
        """Leave nothing behind; harmless after `commit`."""
        self._writer.abort()

    def _spill(self) -> None:
        hot = self._writer
        if not isinstance(hot, HotWriter):
            return
        try:
            spooled = self._spool.create(*self._key)
        except TierFull as error:
            # The answer is served all the same: hot, for as long as nothing more recent needs the room.
            log.warning("frame stays hot", frame_id=self._key[0], reason=str(error))
            self._spool_is_full = True
            return
        self._writer = spooled
        try:
            for batch in hot.read_back():
                spooled.write(batch)
        finally:
            hot.abort()
