"""Tables of statements, kept by what they depend on: frame versions, statement and values. Bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

import pyarrow as pa

from sluice_cache.frames import Frame, TierKind

LARGEST_SHARE = 8
"""A table larger than this part of the budget is not kept: one list would push out hundreds of charts."""

_SCHEMA_BYTES = 4096
"""Counted for schema and key of a result, so that tables without rows are bounded too."""


@dataclass(frozen=True)
class Result:
    """A whole table as it left.

    Attributes:
        tier: slowest tier that its rows were read from.
        frame_ids: frames that its rows are of.
    """

    schema: pa.Schema
    batches: tuple[pa.RecordBatch, ...]
    tier: TierKind
    frame_ids: frozenset[str]

    @property
    def bytes(self) -> int:
        size: int = sum(batch.nbytes for batch in self.batches)
        return size + _SCHEMA_BYTES


@dataclass(frozen=True)
class ResultCounts:
    """Counts since the process started."""

    result_count: int = 0
    bytes: int = 0
    max_bytes: int = 0
    hit_count: int = 0
    miss_count: int = 0
    eviction_count: int = 0


class Results:
    """Results by key, least recently used first out.

    A key names the versions of all frames it was computed from. As a version may be put twice, deleting or replacing a
    frame drops all results of it, and none is kept that was computed across such a moment.

    Args:
        max_bytes: budget; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        # Guards the maps and the counts.
        self._lock = threading.Lock()
        self._results: OrderedDict[str, Result] = OrderedDict()
        self._keys_of: dict[str, set[str]] = {}
        self._drop_count = 0
        self._counts = ResultCounts(max_bytes=max_bytes)

    @property
    def largest_bytes(self) -> int:
        """Most bytes of a table that is kept."""
        return self._max_bytes // LARGEST_SHARE

    @property
    def bytes(self) -> int:
        """Bytes of all kept tables."""
        with self._lock:
            return self._counts.bytes

    @property
    def drop_count(self) -> int:
        """How often a frame was dropped so far; what `put` wants to know from before the rows were read."""
        with self._lock:
            return self._drop_count

    def get(self, key: str) -> Result | None:
        """Return a kept result and count the question."""
        with self._lock:
            found = self._results.get(key)
            counts = self._counts
            if found is None:
                self._counts = replace(counts, miss_count=counts.miss_count + 1)
                return None
            self._results.move_to_end(key)
            self._counts = replace(counts, hit_count=counts.hit_count + 1)
            return found

    def put(self, key: str, result: Result, seen_drop_count: int) -> bool:
        """Keep a whole result and return True, unless it is too large or a frame was dropped since it was begun."""
        if result.bytes > self.largest_bytes:
            return False
        with self._lock:
            if self._drop_count != seen_drop_count:
                return False
            self._forget(key)
            self._results[key] = result
            self._grow(result.bytes)
            for frame_id in result.frame_ids:
                self._keys_of.setdefault(frame_id, set()).add(key)
            while self._counts.bytes > self._max_bytes:
                self._forget(next(iter(self._results)))
                self._counts = replace(self._counts, eviction_count=self._counts.eviction_count + 1)
        return True

    def drop(self, frame: Frame) -> None:
        """Drop all results of a frame that was deleted or replaced."""
        self.drop_frame(frame.frame_id)

    def drop_frame(self, frame_id: str) -> None:
        """Drop all results of the frame of an id."""
        with self._lock:
            self._drop_count += 1
            for key in self._keys_of.pop(frame_id, ()):
                self._forget(key)

    def clear(self) -> int:
        """Give everything up and return how many bytes that were."""
        with self._lock:
            given_up = self._counts.bytes
            self._results.clear()
            self._keys_of.clear()
            self._grow(-given_up)
            return given_up

    def counts(self) -> ResultCounts:
        """Return the counts."""
        with self._lock:
            return replace(self._counts, result_count=len(self._results))

    def _forget(self, key: str) -> None:
        result = self._results.pop(key, None)
        if result is None:
            return
        self._grow(-result.bytes)
        for frame_id in result.frame_ids:
            keys = self._keys_of.get(frame_id, set())
            keys.discard(key)
            if not keys:
                self._keys_of.pop(frame_id, None)

    def _grow(self, change: int) -> None:
        self._counts = replace(self._counts, bytes=self._counts.bytes + change)
