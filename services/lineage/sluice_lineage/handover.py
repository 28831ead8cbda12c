"""A bounded hand-over of record batches from the threads that read them to the one that sends them on."""

from __future__ import annotations

import threading
from collections import deque

import pyarrow as pa


class HandOver:
    """A queue that both sides can leave.

    Args:
        writer_count: threads that write.
        capacity: batches that may wait; what a slow reader makes us hold.
    """

    def __init__(self, writer_count: int, capacity: int) -> None:
        self._waiting: deque[pa.RecordBatch] = deque()
        self._writer_count = writer_count
        self._capacity = capacity
        self._open = True
        # Guards everything above, and wakes either side.
        self._changed = threading.Condition()

    @property
    def closed(self) -> bool:
        """Whether nobody reads any more."""
        return not self._open

    def put(self, batch: pa.RecordBatch, timeout_s: float | None = None) -> bool:
        """Hand a batch over; False once nobody reads any more, or when there was no room in time."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open or len(self._waiting) < self._capacity, timeout_s)
            if not self._open or len(self._waiting) >= self._capacity:
                return False
            self._waiting.append(batch)
            self._changed.notify_all()
            return True

    def leave(self) -> None:
        """Say that one writer has written its last."""
        with self._changed:
            self._writer_count -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Stop reading: what waits is dropped, and writers are told with their next batch."""
        with self._changed:
            self._open = False
            self._waiting.clear()
            self._changed.notify_all()

    def get(self) -> pa.RecordBatch | None:
        """Return the next batch; None once every writer has left, or the reading was closed."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or not self._open or self._writer_count == 0)
            if not self._waiting:
                return None
            batch = self._waiting.popleft()
            self._changed.notify_all()
            return batch
