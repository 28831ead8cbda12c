"""Up: a frame that is read where it lies slowly is copied into the first tier, by one reader for all who wait."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import structlog

from sluice_cache.catalogue import Catalogue
from sluice_cache.errors import MemoryPressure
from sluice_cache.flight import SingleFlight
from sluice_cache.frames import Frame, TierKind
from sluice_cache.tiers import Copy, CopyBroken, Tier, TierAway
from sluice_cache.tiers.copies import Copies
from sluice_cache.tiers.encoded import EncodedCopy
from sluice_cache.tiers.landing import Tiers
from sluice_cache.tiers.memory import MappedCopy, is_encoded
from sluice_cache.tiers.opened import Opened, OpenedStream
from sluice_cache.tiers.redis import CheckedValues, RedisTier

log = structlog.get_logger()


class Filling:
    """Copies frames up.

    Args:
        catalogue: what is live.
        tiers: where copies lie.
        copies: opens them.
        filled: called after every copy, as the first tier may be too full now.
        full: called when the first tier's disk took no copy.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        tiers: Tiers,
        copies: Copies,
        *,
        filled: Callable[[], None],
        full: Callable[[], None],
    ) -> None:
        self._catalogue = catalogue
        self._memory = tiers.memory
        self._spool = tiers.spool
        self._copies = copies
        self._filled = filled
        self._full = full
        self._flight = SingleFlight()

    def rows(self, source: Tier, frame: Frame) -> Opened | None:
        """Copy a frame's rows up from a tier and open them; None when they cannot be read there or not kept here.

        Raises:
            MemoryPressure: the disk has no room, and nothing reads the frame where it lies.
        """
        return self._flight.run(frame.frame_id, lambda: self._rows(source, frame))

    def stream(self, shared: RedisTier, frame: Frame) -> OpenedStream | None:
        """Copy a frame up as it lies in the shared tier and open that; None when it is not there."""
        return self._flight.run(frame.frame_id, lambda: self._stream(shared, frame))

    def encoded(self, frame: Frame) -> OpenedStream | None:
        """Return a frame of the first tier as it came; None where it does not lie like that."""
        token = frame.copies.get(TierKind.MEMORY, "")
        copy = self._copies.read(self._memory, frame) if is_encoded(token) else self._memory.beside(frame)
        return OpenedStream(frame, [copy.content]) if isinstance(copy, EncodedCopy) else None

    def _rows(self, source: Tier, frame: Frame) -> Opened | None:
        frame = self._catalogue.find(frame.frame_id) or frame
        present = self._copies.read(self._memory, frame)
        if isinstance(present, MappedCopy):
            return Opened(frame, present, TierKind.MEMORY)
        copy = present if source is self._memory else self._copies.read(source, frame)
        if copy is None:
            return None
        try:
            token = self._written(copy, frame)
        except TierAway:
            return None
        except (CopyBroken, pa.ArrowException) as error:
            self._copies.broken(source, frame, error)
            return None
        except OSError as error:
            # Sources tell what is wrong with them by CopyBroken: this is the disk that the copy was to be written to.
            self._left_where_it_lies(frame, error)
            return None
        finally:
            copy.close()
        return self._entered(source, frame, token)

    def _entered(self, source: Tier, frame: Frame, token: str) -> Opened | None:
        # Opened before anybody can see it and move it on: it is read to its end, even where the frame has gone.
        filled = self._copies.read(self._memory, frame.with_copy(TierKind.MEMORY, token))
        changed = self._copies.added(frame, self._memory, token) if filled is not None else None
        if source is self._memory and changed is not None:
            self._memory.keep_beside(token, frame.copies[TierKind.MEMORY])
        elif source is self._memory:
            self._memory.delete(frame.copies[TierKind.MEMORY])
        self._filled()
        return Opened(changed or frame, filled, source.kind) if isinstance(filled, MappedCopy) else None

    def _written(self, copy: Copy, frame: Frame) -> str:
        """Write the rows of a copy to the first tier and return its name there."""
        writer = self._memory.create(frame.frame_id, frame.version, copy.schema)
        try:
            for batch in copy.batches():
                writer.write(batch)
            return writer.commit()
        finally:
            writer.abort()

    def _left_where_it_lies(self, frame: Frame, error: OSError) -> None:
        """Say that the first tier's disk has no room for a frame; raises MemoryPressure where no file can be read."""
        log.warning("copy not made", tier="memory", frame_id=frame.frame_id, reason=str(error))
        self._full()
        if TierKind.SPOOL not in frame.copies or not self._spool.folder.in_place:
            raise MemoryPressure from error

    def _stream(self, shared: RedisTier, frame: Frame) -> OpenedStream | None:
        frame = self._catalogue.find(frame.frame_id) or frame
        if TierKind.MEMORY in frame.copies:
            return self.encoded(frame)
        try:
            coming = shared.values(frame)
            if coming is None:
                self._copies.lose(shared, frame)
                return None
            values, token = self._received(coming, frame)
        except TierAway:
            return None
        except CopyBroken as error:
            self._copies.broken(shared, frame, error)
            return None
        if token:
            self._copies.added(frame, self._memory, token)
            self._filled()
        # Sent from here, where they were compared with their sum; the file is compared when it is first mapped.
        return OpenedStream(frame, values)

    def _received(self, coming: CheckedValues, frame: Frame) -> tuple[list[bytes], str]:
        """Return all values, and the name of the file they were written to as they came; empty where there is no room.

        Raises:
            CopyBroken, TierAway: they are not those that were written, or cannot be had.
        """
        values: list[bytes] = []
        try:
            writer = self._memory.create_encoded(frame.frame_id, frame.version)
            try:
                for value in coming:
                    values.append(value)
                    writer.add(value, coming.crc)
                coming.check()
                return values, writer.commit()
            finally:
                writer.abort()
        except OSError as error:
            log.warning("copy not made", tier="memory", frame_id=frame.frame_id, reason=str(error))
        values += coming
        coming.check()
        return values, ""
