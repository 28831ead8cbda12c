"""Which edge store requests use: one for all, replaced by an empty one when it has grown too large."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from sluice_lineage.edge_memory import MemoryEdges
from sluice_lineage.edges import EdgeStore

log = structlog.get_logger()


class EdgeStores:
    """Hands out the store. A request keeps the one it began with.

    Args:
        make: makes an empty one.
        max_bytes: a store larger than this is replaced before the next request.
    """

    def __init__(self, make: Callable[[], MemoryEdges], *, max_bytes: int) -> None:
        self._make = make
        self._max_bytes = max_bytes
        # Guards the present store, so that no two requests replace it at once.
        self._lock = threading.Lock()
        self._memory = make()

    def current(self) -> EdgeStore:
        """Return the store for a request that begins."""
        with self._lock:
            if self._memory.nbytes > self._max_bytes:
                log.warning("kept edges are dropped, they grew too large", max_bytes=self._max_bytes)
                self._memory = self._make()
            return self._memory
