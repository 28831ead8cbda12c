"""Frames over all tiers: a put lands in the right one, a read fills those above, what overflows moves down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import Final

import pyarrow as pa
import structlog
from sluice_rpc.ports import Clock

from sluice_cache.arrival import Arrival
from sluice_cache.calm import Calm
from sluice_cache.catalogue import Catalogue
from sluice_cache.errors import CacheExpired, MemoryPressure
from sluice_cache.flight import SingleFlight
from sluice_cache.frames import Frame, TierKind
from sluice_cache.kinds import check_schema
from sluice_cache.tiers import Copy, CopyBroken, Tier, TierAway, TierFull
from sluice_cache.tiers.encoded import EncodedCopy
from sluice_cache.tiers.landing import Landing, LandingKey, StoreLimits, Tiers
from sluice_cache.tiers.memory import MappedCopy, is_encoded
from sluice_cache.tiers.opened import Ending, Landed, Opened, OpenedStream
from sluice_cache.tiers.redis import RedisTier
from sluice_cache.tiers.spool import SpoolCopy

log = structlog.get_logger()


SHARE_PATIENCE_S: Final = 10.0
"""Compressing for the shared tier takes as much of a processor as the put itself; so long it gives way to puts."""


class FrameStore:
    """The frames of this process.

    Args:
        catalogue: what is live.
        tiers: where their copies lie.
        behind: runs copies to the shared tier, so that no put waits for it.
        clock: for times that a trailer leaves open.
        limits: what goes where.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        tiers: Tiers,
        *,
        behind: Executor,
        clock: Clock,
        limits: StoreLimits,
    ) -> None:
        self.catalogue = catalogue
        self._tiers = tiers
        self.memory = tiers.memory
        self.spool = tiers.spool
        self._shared = tiers.shared
        self._behind = behind
        self._clock = clock
        self._limits = limits
        self.calm = Calm()
        self._fills = SingleFlight()
        self._trimming = threading.Lock()
        self._dropped: list[Callable[[Frame], None]] = []
        self._admit: Callable[[], None] = lambda: None
        self._full: list[Callable[[], None]] = []
        catalogue.on_replace(self._forget)

    def on_drop(self, told: Callable[[Frame], None]) -> None:
        """Have a function called with every frame that is deleted or replaced."""
        self._dropped.append(told)

    def on_full(self, told: Callable[[], None]) -> None:
        """Have a function called whenever a frame found no room."""
        self._full.append(told)

    def admit_by(self, admit: Callable[[], None]) -> None:
        """Have a function called before every put; it raises MemoryPressure when there is no memory for more."""
        self._admit = admit

    def load(self) -> None:
        """Take in what an earlier process left; frames none of whose copies is there any more are forgotten."""
        self.catalogue.load()
        for frame in self.spool.all_pointed():
            if frame.keep_until_time > self._clock.now():
                self.catalogue.adopt(frame)
        frames = self.catalogue.all()
        named = {token for frame in frames for token in frame.copies.values()}
        there = self.memory.load(named) | self.spool.load(named)
        for frame in frames:
            lost = [kind for kind, token in frame.copies.items() if kind is not TierKind.REDIS and token not in there]
            for kind in lost:
                self.catalogue.change(frame, partial(Frame.without_copy, tier=kind))
            if len(lost) == len(frame.copies):
                self.catalogue.delete(frame.frame_id)

    def expire(self) -> int:
        """Forget the frames whose time has come and return how many; what others prolonged lives on.

        What other processes may still read, values in Redis and files of the spool, goes by its own expiry.
        """
        count = 0
        for frame in self.catalogue.all():
            if frame.keep_until_time <= self._clock.now() and self.catalogue.find(frame.frame_id) is None:
                prolonged = self.spool.pointed_of(frame)
                if prolonged is not None and prolonged.keep_until_time > self._clock.now():
                    self.catalogue.adopt(prolonged)
                elif self.catalogue.drop(frame):
                    count += 1
                    self._forget(frame)
        return count

    def put(
        self,
        frame_id: str,
        version: int,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        ending: Callable[[], Ending],
        *,
        arrival: Arrival | None = None,
    ) -> tuple[Frame, bool]:
        """Store a frame; whatever fails on the way leaves nothing behind.

        Args:
            frame_id: its id.
            version: an older one never replaces a newer one.
            schema: of every batch.
            batches: the rows, consumed one at a time.
            ending: asked after the last batch; may raise to refuse the frame.
            arrival: the bytes that the rows are decoded from, where they come from outside.

        Returns:
            The frame as it now stands, and whether it is this one.
        """
        check_schema(schema)
        self._admit()
        try:
            with self.calm.disturbed():
                key = LandingKey(frame_id, version, schema)
                landed = self._land(Landing(self._tiers, self._limits, key, arrival), batches, ending)
            return self._commit(landed.framed(frame_id, version, self._clock.now(), self._limits.default_keep_s))
        except (TierFull, OSError) as error:
            log.warning("frame not stored", frame_id=frame_id, reason=str(error))
            for told in self._full:
                told()
            raise MemoryPressure from error

    @contextmanager
    def open(self, frame_id: str) -> Iterator[Opened]:
        """Hold a live frame open for reading; it ends well even if the frame expires meanwhile.

        Raises:
            CacheExpired: the frame is not there, or no copy of it can be read any more.
        """
        opened = self._open(self.catalogue.get(frame_id))
        try:
            yield opened
        finally:
            opened.copy.close()

    def open_stream(self, frame_id: str) -> OpenedStream | None:
        """Return a live frame as the compressed stream that it came as; None where it does not lie like that.

        Raises:
            CacheExpired: the frame is not there.
        """
        frame = self.catalogue.get(frame_id)
        shared = self._shared
        if shared is None or TierKind.REDIS not in frame.copies or TierKind.MEMORY in frame.copies:
            return self._encoded(frame)
        return self._fills.run(frame.frame_id, lambda: self._fetch(shared, frame))

    def delete(self, frame_id: str) -> None:
        """Delete a frame from every tier; deleting what is not there succeeds."""
        frame = self.catalogue.delete(frame_id)
        if frame is not None:
            self._forget(frame)

    def trim(self) -> None:
        """Move least recently used hot frames down, and give up oldest shared copies, until both fit their budgets."""
        with self._trimming:
            tokens = set(self.memory.overflow())
            for frame in self.catalogue.all() if tokens else []:
                if frame.copies.get(TierKind.MEMORY) in tokens:
                    self.demote(frame)
            if self._shared is not None:
                self._trim_shared(self._shared)

    def _trim_shared(self, shared: RedisTier) -> None:
        """Give up the oldest copies that this process has in the shared tier until they fit its budget."""
        tokens = set(shared.overflow())
        for frame in self.catalogue.all() if tokens else []:
            if frame.copies.get(shared.kind) in tokens:
                self._lose(shared, frame)
                shared.evicted()
                if self.catalogue.find(frame.frame_id) is None:
                    self._gone(frame)

    def _land(self, landing: Landing, batches: Iterable[pa.RecordBatch], ending: Callable[[], Ending]) -> Landed:
        try:
            for batch in batches:
                landing.write(batch)
            end = ending()
            copies = landing.commit()
        finally:
            landing.leave()
        return Landed(end, copies, landing.bytes)

    def _commit(self, frame: Frame) -> tuple[Frame, bool]:
        try:
            stands, replaced, stored = self.catalogue.commit(frame)
        except OSError:
            self._delete_copies(frame)
            raise
        if not stored:
            self._delete_copies(frame)
            return stands, False
        if replaced is not None:
            self._forget(replaced)
        if (
            self._shared is not None
            and set(frame.copies) == {TierKind.MEMORY}
            and frame.stored_bytes <= self._limits.shared_max_bytes
        ):
            self._behind.submit(self._share, frame, self._clock.monotonic() + SHARE_PATIENCE_S)
        self.trim()
        return stands, True

    def _open(self, frame: Frame) -> Opened:
        if is_encoded(frame.copies.get(TierKind.MEMORY, "")):
            decoded = self._fills.run(frame.frame_id, lambda: self._fill(self.memory, frame))
            if decoded is not None:
                return decoded
            frame = self.catalogue.find(frame.frame_id) or frame
        copy = self._read(self.memory, frame)
        if isinstance(copy, MappedCopy):
            return Opened(frame, copy, TierKind.MEMORY)
        if self._shared is not None and TierKind.REDIS in frame.copies:
            shared = self._shared
            filled = self._fills.run(frame.frame_id, lambda: self._fill(shared, frame))
            if filled is not None:
                return filled
        spooled = self._read(self.spool, frame)
        if not isinstance(spooled, SpoolCopy):
            left = self.catalogue.find(frame.frame_id)
            if left is None:
                self._gone(frame)
            raise CacheExpired("frame", frame.frame_id)
        if not self.spool.folder.in_place or not self._limits.spills(frame.row_count, frame.stored_bytes):
            spooled.close()
            filled = self._fills.run(frame.frame_id, lambda: self._fill(self.spool, frame))
            if filled is not None:
                return filled
            spooled = self._read(self.spool, frame)
            if not isinstance(spooled, SpoolCopy):
                raise CacheExpired("frame", frame.frame_id)
        return Opened(frame, spooled, TierKind.SPOOL)

    def _read(self, tier: Tier, frame: Frame) -> Copy | None:
        if tier.kind not in frame.copies:
            return None
        try:
            copy = tier.open(frame)
        except TierAway:
            return None
        except CopyBroken as error:
            log.warning("copy dropped", tier=tier.kind.name.lower(), frame_id=frame.frame_id, reason=str(error))
            copy = None
        if copy is None:
            self._lose(tier, frame)
        return copy

    def _fill(self, source: Tier, frame: Frame) -> Opened | None:
        """Copy a frame up into the first tier and open it there; whoever waited finds it filled."""
        frame = self.catalogue.find(frame.frame_id) or frame
        present = self._read(self.memory, frame)
        if isinstance(present, MappedCopy):
            return Opened(frame, present, TierKind.MEMORY)
        copy = present if source is self.memory else self._read(source, frame)
        if copy is None:
            return None
        try:
            token = self._written(copy, frame)
        except TierAway:
            return None
        except (CopyBroken, pa.ArrowException) as error:
            log.warning("copy dropped", tier=source.kind.name.lower(), frame_id=frame.frame_id, reason=str(error))
            self._lose(source, frame)
            return None
        except OSError as error:
            # Sources tell what is wrong with them by CopyBroken: this is the disk that the copy was to be written to.
            self._left_where_it_lies(frame, error)
            return None
        finally:
            copy.close()
        changed = self.catalogue.change(frame, lambda present: present.with_copy(TierKind.MEMORY, token))
        filled = self.memory.open(frame.with_copy(TierKind.MEMORY, token))
        if source is self.memory:
            self.memory.delete(frame.copies[TierKind.MEMORY])
        if changed is None:
            self.memory.delete(token)
        self.trim()
        return Opened(changed or frame, filled, source.kind) if isinstance(filled, MappedCopy) else None

    def _written(self, copy: Copy, frame: Frame) -> str:
        """Write the rows of a copy to the first tier and return its name there."""
        writer = self.memory.create(frame.frame_id, frame.version, copy.schema)
        try:
            for batch in copy.batches():
                writer.write(batch)
            return writer.commit()
        finally:
            writer.abort()

    def _left_where_it_lies(self, frame: Frame, error: OSError) -> None:
        """Say that the first tier's disk has no room for a frame; raises MemoryPressure where no file can be read."""
        log.warning("copy not made", tier="memory", frame_id=frame.frame_id, reason=str(error))
        for told in self._full:
            told()
        if TierKind.SPOOL not in frame.copies or not self.spool.folder.in_place:
            raise MemoryPressure from error

    def _fetch(self, shared: RedisTier, frame: Frame) -> OpenedStream | None:
        """Copy a frame from the shared tier as it lies there; whoever waited finds it."""
        frame = self.catalogue.find(frame.frame_id) or frame
        if TierKind.MEMORY in frame.copies:
            return self._encoded(frame)
        try:
            values = shared.whole(frame)
        except TierAway:
            return None
        except CopyBroken as error:
            log.warning("copy dropped", tier="redis", frame_id=frame.frame_id, reason=str(error))
            values = None
        if values is None:
            self._lose(shared, frame)
            return None
        try:
            token = self._written_encoded(values, frame)
        except OSError as error:
            log.warning("copy not made", tier="memory", frame_id=frame.frame_id, reason=str(error))
            return OpenedStream(frame, pa.py_buffer(b"".join(values)))
        return self._entered(frame, token)

    def _written_encoded(self, values: list[bytes], frame: Frame) -> str:
        writer = self.memory.create_encoded(frame.frame_id, frame.version)
        try:
            for value in values:
                writer.add(value)
            return writer.commit()
        finally:
            writer.abort()

    def _entered(self, frame: Frame, token: str) -> OpenedStream | None:
        changed = self.catalogue.change(frame, _adding(TierKind.MEMORY, token))
        opened = self._encoded(frame.with_copy(TierKind.MEMORY, token))
        if changed is None:
            self.memory.delete(token)
        self.trim()
        return opened

    def _encoded(self, frame: Frame) -> OpenedStream | None:
        token = frame.copies.get(TierKind.MEMORY)
        copy = self._read(self.memory, frame) if token is not None and is_encoded(token) else None
        return OpenedStream(frame, copy.content) if isinstance(copy, EncodedCopy) else None

    def _share(self, frame: Frame, until: float) -> None:
        """Copy a hot frame to the shared tier, after its put has been answered and while nobody waits for others."""
        if self._shared is None:
            return
        self.calm.wait(max(0.0, until - self._clock.monotonic()))
        copied = self._copy_to(self._shared, frame)
        if copied is not None and self.catalogue.change(frame, _adding(self._shared.kind, copied)) is None:
            self._shared.delete(copied)
        self.trim()

    def demote(self, frame: Frame) -> None:
        """Move a hot frame down."""
        token = frame.copies[TierKind.MEMORY]
        if frame.keep_until_time > self._clock.now() and len(frame.copies) == 1:
            spooled = self._copy_to(self.spool, frame)
            if spooled is not None and self.catalogue.change(frame, _adding(TierKind.SPOOL, spooled)) is None:
                self.spool.delete(spooled)
        changed = self.catalogue.change(frame, lambda present: present.without_token(TierKind.MEMORY, token))
        if changed is not None and not changed.copies:
            self._gone(changed)
        self.memory.delete(token)
        self.memory.evicted()

    def _copy_to(self, tier: Tier, frame: Frame) -> str | None:
        """Copy a hot frame into a tier and return its name there; None when that cannot be."""
        copy = self._read(self.memory, frame)
        if copy is None:
            return None
        try:
            writer = tier.create(frame.frame_id, frame.version, copy.schema)
        except TierFull:
            return None
        try:
            for batch in copy.batches():
                writer.write(batch)
            return writer.commit()
        except (TierFull, TierAway, OSError) as error:
            log.info("copy not kept", tier=tier.kind.name.lower(), frame_id=frame.frame_id, reason=str(error))
            return None
        finally:
            writer.abort()

    def _lose(self, tier: Tier, frame: Frame) -> None:
        token = frame.copies[tier.kind]
        # Another copy may have taken its place meanwhile.
        self.catalogue.change(frame, lambda present: present.without_token(tier.kind, token))
        tier.delete(token)

    def _gone(self, frame: Frame) -> None:
        log.warning("no copy of the frame is left", frame_id=frame.frame_id)
        self.delete(frame.frame_id)

    def _forget(self, frame: Frame) -> None:
        self._delete_copies(frame)
        for told in self._dropped:
            told(frame)

    def _delete_copies(self, frame: Frame) -> None:
        for kind, token in frame.copies.items():
            for tier in (self.memory, self._shared, self.spool):
                if tier is not None and tier.kind is kind:
                    tier.delete(token)


def _adding(kind: TierKind, token: str) -> Callable[[Frame], Frame]:
    return lambda present: present.with_copy(kind, token)
