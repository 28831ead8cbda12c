"""What a tier holds: sizes and ages by name, in the order of their last use; and how often it was asked."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sluice_cache.seals import seal_of
from sluice_cache.tiers import TierCounts


@dataclass(frozen=True)
class _Held:
    bytes: int
    stored_ns: int


class Holdings:
    """Copies by the tier's name for them; safe to share between threads."""

    def __init__(self, max_bytes: int = 0) -> None:
        # Guards everything below.
        self._lock = threading.Lock()
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._bytes = 0
        self._counts = TierCounts(max_bytes=max_bytes)

    def add(self, token: str, size: int) -> None:
        """Take in a copy; its age is what its name says, else it is new."""
        seal = seal_of(token)
        with self._lock:
            self._pop(token)
            self._held[token] = _Held(size, seal.stamp_ns if seal is not None else time.time_ns())
            self._bytes += size

    def remove(self, token: str) -> None:
        """Forget a copy; forgetting what is not there succeeds."""
        with self._lock:
            self._pop(token)

    def size_of(self, token: str) -> int:
        """Return a copy's bytes; 0 for what is not there."""
        with self._lock:
            held = self._held.get(token)
            return held.bytes if held is not None else 0

    def used(self, token: str) -> None:
        """Move a copy to the end of those that go first."""
        with self._lock:
            if token in self._held:
                self._held.move_to_end(token)

    def read(self, *, hit: bool) -> None:
        """Count one read."""
        with self._lock:
            self._counts = self._counts.after_read(hit=hit)

    def evicted(self) -> None:
        """Count one copy given up for room."""
        with self._lock:
            self._counts = replace(self._counts, eviction_count=self._counts.eviction_count + 1)

    def first_beyond(self, max_bytes: int) -> list[str]:
        """Return the copies whose removal makes the rest fit, least recently used first."""
        with self._lock:
            excess = self._bytes - max_bytes
            chosen = []
            for token, held in self._held.items():
                if excess <= 0:
                    break
                chosen.append(token)
                excess -= held.bytes
        return chosen

    def by_last_use(self) -> list[str]:
        """Return the copies, last used first."""
        with self._lock:
            return list(reversed(self._held))

    def __contains__(self, token: str) -> bool:
        with self._lock:
            return token in self._held

    def counts(self) -> TierCounts:
        """Return the counts as of now."""
        with self._lock:
            stored = [held.stored_ns for held in self._held.values()]
            counts, size = self._counts, self._bytes
        return replace(
            counts,
            frame_count=len(stored),
            bytes=size,
            oldest_time=_instant(min(stored, default=None)),
            newest_time=_instant(max(stored, default=None)),
        )

    def _pop(self, token: str) -> None:
        held = self._held.pop(token, None)
        if held is not None:
            self._bytes -= held.bytes


def _instant(ns: int | None) -> datetime | None:
    return datetime.fromtimestamp(ns / 1e9, UTC) if ns is not None else None
