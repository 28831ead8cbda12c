"""How many domains of one request are read at once, so that a trace of seven does not take every permit there is.

A request goes by its id, which whoever asks for several domains hands on with each call.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sluice_warehouse.errors import StatementTimeout

from sluice_lineage.callers import Caller


class Turns:
    """Lets domains be read in turn.

    Args:
        at_once: domains of one request that are read at once.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        # Guards the counts, and wakes whoever waits for a turn.
        self._changed = threading.Condition()
        self._running: Counter[str] = Counter()

    @contextmanager
    def turn(self, domain: str, caller: Caller) -> Iterator[None]:
        """Hold a turn for as long as the block runs; without waiting any longer once nobody wants the answer.

        Raises:
            StatementTimeout: the caller's time was over before its turn came.
        """
        waited_s = caller.left_s
        with caller.withdrawal.cancels(self), self._changed:
            if not self._changed.wait_for(lambda: self._is_free(caller), waited_s):
                raise StatementTimeout(domain, waited_s)
            self._running[caller.client_id] += 1
        try:
            yield
        finally:
            with self._changed:
                self._running[caller.client_id] -= 1
                # Ids of requests never come again.
                self._running += Counter()
                self._changed.notify_all()

    def cancel(self) -> None:
        """Let all who wait look whether they still have to."""
        with self._changed:
            self._changed.notify_all()

    def _is_free(self, caller: Caller) -> bool:
        return caller.withdrawal.event.is_set() or self._running[caller.client_id] < self._at_once
