"""Running what was planned: chunks, single flight, progress, merging.

`execute_plan`, `merge_chunks` and `iterate_chunks` run a plan of the caller's own; `merge_query` and `iterate_query`
read what the query of a dataset brought.
"""

from sluice_query_engine.execution.batch_plan import (
    PlanOptions,
    execute_plan,
    get_batch_progress,
    iterate_chunks,
    merge_chunks,
)
from sluice_query_engine.execution.chunk_store import ChunkStore
from sluice_query_engine.execution.query_tables import QueryChunk, iterate_query, merge_query

__all__ = [
    "ChunkStore",
    "PlanOptions",
    "QueryChunk",
    "execute_plan",
    "get_batch_progress",
    "iterate_chunks",
    "iterate_query",
    "merge_chunks",
    "merge_query",
]
