"""Permits: the right to run one statement on the warehouse now. The protocol, and the share a process has to itself.

Whoever waits longest is served first.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from sluice_warehouse.errors import PermitsExhausted, StatementCancelled

WITHDRAWAL_CHECK_S: Final = 0.05
"""How soon a waiter notices that nobody wants its statement any more."""


@dataclass(frozen=True)
class PermitsSnapshot:
    """The permits at one moment."""

    total_count: int
    available_count: int
    waiting_count: int
    holders: tuple[str, ...]
    """Who holds one, in the order they got it."""


class Permit(Protocol):
    """One permit; a context manager that gives it back, once, however it is left."""

    def release(self) -> None:
        """Give it back; harmless when repeated."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Permits(Protocol):
    """Hands out permits, never more at once than there are."""

    @property
    def available_count(self) -> int:
        """Permits that could be taken now."""
        ...

    def acquire(self, timeout_s: float, who: str, withdrawn: threading.Event | None = None) -> Permit:
        """Wait for a permit and return it.

        Args:
            timeout_s: longest wait in seconds; 0 asks without waiting.
            who: shown to operators while it is held.
            withdrawn: set by the caller from elsewhere when the permit is no longer wanted.

        Raises:
            PermitsExhausted: none came free in time.
            StatementCancelled: `withdrawn` was set first.
        """
        ...

    def snapshot(self) -> PermitsSnapshot:
        """Return who holds and how many wait."""
        ...


class LocalPermits:
    """The permits of one process: its own share, which no other process can take.

    Args:
        total: how many there are, at least 1.
    """

    def __init__(self, total: int) -> None:
        if total < 1:
            raise ValueError(f"a process needs at least one permit, not {total}")
        self._total = total
        # Protects everything below; waiters sleep on it.
        self._changed = threading.Condition()
        self._held: dict[_LocalPermit, None] = {}
        self._waiting: deque[object] = deque()

    @property
    def available_count(self) -> int:
        with self._changed:
            return self._total - len(self._held)

    def acquire(self, timeout_s: float, who: str, withdrawn: threading.Event | None = None) -> Permit:
        start = time.monotonic()
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                self._wait_for_turn(turn, start + timeout_s, withdrawn, who)
                if not self._is_turn(turn):
                    raise PermitsExhausted(self._total, round(time.monotonic() - start, 3))
                permit = _LocalPermit(self, who)
                self._held[permit] = None
                return permit
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()

    def snapshot(self) -> PermitsSnapshot:
        with self._changed:
            holders = tuple(permit.who for permit in self._held)
            return PermitsSnapshot(self._total, self._total - len(holders), len(self._waiting), holders)

    def _wait_for_turn(self, turn: object, until: float, withdrawn: threading.Event | None, who: str) -> None:
        while True:
            if withdrawn is not None and withdrawn.is_set():
                raise StatementCancelled(who)
            left_s = until - time.monotonic()
            if self._is_turn(turn) or left_s <= 0:
                return
            self._changed.wait(left_s if withdrawn is None else min(left_s, WITHDRAWAL_CHECK_S))

    def _is_turn(self, turn: object) -> bool:
        return len(self._held) < self._total and self._waiting[0] is turn

    def _give_back(self, permit: _LocalPermit) -> None:
        with self._changed:
            self._held.pop(permit, None)
            self._changed.notify_all()


class _LocalPermit:
    def __init__(self, permits: LocalPermits, who: str) -> None:
        self._permits = permits
        self.who = who

    def release(self) -> None:
        self._permits._give_back(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
