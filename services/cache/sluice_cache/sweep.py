"""Takes away what has expired, and files that nothing names; stops short when it cannot know what is named."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import structlog
from sluice_rpc.ports import Clock

from sluice_cache import files
from sluice_cache.index import IndexUnavailable, SharedIndex
from sluice_cache.manifests import Manifests
from sluice_cache.tiers.read_through import FrameStore

log = structlog.get_logger()


@dataclass(frozen=True)
class Swept:
    """What one sweep took away; `complete` is False when orphans were left because the index did not answer."""

    frame_count: int
    manifest_count: int
    orphan_count: int
    complete: bool


@dataclass(frozen=True)
class Pace:
    """Seconds between two sweeps, and how long an orphan is left alone after its last write."""

    interval_s: float
    grace_s: float


class Sweeper:
    """Sweeps at start and then periodically, until stopped.

    Args:
        store, manifests: what expires.
        shared: asked, in full, for what it names before a file counts as an orphan.
        root: the data folder; orphans are looked for among hot files and in the spool.
        clock: decides what has expired.
        pace: how often, and how patient.
    """

    def __init__(
        self,
        store: FrameStore,
        manifests: Manifests,
        shared: SharedIndex,
        root: Path,
        *,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._store = store
        self._manifests = manifests
        self._shared = shared
        self._root = root
        self._folders = [root / "hot", root / "spool"]
        self._clock = clock
        self._pace = pace
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Sweep now and go on in the background."""
        for path in self._root.rglob(f"*{files.TEMP_SUFFIX}"):
            # The folder is ours alone and nothing is being written yet: these are of a process that died.
            path.unlink(missing_ok=True)
        self.sweep()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def sweep(self) -> Swept:
        """Sweep once and return what went."""
        manifest_count = self._manifests.drop_expired()
        now = self._clock.now()
        expired = [frame for frame in self._store.catalogue.all() if frame.keep_until_time <= now]
        for frame in expired:
            self._store.delete(frame.frame_id)
        orphan_count, complete = self._orphans()
        swept = Swept(len(expired), manifest_count, orphan_count, complete)
        if expired or manifest_count or orphan_count:
            log.info("swept", frame_count=len(expired), manifest_count=manifest_count, orphan_count=orphan_count)
        return swept

    def _orphans(self) -> tuple[int, bool]:
        # Files first, names after: a file that gets its name in between counts as named.
        candidates = [path for folder in self._folders for path in folder.iterdir() if self._old(path)]
        if not candidates:
            return 0, True
        try:
            known = [*self._shared.all_frames(), *self._store.catalogue.all()]
        except IndexUnavailable as error:
            log.warning("orphans left alone", reason=str(error), file_count=len(candidates))
            return 0, False
        named = {token for frame in known for token in frame.copies.values()}
        orphans = [path for path in candidates if path.name not in named]
        for path in orphans:
            path.unlink(missing_ok=True)
        return len(orphans), True

    def _old(self, path: Path) -> bool:
        if path.suffix == files.TEMP_SUFFIX:
            return False  # a put that waits for its caller; its writer takes it away
        try:
            # Files carry the machine's time, whatever clock the process was given.
            return time.time() - path.stat().st_mtime >= self._pace.grace_s
        except FileNotFoundError:
            return False

    def _run(self) -> None:
        while not self._stopping.wait(self._pace.interval_s):
            self.sweep()
