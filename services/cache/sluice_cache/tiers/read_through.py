"""Frames over all tiers: a put lands in the right one, a read fills those above, what overflows moves down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import pyarrow as pa
import structlog
from sluice_rpc.ports import Clock

from sluice_cache.calm import Calm
from sluice_cache.catalogue import Catalogue
from sluice_cache.errors import CacheExpired, MemoryPressure
from sluice_cache.flight import SingleFlight
from sluice_cache.frames import Frame, TierKind
from sluice_cache.kinds import check_schema
from sluice_cache.tiers import Copy, CopyBroken, Tier, TierAway, TierFull
from sluice_cache.tiers.landing import Landing, StoreLimits
from sluice_cache.tiers.memory import MappedCopy, MemoryTier
from sluice_cache.tiers.spool import SpoolCopy, SpoolTier

log = structlog.get_logger()


@dataclass(frozen=True)
class Ending:
    """What is known of a frame once its rows have come."""

    row_count: int
    bytes: int
    labels: dict[str, str]
    read_time: datetime | None
    fresh_until_time: datetime | None
    keep_until_time: datetime | None


@dataclass(frozen=True)
class Landed:
    """A copy that is complete: what its trailer said, and the size of its decoded columns."""

    ending: Ending
    stored_bytes: int


@dataclass(frozen=True)
class Opened:
    """A frame held open: the copy to read, and the tier it was found in."""

    frame: Frame
    copy: MappedCopy | SpoolCopy
    found_in: TierKind


SHARE_PATIENCE_S: Final = 10.0
"""Compressing for the shared tier takes as much of a processor as the put itself; so long it gives way to puts."""


class FrameStore:
    """The frames of this process.

    Args:
        catalogue: what is live.
        memory, spool: the first and the last tier.
        shared: the tier that other processes see too, if there is one.
        behind: runs copies to the shared tier, so that no put waits for it.
        clock: for times that a trailer leaves open.
        limits: what goes where.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        memory: MemoryTier,
        spool: SpoolTier,
        shared: Tier | None,
        *,
        behind: Executor,
        clock: Clock,
        limits: StoreLimits,
    ) -> None:
        self.catalogue = catalogue
        self.memory = memory
        self.spool = spool
        self._shared = shared
        self._behind = behind
        self._clock = clock
        self._limits = limits
        self.calm = Calm()
        self._fills: SingleFlight[Opened] = SingleFlight()
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
    ) -> tuple[Frame, bool]:
        """Store a frame; whatever fails on the way leaves nothing behind.

        Args:
            frame_id: its id.
            version: an older one never replaces a newer one.
            schema: of every batch.
            batches: the rows, consumed one at a time.
            ending: asked after the last batch; may raise to refuse the frame.

        Returns:
            The frame as it now stands, and whether it is this one.
        """
        check_schema(schema)
        self._admit()
        try:
            with self.calm.disturbed():
                kind, token, landed = self._land(frame_id, version, schema, batches, ending)
            return self._commit(self._framed(frame_id, version, landed).with_copy(kind, token))
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

    def delete(self, frame_id: str) -> None:
        """Delete a frame from every tier; deleting what is not there succeeds."""
        frame = self.catalogue.delete(frame_id)
        if frame is not None:
            self._forget(frame)

    def trim(self) -> None:
        """Move the least recently used hot frames down until the first tier fits its budget."""
        with self._trimming:
            tokens = set(self.memory.overflow())
            if not tokens:
                return
            for frame in self.catalogue.all():
                token = frame.copies.get(TierKind.MEMORY)
                if token in tokens:
                    self.demote(frame)

    def _land(
        self,
        frame_id: str,
        version: int,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        ending: Callable[[], Ending],
    ) -> tuple[TierKind, str, Landed]:
        landing = Landing(self.memory, self.spool, self._limits, frame_id=frame_id, version=version, schema=schema)
        try:
            for batch in batches:
                landing.write(batch)
            end = ending()
            kind, token = landing.commit()
        finally:
            landing.leave()
        return kind, token, Landed(end, landing.bytes)

    def _framed(self, frame_id: str, version: int, landed: Landed) -> Frame:
        now, end = self._clock.now(), landed.ending
        return Frame(
            frame_id=frame_id,
            version=version,
            row_count=end.row_count,
            bytes=end.bytes,
            stored_bytes=landed.stored_bytes,
            read_time=end.read_time or now,
            fresh_until_time=end.fresh_until_time or now,
            keep_until_time=end.keep_until_time or now + timedelta(seconds=self._limits.default_keep_s),
            labels=end.labels,
        )

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
            and TierKind.MEMORY in frame.copies
            and frame.stored_bytes <= self._limits.shared_max_bytes
        ):
            self._behind.submit(self._share, frame, self._clock.monotonic() + SHARE_PATIENCE_S)
        self.trim()
        return stands, True

    def _open(self, frame: Frame) -> Opened:
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
        copy = self._read(source, frame)
        if copy is None:
            return None
        writer = self.memory.create(frame.frame_id, frame.version, copy.schema)
        try:
            for batch in copy.batches():
                writer.write(batch)
            token = writer.commit()
        except TierAway:
            return None
        except (CopyBroken, pa.ArrowException, OSError) as error:
            log.warning("copy dropped", tier=source.kind.name.lower(), frame_id=frame.frame_id, reason=str(error))
            self._lose(source, frame)
            return None
        finally:
            writer.abort()
            copy.close()
        changed = self.catalogue.change(frame, lambda present: present.with_copy(TierKind.MEMORY, token))
        filled = self.memory.open(frame.with_copy(TierKind.MEMORY, token))
        if changed is None:
            self.memory.delete(token)
        self.trim()
        return Opened(changed or frame, filled, source.kind) if filled is not None else None

    def _share(self, frame: Frame, until: float) -> None:
        """Copy a hot frame to the shared tier, after its put has been answered and while nobody waits for others."""
        if self._shared is None:
            return
        self.calm.wait(max(0.0, until - self._clock.monotonic()))
        copied = self._copy_to(self._shared, frame)
        if copied is not None and self.catalogue.change(frame, _adding(self._shared.kind, copied)) is None:
            self._shared.delete(copied)

    def demote(self, frame: Frame) -> None:
        """Move a hot frame down."""
        token = frame.copies[TierKind.MEMORY]
        if frame.keep_until_time > self._clock.now() and len(frame.copies) == 1:
            spooled = self._copy_to(self.spool, frame)
            if spooled is not None and self.catalogue.change(frame, _adding(TierKind.SPOOL, spooled)) is None:
                self.spool.delete(spooled)
        changed = self.catalogue.change(frame, lambda present: present.without_copy(TierKind.MEMORY))
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
        self.catalogue.change(frame, lambda present: present.without_copy(tier.kind))
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
