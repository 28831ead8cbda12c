"""Which frames are live: in memory by id and by label pair, written through to sidecar files and the shared index."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog
from sluice_rpc.ports import Clock

from sluice_cache import files
from sluice_cache.errors import CacheExpired
from sluice_cache.frames import Frame, TierKind, from_json, to_json
from sluice_cache.index import SharedIndex

log = structlog.get_logger()


class Pointers(Protocol):
    """What the catalogue asks of the spool."""

    def point(self, frame: Frame) -> None:
        """Write what the frame's file says of itself, if it has one."""
        ...

    def reachable(self, frame: Frame) -> Frame:
        """Return the frame, without the copy in the spool where its file is not in this spool."""
        ...


class Catalogue:
    """Live frames of this process.

    Args:
        folder: where each frame's sidecar lies; the sidecar is what makes a file on disk a frame.
        shared: index that outlives the disk.
        clock: decides what has expired.
        pointers: of the spool's files, which say beside the file what the sidecar says here.
    """

    def __init__(self, folder: Path, shared: SharedIndex, clock: Clock, pointers: Pointers) -> None:
        self._folder = folder
        self._shared = shared
        self._clock = clock
        self._pointers = pointers
        # Guards both maps and the sidecars: version checks and their effect are one step.
        self._lock = threading.RLock()
        self._frames: dict[str, Frame] = {}
        self._by_label: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._replaced: Callable[[Frame], None] = lambda frame: None

    def on_replace(self, told: Callable[[Frame], None]) -> None:
        """Have a function called with every frame in whose place another process has put a newer version."""
        self._replaced = told

    def load(self) -> int:
        """Take in what the sidecars say and return how many frames that is; broken sidecars are dropped and logged."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                frame = from_json(path.read_bytes())
            except ValueError as error:
                log.warning("sidecar dropped", file=path.name, reason=str(error))
                self._forget_sidecar(path.stem)
                continue
            with self._lock:
                self._remember(frame)
        return len(self._frames)

    def commit(self, frame: Frame) -> tuple[Frame, Frame | None, bool]:
        """Make a frame visible.

        Returns:
            The frame as it now stands, the one it replaced, and whether this one was taken: an older version never
            replaces a newer one.

        Raises:
            OSError: the disk does not take it; the frame is not visible then.
        """
        with self._lock:
            present = self._known(frame.frame_id)
            if present is not None and present.version > frame.version:
                return present, None, False
            self._write(frame)
        if present is not None:
            # What other processes find under this id must never be older than what this one has.
            self._shared.delete_frame(present)
        if not self._shared.put_frame(frame):
            newer = self._found(frame.frame_id)
            if newer is not None and newer.version > frame.version:
                return newer, present, False
        return frame, present, True

    def get(self, frame_id: str) -> Frame:
        """Return a live frame.

        Raises:
            CacheExpired: it is not there or past its time.
        """
        frame = self.find(frame_id)
        if frame is None:
            raise CacheExpired("frame", frame_id)
        return frame

    def find(self, frame_id: str) -> Frame | None:
        """Return a live frame, or None."""
        with self._lock:
            frame = self._known(frame_id)
        if frame is None or not self._live(frame):
            # Also of what has expired here: another process may have prolonged it.
            frame = self._found(frame_id)
        return frame if frame is not None and self._live(frame) else None

    def change(self, frame: Frame, apply: Callable[[Frame], Frame]) -> Frame | None:
        """Change a frame that is still of the given version; None when it is not there any more."""
        with self._lock:
            present = self._frames.get(frame.frame_id)
            if present is None or present.version != frame.version:
                return None
            changed = apply(present)
            self._note(changed)
        if TierKind.REDIS in present.copies and TierKind.REDIS not in changed.copies:
            self._shared.delete_frame(present)
        if changed.without_copy(TierKind.MEMORY) == present.without_copy(TierKind.MEMORY):
            return changed  # what is hot here concerns nobody else
        if not self._shared.put_frame(changed):
            newer = self._found(frame.frame_id)
            if newer is not None and newer.version > frame.version:
                return None
        return changed

    def touch(self, frame_id: str, fresh_until: datetime | None, keep_until: datetime | None) -> Frame:
        """Move the times of a live frame.

        Raises:
            CacheExpired: it is not there.
        """
        frame = self.get(frame_id)
        touched = frame.touched(fresh_until, keep_until)
        if touched == frame:
            return frame
        changed = self.change(frame, lambda present: present.touched(fresh_until, keep_until))
        if changed is None:
            raise CacheExpired("frame", frame_id)
        return changed

    def delete(self, frame_id: str) -> Frame | None:
        """Forget a frame and return it; its copies are the caller's to delete."""
        with self._lock:
            frame = self._frames.pop(frame_id, None)
            if frame is not None:
                self._unlabel(frame)
            self._forget_sidecar(frame_id)
        frame = frame or self._shared.get_frame(frame_id)
        if frame is not None:
            self._shared.delete_frame(frame)
        return frame

    def matching(self, labels: Mapping[str, str]) -> list[Frame]:
        """Return the live frames that carry all labels, oldest read first."""
        pairs = list(labels.items())
        with self._lock:
            ids = set.intersection(*(self._by_label.get(pair, set()) for pair in pairs)) if pairs else set()
            found = {frame_id: self._frames[frame_id] for frame_id in ids}
        for frame in self._shared.find_frames(labels):
            if frame.frame_id not in found and self._pointers.reachable(frame).copies:
                found[frame.frame_id] = frame
        live = [frame for frame in found.values() if self._live(frame)]
        return sorted(live, key=lambda frame: (frame.read_time, frame.frame_id))

    def all(self) -> list[Frame]:
        """Return every frame known here, expired ones included."""
        with self._lock:
            return list(self._frames.values())

    def _known(self, frame_id: str) -> Frame | None:
        return self._frames.get(frame_id)

    def _remember(self, frame: Frame) -> None:
        present = self._frames.get(frame.frame_id)
        if present is not None:
            self._unlabel(present)
        self._frames[frame.frame_id] = frame
        for pair in frame.labels.items():
            self._by_label[pair].add(frame.frame_id)

    def _unlabel(self, frame: Frame) -> None:
        for pair in frame.labels.items():
            members = self._by_label.get(pair)
            if members is not None:
                members.discard(frame.frame_id)
                if not members:
                    del self._by_label[pair]

    def adopt(self, frame: Frame) -> Frame:
        """Take in a frame that another process made known, unless a newer one is here; return the one that stands."""
        with self._lock:
            present = self._known(frame.frame_id)
            if present is not None and present.version == frame.version:
                # What is hot here is known only here.
                frame = replace(frame.touched(None, present.keep_until_time), copies={**frame.copies, **present.copies})
            if present is not None and (present.version > frame.version or present == frame):
                return present
            self._save(frame)
            self._remember(frame)
        if present is not None and present.version < frame.version:
            self._replaced(present)
        return frame

    def _found(self, frame_id: str) -> Frame | None:
        frame = self._shared.get_frame(frame_id)
        if frame is None or not self._live(frame):
            return None
        reachable = self._pointers.reachable(frame)
        return self.adopt(reachable) if reachable.copies else None

    def _live(self, frame: Frame) -> bool:
        return bool(frame.copies) and frame.keep_until_time > self._clock.now()

    def drop(self, frame: Frame) -> bool:
        """Forget a frame as it stood; what others know of it stays. False when it has changed meanwhile."""
        with self._lock:
            if self._frames.get(frame.frame_id) != frame:
                return False
            del self._frames[frame.frame_id]
            self._unlabel(frame)
            self._forget_sidecar(frame.frame_id)
        return True

    def _write(self, frame: Frame) -> None:
        files.write_whole(self._sidecar(frame.frame_id), to_json(frame).encode(), durable=True)
        self._pointers.point(frame)
        self._remember(frame)

    def _note(self, frame: Frame) -> None:
        """Take over a change; where the disk does not take it, it lasts until the process ends."""
        self._save(frame)
        try:
            self._pointers.point(frame)
        except OSError as error:
            log.warning("pointer not written", frame_id=frame.frame_id, reason=str(error))
        self._remember(frame)

    def _save(self, frame: Frame) -> None:
        try:
            files.write_whole(self._sidecar(frame.frame_id), to_json(frame).encode())
        except OSError as error:
            log.warning("sidecar not written", frame_id=frame.frame_id, reason=str(error))

    def _forget_sidecar(self, frame_id: str) -> None:
        try:
            self._sidecar(frame_id).unlink(missing_ok=True)
        except OSError as error:
            log.warning("sidecar not removed", frame_id=frame_id, reason=str(error))

    def _sidecar(self, frame_id: str) -> Path:
        return files.inside(self._folder, f"{frame_id}.json")
