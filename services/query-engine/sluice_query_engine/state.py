"""What is known of running and finished queries outside this process: progress, chunk pointers, records, signals.

The port and its in-memory implementation. Keys are the suite's: `batch:*` and `query:*` belong to the query engine.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from sluice_rpc.ports import Clock

MAX_ENTRY_COUNT = 20_000
"""Entries the memory keeps; the oldest go first."""


def progress_key(dataset: str, query_id: str) -> str:
    """Return the key of a query's progress hash."""
    return f"batch:{dataset}:{query_id}:meta"


def chunk_key(dataset: str, query_id: str, index: int) -> str:
    """Return the key of the pointer to a chunk's frame."""
    return f"batch:{dataset}:{query_id}:chunk:{index}"


def query_key(query_id: str) -> str:
    """Return the key of a query's record."""
    return f"query:{query_id}"


def signal_key(query_id: str, signal: Signal) -> str:
    """Return the key under which a signal waits for the process that runs a query."""
    return f"query:{query_id}:{signal.value}"


class Signal(Enum):
    """What a caller of one process wants of a query that another runs."""

    SEEN = "seen"
    """Somebody looked."""
    WITHDRAWN = "withdrawn"
    """One caller no longer wants it."""
    CANCELLED = "cancelled"
    """It shall end whoever wants it."""


class StateStore(Protocol):
    """Small facts by key, each with a life of its own. Nothing here raises when the store is away."""

    def write_progress(self, dataset: str, query_id: str, fields: Mapping[str, str], ttl_s: float) -> None:
        """Replace the progress of a query."""
        ...

    def read_progress(self, dataset: str, query_id: str) -> dict[str, str] | None:
        """Return the progress of a query, or None where nothing is known."""
        ...

    def write_chunk(self, dataset: str, query_id: str, index: int, frame_id: str, ttl_s: float) -> None:
        """Point at the frame of a chunk."""
        ...

    def read_chunk(self, dataset: str, query_id: str, index: int) -> str | None:
        """Return the frame id of a chunk, or None."""
        ...

    def write_query(self, query_id: str, record: str, ttl_s: float) -> None:
        """Replace the record of a query, a JSON text."""
        ...

    def read_query(self, query_id: str) -> str | None:
        """Return the record of a query, or None."""
        ...

    def send(self, query_id: str, signal: Signal, ttl_s: float) -> None:
        """Leave a signal for the process that runs the query; each counts."""
        ...

    def heard(self, query_id: str) -> dict[Signal, int]:
        """Return how often each signal was left, and take them away."""
        ...

    def close(self) -> None:
        """Free connections."""
        ...


@dataclass(frozen=True)
class _Entry:
    value: str | dict[str, str]
    until: float


class MemoryState:
    """The state inside this process; what a process without Redis has."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        # Guards the entries; nothing slow happens under it.
        self._lock = threading.RLock()

    def write_progress(self, dataset: str, query_id: str, fields: Mapping[str, str], ttl_s: float) -> None:
        self._write(progress_key(dataset, query_id), dict(fields), ttl_s)

    def read_progress(self, dataset: str, query_id: str) -> dict[str, str] | None:
        value = self._read(progress_key(dataset, query_id))
        return dict(value) if isinstance(value, dict) else None

    def write_chunk(self, dataset: str, query_id: str, index: int, frame_id: str, ttl_s: float) -> None:
        self._write(chunk_key(dataset, query_id, index), frame_id, ttl_s)

    def read_chunk(self, dataset: str, query_id: str, index: int) -> str | None:
        return self._text(chunk_key(dataset, query_id, index))

    def write_query(self, query_id: str, record: str, ttl_s: float) -> None:
        self._write(query_key(query_id), record, ttl_s)

    def read_query(self, query_id: str) -> str | None:
        return self._text(query_key(query_id))

    def send(self, query_id: str, signal: Signal, ttl_s: float) -> None:
        key = signal_key(query_id, signal)
        with self._lock:
            count = int(self._text(key) or 0)
            self._write(key, str(count + 1), ttl_s)

    def heard(self, query_id: str) -> dict[Signal, int]:
        with self._lock:
            counts = {signal: int(self._text(signal_key(query_id, signal)) or 0) for signal in Signal}
            for signal in Signal:
                self._entries.pop(signal_key(query_id, signal), None)
            return counts

    def close(self) -> None:
        with self._lock:
            self._entries.clear()

    def _write(self, key: str, value: str | dict[str, str], ttl_s: float) -> None:
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = _Entry(value, self._clock.monotonic() + ttl_s)
            while len(self._entries) > MAX_ENTRY_COUNT:
                del self._entries[next(iter(self._entries))]

    def _read(self, key: str) -> str | dict[str, str] | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.until <= self._clock.monotonic():
                self._entries.pop(key, None)
                return None
            return entry.value

    def _text(self, key: str) -> str | None:
        value = self._read(key)
        return value if isinstance(value, str) else None
