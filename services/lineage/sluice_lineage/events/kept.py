"""Kept answers: a pointer by domain and ids, and the frame it points to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, timedelta

import pyarrow as pa
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import Clock

from sluice_lineage.events.pointers import Pointers, PointersAway
from sluice_lineage.frames import FrameFacts, FrameStore, FrameUpload, KeptFrame


@dataclass
class Lookup:
    """What was found under a name, and what could not be asked."""

    key: str
    """Of the pointer."""
    frame_id: str
    """Of the answer; a newer one takes its place."""
    found: KeptFrame | None = None
    faults: list[str] = field(default_factory=list)


class KeptEvents:
    """Answers that are given again.

    Args:
        frames: where the rows are.
        pointers: which frame answers what.
        clock: tells fresh answers from old ones.
        max_bytes: largest answer that is kept.
        keeps: whether there is a cache at all.
    """

    def __init__(self, frames: FrameStore, pointers: Pointers, clock: Clock, *, max_bytes: int, keeps: bool) -> None:
        self.frames = frames
        self._pointers = pointers
        self._clock = clock
        self._max_bytes = max_bytes
        self.keeps = keeps

    def look_up(self, domain: str, answer_hash: str, *, whole_only: bool, refresh: bool) -> Lookup:
        """Return what is kept under this name and fresh.

        Args:
            domain: name of the domain.
            answer_hash: of the ids.
            whole_only: an answer that was cut is none.
            refresh: find nothing.
        """
        lookup = Lookup(f"evt:{domain}:{answer_hash}", f"evt-{domain}-{answer_hash}")
        if refresh or not self.keeps:
            return lookup
        try:
            pointed = self._pointers.get(lookup.key)
        except PointersAway:
            # A frame's id is known without the pointer, and the cache serves from memory and disk.
            lookup.faults.append("Redis could not be asked")
            pointed = lookup.frame_id
        if pointed is not None:
            lookup.found = self._open(pointed, lookup, whole_only=whole_only)
        return lookup

    def begin(self, lookup: Lookup, schema: pa.Schema) -> FrameUpload:
        """Begin to keep an answer."""
        version = int(self._clock.now().timestamp() * 1000)
        return self.frames.begin(lookup.frame_id, schema, version=version, max_bytes=self._max_bytes)

    def keep(self, lookup: Lookup, upload: FrameUpload, row_count: int, facts: FrameFacts) -> bool:
        """End the upload, point to it, and return whether the answer will be found again."""
        if not upload.commit(row_count, facts):
            return False
        left = facts.fresh_until_time - self._clock.now()
        try:
            if left > timedelta():
                self._pointers.put(lookup.key, lookup.frame_id, left.total_seconds())
        except PointersAway:
            lookup.faults.append("Redis did not take the pointer")
        return True

    def _open(self, frame_id: str, lookup: Lookup, *, whole_only: bool) -> KeptFrame | None:
        try:
            found = self.frames.open(frame_id)
        except ServiceError as error:
            lookup.faults.append(f"the cache could not be asked ({error.reason})")
            return None
        if found is None:
            return None
        fresh = found.frame.fresh_until_time.ToDatetime(tzinfo=UTC) > self._clock.now()
        if fresh and not (whole_only and found.frame.labels.get("truncated") == "true"):
            return found
        found.__exit__(None, None, None)
        return None
