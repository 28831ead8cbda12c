"""How often one client may write: a window of a minute, counted in this process, of which there is one."""

from __future__ import annotations

from sluice_rpc.errors import ResourceExhausted
from sluice_rpc.ports import Clock

WINDOW_S = 60.0


class WroteTooOften(ResourceExhausted):
    """The client wrote more often than it may; the next window begins in `retry_after_s`."""

    reason = "RATE_LIMITED"

    def __init__(self, limit: int, retry_after_s: float) -> None:
        super().__init__(
            f"more than {limit:,} views or links in a minute; wait and save again",
            retry_after_s=retry_after_s,
            limit=limit,
        )


class WriteRate:
    """Counts what each client writes; all counts begin anew together, so that they never outgrow one window.

    Args:
        limit: writes of one client in a minute.
        clock: for the windows.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._began = clock.monotonic()
        self._counts: dict[str, int] = {}

    def take(self, client: str) -> None:
        """Count a write.

        Raises:
            WroteTooOften: it is one too many.
        """
        passed = self._clock.monotonic() - self._began
        if passed >= WINDOW_S:
            self._began, passed = self._clock.monotonic(), 0.0
            self._counts.clear()
        count = self._counts.get(client, 0)
        if count >= self._limit:
            raise WroteTooOften(self._limit, WINDOW_S - passed)
        self._counts[client] = count + 1
