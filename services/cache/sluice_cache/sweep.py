"""Takes away what has expired, and files that nothing names; stops short when it cannot know what is named."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from sluice_cache import files
from sluice_cache.frames import Frame
from sluice_cache.index import IndexUnavailable, SharedIndex
from sluice_cache.manifests import Manifests
from sluice_cache.sweep_lease import StillHeld, SweepLease
from sluice_cache.sweep_plan import Doomed, Spooled, doomed, pointers_of
from sluice_cache.tiers.read_through import FrameStore

log = structlog.get_logger()


@dataclass(frozen=True)
class Swept:
    """What one sweep took away.

    Attributes:
        complete: False when the spool was left alone, since another process sweeps it or the index did not answer in
            full.
    """

    frame_count: int = 0
    manifest_count: int = 0
    expired_file_count: int = 0
    orphan_count: int = 0
    dead_pointer_count: int = 0
    complete: bool = True

    @property
    def anything(self) -> bool:
        """Whether it took anything away."""
        return replace(self, complete=True) != Swept()


@dataclass(frozen=True)
class Pace:
    """Seconds between two sweeps, and how long what nothing names is left alone after its last write."""

    interval_s: float
    grace_s: float


class Sweeper:
    """Sweeps at start and then periodically, until stopped.

    Args:
        store, manifests: what expires.
        shared: asked, in full, for what it names before a file of the spool counts as an orphan.
        hot_folder: hot files; of this process alone.
        lease: the right to sweep the spool.
        now: the machine's own time, since that is what files carry, whatever clock the process was given.
        pace: how often, and how patient.
    """

    def __init__(
        self,
        store: FrameStore,
        manifests: Manifests,
        shared: SharedIndex,
        hot_folder: Path,
        lease: SweepLease,
        *,
        pace: Pace,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._manifests = manifests
        self._shared = shared
        self._hot_folder = hot_folder
        self._lease = lease
        self._now = now
        self._interval_s = pace.interval_s
        self._grace = timedelta(seconds=pace.grace_s)
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Sweep now and go on in the background."""
        self._once()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()
        self._thread.join()

    def wake(self) -> None:
        """Sweep soon: somebody found no room."""
        self._woken.set()

    def sweep(self) -> Swept:
        """Sweep once and return what went."""
        swept = Swept(frame_count=self._store.expire(), manifest_count=self._manifests.drop_expired())
        hot_count = self._hot_orphans()
        with self._lease.hold() as still_held:
            swept = self._sweep_spool(swept, still_held) if still_held else replace(swept, complete=False)
        swept = replace(swept, orphan_count=swept.orphan_count + hot_count)
        if swept.anything:
            log.info("swept", **vars(swept))
        return swept

    def _hot_orphans(self) -> int:
        # Files first, names after: a file that gets its name in between counts as named.
        old = [path for path in self._hot_folder.iterdir() if path.suffix != files.TEMP_SUFFIX and self._old(path)]
        named = _tokens(self._store.catalogue.all())
        orphans = [path for path in old if path.name not in named and not self._store.memory.holds(path.name)]
        for path in orphans:
            path.unlink(missing_ok=True)
        return len(orphans)

    def _sweep_spool(self, swept: Swept, still_held: StillHeld) -> Swept:
        spool = self._store.spool
        # In this order: what is named while this goes on is found named.
        listed = spool.folder.listed()
        said = {name: spool.pointed(name) for name in pointers_of(listed)}
        try:
            frames = [*self._shared.all_frames(), *self._store.catalogue.all()]
        except IndexUnavailable as error:
            log.warning("spool left alone", reason=str(error), file_count=len(listed))
            return replace(swept, complete=False)
        pointers = {name: frame for name, frame in said.items() if frame is not None}
        damaged = [name for name, frame in said.items() if frame is None and spool.is_damaged(name)]
        going = doomed(Spooled(listed, pointers, frames, damaged), spool.holds, self._now(), self._grace)
        return self._remove(going, swept, still_held)

    def _remove(self, going: Doomed, swept: Swept, still_held: StillHeld) -> Swept:
        folder = self._store.spool.folder
        counts = [0, 0, 0]
        removals = (
            (going.expired, folder.remove),
            (going.orphans, folder.remove),
            (going.dead_pointers, folder.discard),
        )
        for number, (names, remove) in enumerate(removals):
            for name in names:
                if not still_held():
                    swept = replace(swept, complete=False)
                    break
                remove(name)
                counts[number] += 1
        expired, orphans, dead = counts
        return replace(swept, expired_file_count=expired, orphan_count=orphans, dead_pointer_count=dead)

    def _old(self, path: Path) -> bool:
        try:
            changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except FileNotFoundError:
            return False
        return self._now() - changed >= self._grace

    def _once(self) -> None:
        try:
            self.sweep()
        except OSError as error:
            # A disk that does not answer now may answer at the next sweep; nothing was taken that should not be.
            log.warning("sweep broke off", reason=str(error))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(self._interval_s)
            self._woken.clear()
            if not self._stopping.is_set():
                self._once()


def _tokens(frames: list[Frame]) -> set[str]:
    return {token for frame in frames for token in frame.copies.values()}
