"""A watch over one running statement: ends it at its deadline or when somebody cancels, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

Reason: TypeAlias = Literal["cancelled", "timeout"]

_FIRST_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.5


class StatementWatch:
    """Interrupts until the statement has ended, since an interrupt that comes between two rows may be lost.

    Args:
        deadline_s: seconds from now until the statement is interrupted.
        interrupt: ends what the session does at this moment; never called after `end` has returned.
    """

    def __init__(self, deadline_s: float, interrupt: Callable[[], None]) -> None:
        self._until = time.monotonic() + deadline_s
        self._interrupt = interrupt
        # Protects the fields below and keeps `interrupt` away from a session that is being closed.
        self._changed = threading.Condition()
        self._reason: Reason | None = None
        self._ended = False
        threading.Thread(target=self._watch, name="statement-watch", daemon=True).start()

    @property
    def reason(self) -> Reason | None:
        """Why the statement is to end, or None while it may run."""
        with self._changed:
            self._notice_deadline()
            return self._reason

    def cancel(self) -> None:
        """Ask for the end; the first reason stays."""
        with self._changed:
            if not self._ended and self._reason is None:
                self._reason = "cancelled"
                self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Return after the time, or as soon as there is a reason to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._reason is not None, seconds)

    def end(self) -> None:
        """Stop watching; the statement has ended or is about to be closed."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _watch(self) -> None:
        with self._changed:
            left_s = max(0.0, self._until - time.monotonic())
            self._changed.wait_for(lambda: self._ended or self._reason is not None, left_s)
            if not self._ended and self._reason is None:
                self._reason = "timeout"
                self._changed.notify_all()
            pause_s = _FIRST_PAUSE_S
            while not self._ended:
                self._interrupt()
                self._changed.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _notice_deadline(self) -> None:
        if not self._ended and self._reason is None and time.monotonic() >= self._until:
            self._reason = "timeout"
            self._changed.notify_all()
