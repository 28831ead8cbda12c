"""A plan of chunks with a query function of the caller's own, over the same pool, store and progress as queries.

Datasets run through the coordinator; this is for callers who bring their chunks and their reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pyarrow as pa
import structlog
from sluice_rpc.errors import ServiceError
from sluice_warehouse.permits import Permits

from sluice_query_engine.errors import ChunksMissing
from sluice_query_engine.execution.chunk_store import ChunkStore
from sluice_query_engine.execution.executors import Finished, effective_parallel, run_bounded
from sluice_query_engine.execution.progress import BatchProgress
from sluice_query_engine.planning.query_hash import compute_query_hash

log = structlog.get_logger()

Chunk = Mapping[str, object]
MAX_CHUNK_BYTES = 256 << 20


class QueryFunction(Protocol):
    """Reads one chunk."""

    def __call__(self, chunk: Chunk, *, max_rows_per_chunk: int | None) -> pa.Table:
        """Return the rows of the chunk, at most that many; without rows it is a table without rows, never None."""
        ...


@dataclass(frozen=True)
class PlanOptions:
    """Limits of a plan.

    Args:
        max_rows_per_chunk: handed to the query function for its `fetch first n rows only`; a chunk that reaches it
            counts as truncated.
        max_chunk_bytes: a larger chunk is discarded and failed.
        permits: one of them is left for everybody else; None bounds the plan by `parallel` alone.
    """

    max_rows_per_chunk: int | None = None
    max_chunk_bytes: int = MAX_CHUNK_BYTES
    permits: Permits | None = None


def execute_plan(
    chunks: Sequence[Chunk],
    query_fn: QueryFunction,
    parallel: int = 1,
    query_hash: str | None = None,
    *,
    store: ChunkStore,
    skip_cached: bool = True,
    cache_prefix: str = "",
    chunk_ttl: int = 900,
    options: PlanOptions | None = None,
) -> str:
    """Read every chunk into the store and return the query hash; one that fails is marked, the rest goes on.

    Args:
        chunks: what to read, for example from `decompose_by_time_range`.
        query_fn: reads one chunk.
        parallel: chunks at once; bounded by the chunks there are and by the free permits less one.
        query_hash: names the plan; None takes the hash of the chunks, so equal chunks must then mean equal filters.
        store: where chunks and progress go.
        skip_cached: leave out chunks that are there; they count as completed.
        cache_prefix: first part of the keys, usually the dataset.
        chunk_ttl: seconds that chunks and progress are kept.
        options: limits.
    """
    limits = options or PlanOptions()
    name = query_hash or compute_query_hash({"chunks": [dict(chunk) for chunk in chunks]})
    missing = [index for index in range(len(chunks)) if not (skip_cached and store.exists(cache_prefix, name, index))]
    tally = _Tally(chunks, store, cache_prefix, name, chunk_ttl, completed_count=len(chunks) - len(missing))
    tally.write(ended=not missing)

    def read(index: int) -> bool:
        table = query_fn(chunks[index], max_rows_per_chunk=limits.max_rows_per_chunk)
        store.store(cache_prefix, name, index, table, ttl_s=chunk_ttl, max_bytes=limits.max_chunk_bytes)
        return limits.max_rows_per_chunk is not None and table.num_rows >= limits.max_rows_per_chunk

    for finished in run_bounded([partial(read, index) for index in missing], _width(limits, parallel, len(missing))):
        tally.count(missing[finished.index], finished)
    tally.write(ended=True)
    return name


def _width(limits: PlanOptions, parallel: int, missing_count: int) -> int:
    free_count = limits.permits.available_count if limits.permits else parallel + 1
    return effective_parallel(parallel, free_count, missing_count)


def merge_chunks(cache_prefix: str, query_hash: str, *, store: ChunkStore) -> pa.Table:
    """Return the rows of all chunks in chunk order, as one table.

    Raises:
        ChunksMissing: the plan is not known, has no chunks, or a chunk is not there; an empty table never stands for
            one that is missing.
        pyarrow.ArrowInvalid: chunks differ in their columns.
    """
    tables = list(iterate_chunks(cache_prefix, query_hash, store=store))
    if not tables:
        raise ChunksMissing(query_hash, ())
    return pa.concat_tables(tables)


def iterate_chunks(cache_prefix: str, query_hash: str, *, store: ChunkStore) -> Iterator[pa.Table]:
    """Yield the chunks in order, one in memory at a time. Raises ChunksMissing, before the first or where it is met."""
    progress = store.read_progress(cache_prefix, query_hash)
    if progress is None:
        raise ChunksMissing(query_hash, ())
    total = int(progress["total"])
    gone = tuple(index for index in range(total) if not store.exists(cache_prefix, query_hash, index))
    if gone:
        raise ChunksMissing(query_hash, gone)
    for index in range(total):
        table = store.load(cache_prefix, query_hash, index)
        if table is None:
            raise ChunksMissing(query_hash, (index,))
        yield table


def get_batch_progress(cache_prefix: str, query_hash: str, *, store: ChunkStore) -> dict[str, str] | None:
    """Return the progress of a plan as it stands in the store, all values as text, or None."""
    return store.read_progress(cache_prefix, query_hash)


class _Tally:
    """Counts how the chunks of a plan ended, and writes it after each."""

    def __init__(
        self,
        chunks: Sequence[Chunk],
        store: ChunkStore,
        prefix: str,
        query_hash: str,
        ttl_s: float,
        *,
        completed_count: int,
    ) -> None:
        self._chunks = chunks
        self._store = store
        self._prefix = prefix
        self._query_hash = query_hash
        self._ttl_s = ttl_s
        self._failed: list[int] = []
        self._truncated_count = 0
        self._completed_count = completed_count

    def count(self, index: int, finished: Finished[bool]) -> None:
        if finished.error is None:
            self._completed_count += 1
            self._truncated_count += bool(finished.result)
        else:
            self._failed.append(index)
            reason = finished.error.reason if isinstance(finished.error, ServiceError) else "INTERNAL"
            log.warning("chunk failed", prefix=self._prefix, query_hash=self._query_hash, index=index, reason=reason)
        self.write(ended=False)

    def write(self, *, ended: bool) -> None:
        progress = BatchProgress(
            total=len(self._chunks),
            completed=self._completed_count,
            failed=len(self._failed),
            ended=ended,
            failed_ranges=[
                {"start": str(chunk["chunk_start"]), "end": str(chunk["chunk_end"])}
                for chunk in (self._chunks[index] for index in sorted(self._failed))
                if "chunk_start" in chunk
            ],
        )
        fields = {**progress.fields(), "truncated_chunk_count": str(self._truncated_count)}
        self._store.write_progress(self._prefix, self._query_hash, fields, self._ttl_s)
