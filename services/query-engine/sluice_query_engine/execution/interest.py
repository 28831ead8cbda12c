"""Who still wants a query: callers that started it, watchers, and looks that count for a while."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long a query goes on without anybody looking.

    Args:
        after_look_s: seconds after a start or a look; who polls has to come back within it.
        after_watch_s: seconds after the last watcher left; a connection that broke is back by then.
    """

    after_look_s: float
    after_watch_s: float


class Interest:
    """Interest in one query. Not thread-safe: the query's own lock guards it.

    Args:
        patience: how long a query goes on alone.
        now: monotonic seconds; its starter is the first to look.
    """

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._starter_count = 1
        self._watcher_count = 0
        self._seen = now
        self._wanted_until = now + patience.after_look_s

    def start(self, now: float) -> None:
        """One more caller started it."""
        self._starter_count += 1
        self.look(now)

    def look(self, now: float) -> None:
        """Somebody looked."""
        self._seen = now
        self._wanted_until = max(self._wanted_until, now + self._patience.after_look_s)

    def watch(self) -> None:
        """Somebody watches from now on; a single caller is then known to be there by the watching alone."""
        self._watcher_count += 1
        if self._starter_count <= 1:
            self._wanted_until = 0.0

    def leave(self, now: float) -> None:
        """Somebody no longer watches."""
        self._watcher_count -= 1
        self._seen = now
        self._wanted_until = max(self._wanted_until, now + self._patience.after_watch_s)

    def withdraw(self) -> bool:
        """One caller no longer wants it; return whether nobody else does.

        Who withdraws has usually started it, and may watch it at this moment.
        """
        self._starter_count -= 1
        return self._starter_count <= 0 and self._watcher_count <= 1

    def idle_s(self, now: float) -> float:
        """Return seconds since somebody last looked; 0 while somebody watches."""
        return 0.0 if self._watcher_count else now - self._seen

    def lost(self, now: float) -> bool:
        """Return whether nobody wants it any more."""
        return self._watcher_count <= 0 and now > self._wanted_until
