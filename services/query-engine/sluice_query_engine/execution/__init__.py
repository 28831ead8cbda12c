"""Running what was planned: chunks, single flight, progress, merging.

`execute_plan`, `merge_chunks` and `iterate_chunks` run a plan of the caller's own.
"""

from sluice_query_engine.execution.batch_plan import (
    PlanOptions,
    execute_plan,
    get_batch_progress,
    iterate_chunks,
    merge_chunks,
)
from sluice_query_engine.execution.chunk_store import ChunkStore

__all__ = ["ChunkStore", "PlanOptions", "execute_plan", "get_batch_progress", "iterate_chunks", "merge_chunks"]
