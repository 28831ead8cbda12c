"""The circuit breaker: whether a warehouse that failed repeatedly is asked at all. A state machine, nothing else.

Closed, everybody is let through and the latest results are judged. Open, nobody is, for a while. Half open, exactly one
probe is; its result closes the breaker or opens it again. What counts as a failure is for `guarded` to say.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from sluice_rpc.ports import Clock

from sluice_warehouse.errors import CircuitOpen

State: TypeAlias = Literal["closed", "open", "half_open"]


@dataclass(frozen=True)
class BreakerRule:
    """When the breaker opens, and for how long.

    Args:
        failure_threshold: failures in the window from which it may open.
        failure_rate: share of failures in the window from which it opens.
        recovery_s: how long it stays open before a probe.
        window_size: latest results that are judged.
        enabled: False lets everybody through, always; results are still counted.
    """

    failure_threshold: int = 5
    failure_rate: float = 0.5
    recovery_s: float = 30.0
    window_size: int = 10
    enabled: bool = True


@dataclass(frozen=True)
class BreakerSnapshot:
    """The breaker at one moment."""

    state: State
    failure_count: int
    success_count: int
    total_count: int
    window_size: int
    failure_rate: float
    """Two decimals; 0 while the window is empty."""
    last_failure_time: datetime | None
    open_for_s: float
    """Seconds until a probe is let through; 0 unless open."""
    enabled: bool


class Passage:
    """One request that was let through; tells the breaker how it went."""

    def __init__(self, breaker: Breaker, round_number: int, *, probe: bool) -> None:
        self._breaker = breaker
        self.round_number = round_number
        self.probe = probe

    def succeeded(self) -> None:
        """The warehouse answered, whatever it said."""
        self._breaker._note(self, failed=False)

    def failed(self) -> None:
        """The warehouse was not there; may follow on a success of the same request."""
        self._breaker._note(self, failed=True)

    def left(self) -> None:
        """Whoever asked went away before anything was known, so that another one may probe; harmless afterwards."""
        self._breaker._leave(self)


class Breaker:
    """Lets requests through or refuses them; may be used from several threads at once.

    Args:
        rule: when it opens.
        clock: for how long it is open, and when the last failure was.
        on_change: told of each new state, never under the lock.
    """

    def __init__(self, rule: BreakerRule, clock: Clock, on_change: Callable[[State], None] = lambda _: None) -> None:
        self._rule = rule
        self._clock = clock
        self._on_change = on_change
        # Protects what follows, and nothing is called while it is held.
        self._lock = threading.Lock()
        self._state: State = "closed"
        self._window: deque[bool] = deque(maxlen=rule.window_size)
        self._open_until = 0.0
        self._last_failure_time: datetime | None = None
        # Counts states, so that a request of an earlier one, which ends late, does not decide about this one.
        self._round = 0
        self._probe: Passage | None = None

    def admit(self) -> Passage:
        """Let a request through.

        Raises:
            CircuitOpen: the breaker is open, or its one probe is under way.
        """
        now = self._clock.monotonic()
        with self._lock:
            passage, changed = self._admitted(now)
        if changed:
            self._on_change("half_open")
        if passage is None:
            raise CircuitOpen
        return passage

    def snapshot(self) -> BreakerSnapshot:
        """Return the state and what it is judged by."""
        now = self._clock.monotonic()
        with self._lock:
            failures, total = sum(self._window), len(self._window)
            return BreakerSnapshot(
                state=self._state,
                failure_count=failures,
                success_count=total - failures,
                total_count=total,
                window_size=self._rule.window_size,
                failure_rate=round(failures / total, 2) if total else 0.0,
                last_failure_time=self._last_failure_time,
                open_for_s=max(0.0, self._open_until - now) if self._state == "open" else 0.0,
                enabled=self._rule.enabled,
            )

    def _admitted(self, now: float) -> tuple[Passage | None, bool]:
        if self._state == "closed" or not self._rule.enabled:
            return Passage(self, self._round, probe=False), False
        changed = self._state == "open" and now >= self._open_until
        if changed:
            self._enter("half_open")
        if self._state == "open" or self._probe is not None:
            return None, False
        self._probe = Passage(self, self._round, probe=True)
        return self._probe, changed

    def _note(self, passage: Passage, *, failed: bool) -> None:
        now, time = self._clock.monotonic(), self._clock.now()
        with self._lock:
            if failed:
                self._last_failure_time = time
            before = self._state
            if passage.round_number == self._round:
                self._judge(passage, now, failed=failed)
            after = self._state
        if after != before:
            self._on_change(after)

    def _judge(self, passage: Passage, now: float, *, failed: bool) -> None:
        if passage.probe:
            self._enter("open" if failed else "closed")
        else:
            self._window.append(failed)
            failures = sum(self._window)
            enough = failures >= self._rule.failure_threshold
            if failed and self._rule.enabled and enough and failures >= self._rule.failure_rate * len(self._window):
                self._enter("open")
        if self._state == "open":
            self._open_until = now + self._rule.recovery_s

    def _leave(self, passage: Passage) -> None:
        with self._lock:
            if self._probe is passage:
                self._probe = None

    def _enter(self, state: State) -> None:
        self._state = state
        self._round += 1
        self._probe = None
        if state == "closed":
            self._window.clear()
