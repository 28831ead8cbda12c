"""Chunks of a plan by their position: their frames in the cache, their pointers and progress in the state store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pyarrow as pa
from sluice_rpc import arrow
from sluice_rpc.errors import NotFound
from sluice_rpc.ports import Clock, Ids

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.errors import ChunkTooLarge
from sluice_query_engine.execution.small_frames import put_table
from sluice_query_engine.state import StateStore


class ChunkStore:
    """Keeps chunks under `batch:{prefix}:{hash}:chunk:{idx}` and progress under `batch:{prefix}:{hash}:meta`.

    Args:
        cache: where the rows are.
        state: where pointers and progress are.
        clock: for lives.
        ids: make frame ids unique.
    """

    def __init__(self, cache: FrameCache, state: StateStore, clock: Clock, ids: Ids) -> None:
        self._cache = cache
        self._state = state
        self._clock = clock
        self._ids = ids

    def exists(self, prefix: str, query_hash: str, index: int) -> bool:
        """Return whether the chunk is there."""
        frame_id = self._state.read_chunk(prefix, query_hash, index)
        return frame_id is not None and bool(self._cache.list_frames({"chunk": frame_id}))

    def store(self, prefix: str, query_hash: str, index: int, table: pa.Table, *, ttl_s: float, max_bytes: int) -> None:
        """Keep a chunk; one without rows is kept too, or it could not be told from a missing one.

        Raises:
            ChunkTooLarge: it holds more than `max_bytes`; nothing is kept.
            ServiceError: the cache did not take it.
        """
        if table.nbytes > max_bytes:
            raise ChunkTooLarge(max_bytes)
        frame_id = f"batch-{query_hash}-{self._ids.new()}"
        labels = {"chunk": frame_id, "query_hash": query_hash, "prefix": prefix, "index": str(index)}
        life = timedelta(seconds=ttl_s)
        put_table(self._cache, frame_id, table, labels, now=self._clock.now(), fresh_for=life)
        self._state.write_chunk(prefix, query_hash, index, frame_id, ttl_s)

    def load(self, prefix: str, query_hash: str, index: int) -> pa.Table | None:
        """Return the chunk, or None when it is not, or no longer, there."""
        frame_id = self._state.read_chunk(prefix, query_hash, index)
        if frame_id is None:
            return None
        try:
            with arrow.decode(self._cache.read_frame(frame_id)) as reader:
                return reader.read_all()
        except NotFound:
            return None

    def write_progress(self, prefix: str, query_hash: str, fields: Mapping[str, str], ttl_s: float) -> None:
        """Replace the progress of a plan."""
        self._state.write_progress(prefix, query_hash, fields, ttl_s)

    def read_progress(self, prefix: str, query_hash: str) -> dict[str, str] | None:
        """Return the progress of a plan, or None when nothing is known."""
        return self._state.read_progress(prefix, query_hash)
