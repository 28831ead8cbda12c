"""Single flight: many callers, one piece of work, for the moment it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from sluice_rpc.errors import QueryTimeout

Result = TypeVar("Result")


class SingleFlight:
    """Runs at most one piece of work per key at a time; whoever comes meanwhile waits and then does it alone.

    The work is expected to find out cheaply that it was already done, so results are not handed from thread to thread.
    """

    def __init__(self) -> None:
        # Guards the map; the lock of a key lives while somebody holds or wants it.
        self._lock = threading.Lock()
        self._keys: dict[str, tuple[threading.Lock, int]] = {}

    def run(self, key: str, work: Callable[[], Result | None], timeout_s: float = -1.0) -> Result | None:
        """Return what `work` returns, with no other work of the same key at the same time.

        Args:
            key: what the work is about.
            work: called once the caller's turn has come.
            timeout_s: how long to wait for that; negative waits for as long as it takes.

        Raises:
            QueryTimeout: the turn did not come in time.
        """
        with self._lock:
            own, users = self._keys.get(key, (threading.Lock(), 0))
            self._keys[key] = (own, users + 1)
        try:
            if not own.acquire(timeout=timeout_s):
                raise QueryTimeout("the same work of another caller did not end in time")
            try:
                return work()
            finally:
                own.release()
        finally:
            with self._lock:
                own, users = self._keys[key]
                if users == 1:
                    del self._keys[key]
                else:
                    self._keys[key] = (own, users - 1)
