"""Up: a frame that is read where it lies slowly is copied into the first tier, by one reader for all who wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pyarrow as pa
import structlog

from sluice_cache.catalogue import Catalogue
from sluice_cache.errors import CacheExpired, MemoryPressure
from sluice_cache.flight import SingleFlight
from sluice_cache.frames import Frame, TierKind
from sluice_cache.tiers import Copy, CopyBroken, Tier, TierAway
from sluice_cache.tiers.arriving import Arriving
from sluice_cache.tiers.copies import Copies
from sluice_cache.tiers.encoded import EncodedCopy
from sluice_cache.tiers.landing import Tiers
from sluice_cache.tiers.memory import MappedCopy, is_encoded
from sluice_cache.tiers.opened import Opened, OpenedStream
from sluice_cache.tiers.redis import RedisTier

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
        # By the shared tier's names: what comes from there now.
        self._arriving: dict[str, Arriving] = {}

    def rows(self, source: Tier, frame: Frame) -> Opened | None:
        """Copy a frame's rows up from a tier and open them; None when they cannot be read there or not kept here.

        Raises:
            MemoryPressure: the disk has no room, and nothing reads the frame where it lies.
        """
        return self._flight.run(frame.frame_id, lambda: self._rows(source, frame))

    def stream(self, shared: RedisTier, frame: Frame) -> OpenedStream | None:
        """Return a frame as it lies in the shared tier, copied up on its way; None when it cannot be read there.

        Raises:
            CacheExpired: from the reading of its parts, where the rest of them is gone or broken.
        """
        coming = self._flight.run(frame.frame_id, lambda: self._coming(shared, frame))
        if coming is None:
            return self.encoded(self._catalogue.find(frame.frame_id) or frame)
        try:
            return OpenedStream(coming.frame, coming.first(), _or_expired(coming))
        except (CopyBroken, TierAway):
            return None

    def encoded(self, frame: Frame) -> OpenedStream | None:
        """Return a frame of the first tier as it came; None where it does not lie like that."""
        token = frame.copies.get(TierKind.MEMORY, "")
        copy = self._copies.read(self._memory, frame) if is_encoded(token) else self._memory.beside(frame)
        return OpenedStream(frame, copy.content, [copy.content]) if isinstance(copy, EncodedCopy) else None

    def _rows(self, source: Tier, frame: Frame) -> Opened | None:
        arriving = self._arriving.get(frame.copies.get(TierKind.REDIS, ""))
        if arriving is not None:
            arriving.wait()
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

    def _coming(self, shared: RedisTier, frame: Frame) -> Arriving | None:
        """Return a copy that comes from the shared tier from now on, or does already; None where none has to."""
        frame = self._catalogue.find(frame.frame_id) or frame
        if TierKind.MEMORY in frame.copies or TierKind.REDIS not in frame.copies:
            return None
        # By the name of the copy that is read, also where a newer version has come since the caller looked.
        arriving = self._arriving.get(frame.copies[TierKind.REDIS])
        if arriving is not None:
            return arriving
        try:
            values = shared.values(frame)
        except TierAway:
            return None
        if values is None:
            self._copies.lose(shared, frame)
            return None
        token = frame.copies[TierKind.REDIS]
        arriving = self._arriving[token] = Arriving(frame, values)
        try:
            received = shared.receivers.submit(self._receive, shared, arriving)
        except RuntimeError:
            # The process stops and takes on nothing more.
            del self._arriving[token]
            return None
        received.add_done_callback(lambda future: self._received(token, arriving, future))
        return arriving

    def _receive(self, shared: RedisTier, arriving: Arriving) -> None:
        """Write a copy that comes to the first tier, where there is room, and enter it."""
        frame = arriving.frame
        try:
            token = self._written_as_it_comes(arriving)
        except CopyBroken as error:
            self._copies.broken(shared, frame, error)
            raise
        if token:
            self._copies.added(frame, self._memory, token)
            self._filled()

    def _received(self, token: str, arriving: Arriving, future: Future[None]) -> None:
        arriving.end(TierAway("the process stops") if future.cancelled() else future.exception())
        self._arriving.pop(token, None)

    def _written_as_it_comes(self, arriving: Arriving) -> str:
        """Return the name of the file that all values were written to; empty where there is no room.

        Raises:
            CopyBroken, TierAway: they are not those that were written, or cannot be had.
        """
        frame = arriving.frame
        values = arriving.receive()
        try:
            writer = self._memory.create_encoded(frame.frame_id, frame.version)
            try:
                for value in values:
                    writer.add(value, arriving.crc)
                return writer.commit()
            finally:
                writer.abort()
        except OSError as error:
            log.warning("copy not made", tier="memory", frame_id=frame.frame_id, reason=str(error))
        # The readers have no use for the file.
        for _ in values:
            pass
        return ""


def _or_expired(arriving: Arriving) -> Iterator[bytes]:
    try:
        yield from arriving
    except (CopyBroken, TierAway) as error:
        raise CacheExpired("frame", arriving.frame.frame_id) from error
