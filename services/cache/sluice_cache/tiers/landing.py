"""Where a put lands: hot, until it passes a threshold; then all of it moves to the spool and the rest follows.

What comes compressed lands as it comes, on the disk and in Redis at once; its batches are only counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import structlog
from sluice_rpc import arrow

from sluice_cache.arrival import Arrival
from sluice_cache.frames import TierKind
from sluice_cache.tiers import TierFull
from sluice_cache.tiers.encoded import EncodedWriter
from sluice_cache.tiers.memory import HotWriter, MemoryTier
from sluice_cache.tiers.redis import RedisStream, RedisTier
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


@dataclass(frozen=True)
class Tiers:
    """The first tier, the one that other processes see too (if there is one), and the last."""

    memory: MemoryTier
    shared: RedisTier | None
    spool: SpoolTier


class LandingKey(NamedTuple):
    """What is known of a frame before its rows come."""

    frame_id: str
    version: int
    schema: pa.Schema


class Landing:
    """One put on its way.

    Args:
        tiers: where it can land.
        limits: in which of them.
        key: of the frame.
        arrival: its bytes as they come, where they come from outside.
    """

    def __init__(self, tiers: Tiers, limits: StoreLimits, key: LandingKey, arrival: Arrival | None) -> None:
        self._tiers = tiers
        self._limits = limits
        self._key = key
        self._arrival = arrival
        self._writer: HotWriter | SpoolWriter | EncodedWriter | None = None
        self._shared: RedisStream | None = None
        self._spool_is_full = False
        self._row_count = 0
        self.bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the next batch.

        Raises:
            TierFull: neither tier has room for the frame.
        """
        if self._writer is None:
            self._writer = self._begun(batch)
        self._row_count += batch.num_rows
        self.bytes += batch.nbytes
        if self._spool_is_full and self.bytes > self._limits.hot_max_bytes:
            raise TierFull("neither the spool nor the first tier has room for the frame")
        if batch.num_rows > arrow.BATCH_ROW_COUNT:
            self._decode()
        self._writer.write(batch)
        self._take_bytes()
        if self.bytes > self._limits.shared_max_bytes:
            self._unshare()
        if not self._spool_is_full and self._limits.spills(self._row_count, self.bytes):
            self._spill()

    def commit(self) -> dict[TierKind, str]:
        """Complete the copies and return the tiers' names for them."""
        writer = self._writer = self._writer or self._tiers.memory.create(*self._key)
        self._take_bytes()
        kind = TierKind.SPOOL if isinstance(writer, SpoolWriter) else TierKind.MEMORY
        copies = {kind: writer.commit()}
        shared = None
        if self._shared is not None and isinstance(writer, EncodedWriter):
            shared = self._shared.commit()
        self._shared = None
        return copies if shared is None else {**copies, TierKind.REDIS: shared}

    def leave(self) -> None:
        """Leave nothing behind; harmless after `commit`."""
        if self._writer is not None:
            self._writer.abort()
        self._unshare()

    def _begun(self, first: pa.RecordBatch) -> HotWriter | EncodedWriter:
        if self._arrival is not None and self._arrival.is_encoded(first):
            if self._tiers.shared is not None:
                self._shared = self._tiers.shared.receive(self._key.frame_id, self._key.version)
            return self._tiers.memory.create_encoded(self._key.frame_id, self._key.version)
        return self._tiers.memory.create(*self._key)

    def _take_bytes(self) -> None:
        """Take what came of the stream; a writer of rows needs none of it."""
        pieces = self._arrival.taken() if self._arrival is not None else []
        for piece in pieces:
            if isinstance(self._writer, EncodedWriter):
                self._writer.add(piece)
                if self._shared is not None:
                    self._shared.add(piece, self._writer.crc)

    def _unshare(self) -> None:
        if self._shared is not None:
            self._shared.abort()
            self._shared = None

    def _decode(self) -> None:
        """Go on as rows: batches of another size are not sent on as they came."""
        if isinstance(self._writer, EncodedWriter):
            self._unshare()
            self._move(self._tiers.memory.create(*self._key))

    def _spill(self) -> None:
        if isinstance(self._writer, SpoolWriter):
            return
        try:
            spooled = self._tiers.spool.create(*self._key)
        except TierFull as error:
            # The answer is served all the same: hot, for as long as nothing more recent needs the room.
            log.warning("frame stays hot", frame_id=self._key.frame_id, reason=str(error))
            self._spool_is_full = True
            return
        self._unshare()
        self._move(spooled)

    def _move(self, to: HotWriter | SpoolWriter) -> None:
        """Write what came so far somewhere else, where the rest follows."""
        left, self._writer = self._writer, to
        if left is None or isinstance(left, SpoolWriter):
            return
        try:
            for batch in left.read_back():
                to.write(batch)
        finally:
            left.abort()
