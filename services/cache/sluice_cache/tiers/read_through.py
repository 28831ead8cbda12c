"""Frames over all tiers: a put lands in the right one, a read finds the fastest; `fill` and `moves` do the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Final, NoReturn

import pyarrow as pa
import structlog
from sluice_rpc.ports import Clock

from sluice_cache.arrival import Arrival
from sluice_cache.calm import Calm
from sluice_cache.catalogue import Catalogue
from sluice_cache.errors import CacheExpired, MemoryPressure, StatementLost
from sluice_cache.frames import Frame, TierKind
from sluice_cache.kinds import check_schema
from sluice_cache.tiers import CopyBroken, TierFull
from sluice_cache.tiers.copies import Copies
from sluice_cache.tiers.fill import Filling
from sluice_cache.tiers.landing import Landing, LandingKey, StoreLimits, Tiers
from sluice_cache.tiers.memory import MappedCopy, is_encoded
from sluice_cache.tiers.moves import Moves
from sluice_cache.tiers.opened import Ending, Landed, Opened, OpenedStream
from sluice_cache.tiers.spool import SpoolCopy

log = structlog.get_logger()

EXAMINED_BYTES: Final = 4 << 20
"""Smaller frames are compared in less than a millisecond, and a mapping each is too much for many of them."""


class FrameStore:
    """The frames of this process.

    Args:
        catalogue: what is live.
        tiers: where their copies lie.
        behind: runs what no caller waits for: copies to the shared tier, and a look at what an earlier process left.
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
        self.copies = Copies(catalogue, tiers)
        self.moves = Moves(catalogue, tiers, self.copies, behind=behind, clock=clock, calm=self.calm)
        self._filling = Filling(catalogue, tiers, self.copies, filled=self.moves.trim, full=self._was_full)
        self._admit: Callable[[], None] = lambda: None
        self._full: list[Callable[[], None]] = []
        catalogue.on_replace(self.copies.forget)

    def on_drop(self, told: Callable[[Frame], None]) -> None:
        """Have a function called with every frame that is deleted or replaced."""
        self.copies.on_drop(told)

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
        named = {token for frame in self.catalogue.all() for token in frame.copies.values()}
        self.copies.forget_lost(self.memory.load(named) | self.spool.load(named))
        self._examine()

    def _examine(self) -> None:
        """Have large hot files compared with their names, last used first, so that no first view waits for that."""
        large = [frame for frame in self.catalogue.all() if frame.stored_bytes >= EXAMINED_BYTES]
        hot = {frame.copies.get(TierKind.MEMORY, ""): frame for frame in large}
        for token in self.memory.by_last_use():
            if token in hot:
                self._behind.submit(self.copies.examine, hot[token])

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
                    self.copies.forget(frame)
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
            self._was_full()
            raise MemoryPressure from error

    @contextmanager
    def open(self, frame_id: str) -> Iterator[Opened]:
        """Hold a live frame open for reading; it ends well even if the frame expires meanwhile.

        Raises:
            CacheExpired: the frame is not there, or no copy of it can be read any more; also from inside, where a copy
                shows in the middle of its rows that it is broken.
        """
        opened = self._open(self.catalogue.get(frame_id))
        try:
            yield opened
        except CopyBroken as error:
            self._broken(opened, error)
            raise CacheExpired("frame", frame_id) from error
        finally:
            opened.copy.close()

    def give_up(self, opened: Opened, error: Exception) -> NoReturn:
        """Drop the file of the spool that a frame was opened from, as a reader of its own found it broken.

        Raises:
            CacheExpired: it was the last.
            StatementLost: the next opening finds another.
        """
        frame_id, token = opened.frame.frame_id, opened.frame.copies.get(TierKind.SPOOL, "")
        self._broken(opened, error)
        left = self.catalogue.find(frame_id)
        if left is not None and left.without_token(TierKind.SPOOL, token).copies:
            raise StatementLost from error
        self.copies.gone(opened.frame)
        raise CacheExpired("frame", frame_id) from error

    def open_stream(self, frame_id: str) -> OpenedStream | None:
        """Return a live frame as the compressed stream that it came as; None where it does not lie like that.

        Raises:
            CacheExpired: the frame is not there.
        """
        frame = self.catalogue.get(frame_id)
        shared = self._shared
        if shared is None or TierKind.REDIS not in frame.copies or TierKind.MEMORY in frame.copies:
            return self._filling.encoded(frame)
        return self._filling.stream(shared, frame)

    def delete(self, frame_id: str) -> None:
        """Delete a frame from every tier; deleting what is not there succeeds."""
        self.copies.remove(frame_id)

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
            self.copies.delete(frame)
            raise
        if not stored:
            self.copies.delete(frame)
            return stands, False
        if replaced is not None:
            self.copies.forget(replaced)
        if (
            self._shared is not None
            and set(frame.copies) == {TierKind.MEMORY}
            and frame.stored_bytes <= self._limits.shared_max_bytes
        ):
            self.moves.share(frame)
        self.moves.trim()
        return stands, True

    def _open(self, frame: Frame) -> Opened:
        opened = self._found(frame)
        while opened is None:
            left = self.catalogue.find(frame.frame_id)
            if left is None:
                self.copies.gone(frame)
            if left is None or left.copies == frame.copies:
                raise CacheExpired("frame", frame.frame_id)
            # A copy was given up, or moved to another tier in this moment: what is there now may be read.
            frame = left
            opened = self._found(frame)
        return opened

    def _found(self, frame: Frame) -> Opened | None:
        """Open the fastest copy that can be read; None when there is none."""
        found = self._hot(frame)
        if found is None and self._shared is not None and TierKind.REDIS in frame.copies:
            found = self._filling.rows(self._shared, frame)
        return found or self._spooled(frame)

    def _hot(self, frame: Frame) -> Opened | None:
        if is_encoded(frame.copies.get(TierKind.MEMORY, "")):
            return self._filling.rows(self.memory, frame)
        copy = self.copies.read(self.memory, frame)
        return Opened(frame, copy, TierKind.MEMORY) if isinstance(copy, MappedCopy) else None

    def _spooled(self, frame: Frame) -> Opened | None:
        if not self.spool.folder.in_place or not self._limits.spills(frame.row_count, frame.stored_bytes):
            filled = self._filling.rows(self.spool, frame) if TierKind.SPOOL in frame.copies else None
            if filled is not None:
                return filled
        copy = self.copies.read(self.spool, frame)
        return Opened(frame, copy, TierKind.SPOOL) if isinstance(copy, SpoolCopy) else None

    def _broken(self, opened: Opened, error: Exception) -> None:
        self.copies.broken(self.spool if isinstance(opened.copy, SpoolCopy) else self.memory, opened.frame, error)

    def _was_full(self) -> None:
        for told in self._full:
            told()
