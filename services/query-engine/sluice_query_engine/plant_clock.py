"""The plant's clock, as the warehouse shows it, with a memory for when the warehouse is away."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import Clock
from sluice_warehouse import Warehouse

FRESH_S: Final = 1.0
"""A reading this young is used again, so that the chunks of one query do not each ask."""


class PlantClock:
    """Says what the plant's clock shows; plant-local, without a zone.

    Args:
        warehouse: whose clock it is.
        clock: ages the last reading.
    """

    def __init__(self, warehouse: Warehouse, clock: Clock) -> None:
        self._warehouse = warehouse
        self._clock = clock
        self._last: tuple[datetime, float] | None = None
        self._lock = threading.Lock()

    def roughly_now(self) -> datetime | None:
        """Return the last reading moved on by our own clock, however old; None where there is none to be had.

        For decisions that wait for no warehouse: it is asked only as long as it has never answered.
        """
        with self._lock:
            last = self._last
        if last is not None:
            return last[0] + timedelta(seconds=int(self._clock.monotonic() - last[1]))
        try:
            return self.now()
        except ServiceError:
            return None

    def now(self) -> datetime:
        """Return the plant's time to the second.

        While the warehouse is away, or too slow, this is the last reading moved on by our own clock.

        Raises:
            ServiceError: the warehouse does not say, and was never read.
        """
        with self._lock:
            last = self._last
        monotonic = self._clock.monotonic()
        if last is not None and monotonic - last[1] < FRESH_S:
            return last[0]
        try:
            read = self._warehouse.plant_time().replace(microsecond=0)
        except ServiceError:
            if last is None:
                raise
            return last[0] + timedelta(seconds=int(monotonic - last[1]))
        with self._lock:
            self._last = (read, monotonic)
        return read
