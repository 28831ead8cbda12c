"""Leases on chunks: which process reads one now, what the last reader left, and what others are about to read.

The port and its in-memory implementation; what a lease is used for is not known here. Keys are `query:*`, which belong
to the query engine.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sluice_rpc.ports import Clock

LEASE_S: Final = 6.0
"""Life of a lease without a sign of its owner. Whoever waits for a dead owner waits at most this long."""
LANDED_S: Final = 60.0
"""How long the note on a finished chunk is kept; after that the cache itself is asked."""
_MAX_LANDED_COUNT: Final = 10_000


def lease_key(name: str) -> str:
    """Return the key of a lease."""
    return f"query:lease:{name}"


def landed_key(name: str) -> str:
    """Return the key of the note that the last owner left."""
    return f"query:landed:{name}"


def pending_key(subject: str) -> str:
    """Return the key of what is announced on a subject."""
    return f"query:pending:{subject}"


FENCE_KEY: Final = "query:fence"
"""Key of the last fencing number given out."""


class LeasesAway(Exception):
    """Nobody can say who holds what; callers go on as if they were alone."""


@dataclass(frozen=True)
class Lease:
    """The right to do something that nobody else does at the same time.

    Args:
        name: what.
        token: of this owner and this taking.
        fence: greater than that of every lease of any name that was given out before.
    """

    name: str
    token: str
    fence: int


@dataclass(frozen=True)
class Landed:
    """What an owner left when it was done: its record, and its fence to tell newer from older."""

    fence: int
    record: str


@dataclass(frozen=True)
class Sight:
    """What one look at a name shows."""

    held: bool
    landed: Landed | None


class Leases(Protocol):
    """Leases and notes by name. Every method may raise `LeasesAway`, and doing it twice is the same as once."""

    @property
    def degraded(self) -> bool:
        """Nobody could be asked when last tried."""
        ...

    def take(self, name: str, token: str, life_s: float) -> Lease | None:
        """Return the lease, or None while another token holds it."""
        ...

    def renew(self, lease: Lease, life_s: float) -> bool:
        """Prolong the lease; False when it is no longer the owner's."""
        ...

    def release(self, lease: Lease) -> None:
        """Give the lease back; another owner's is left alone."""
        ...

    def land(self, lease: Lease, record: str, keep_s: float) -> bool:
        """Leave a record and give the lease back; False, and nothing happens, when a newer owner was or is there."""
        ...

    def look(self, name: str) -> Sight:
        """Return whether the name is held, and what the last owner left."""
        ...

    def announce(self, subject: str, entries: Sequence[str], life_s: float) -> None:
        """Say that these entries will be there soon; said again, they are prolonged."""
        ...

    def retract(self, subject: str, entries: Sequence[str]) -> None:
        """Say that these entries are no longer on their way."""
        ...

    def announced(self, subject: str) -> list[str]:
        """Return the entries that are on their way, in no order that means anything."""
        ...

    def close(self) -> None:
        """Free connections."""
        ...


@dataclass(frozen=True)
class _Held:
    lease: Lease
    until: float


@dataclass(frozen=True)
class _Note:
    landed: Landed
    until: float


class MemoryLeases:
    """The leases of this process alone, or of several engines in one; what a process without Redis has.

    `away` makes every call fail as if the server were down.

    Args:
        clock: measures lives.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._notes: dict[str, _Note] = {}
        self._pending: dict[str, dict[str, float]] = {}
        self._fence = 0
        # Guards everything above; nothing slow happens under it.
        self._lock = threading.Lock()
        self.away = False

    @property
    def degraded(self) -> bool:
        return self.away

    def take(self, name: str, token: str, life_s: float) -> Lease | None:
        now = self._now()
        with self._lock:
            there = self._alive(name, now)
            if there is not None and there.token != token:
                return None
            if there is None:
                self._fence += 1
                there = Lease(name, token, self._fence)
            self._held[name] = _Held(there, now + life_s)
            return there

    def renew(self, lease: Lease, life_s: float) -> bool:
        now = self._now()
        with self._lock:
            if self._alive(lease.name, now) != lease:
                return False
            self._held[lease.name] = _Held(lease, now + life_s)
            return True

    def release(self, lease: Lease) -> None:
        now = self._now()
        with self._lock:
            if self._alive(lease.name, now) == lease:
                del self._held[lease.name]

    def land(self, lease: Lease, record: str, keep_s: float) -> bool:
        now = self._now()
        with self._lock:
            there, note = self._alive(lease.name, now), self._note(lease.name, now)
            if (there is not None and there != lease) or (note is not None and note.fence > lease.fence):
                return False
            self._notes.pop(lease.name, None)
            self._notes[lease.name] = _Note(Landed(lease.fence, record), now + keep_s)
            self._held.pop(lease.name, None)
            while len(self._notes) > _MAX_LANDED_COUNT:
                del self._notes[next(iter(self._notes))]
            return True

    def look(self, name: str) -> Sight:
        now = self._now()
        with self._lock:
            return Sight(self._alive(name, now) is not None, self._note(name, now))

    def announce(self, subject: str, entries: Sequence[str], life_s: float) -> None:
        now = self._now()
        with self._lock:
            if entries:
                self._pending.setdefault(subject, {}).update(dict.fromkeys(entries, now + life_s))

    def retract(self, subject: str, entries: Sequence[str]) -> None:
        self._now()
        with self._lock:
            there = self._pending.get(subject, {})
            for entry in entries:
                there.pop(entry, None)
            if not there:
                self._pending.pop(subject, None)

    def announced(self, subject: str) -> list[str]:
        now = self._now()
        with self._lock:
            return [entry for entry, until in self._pending.get(subject, {}).items() if until > now]

    def close(self) -> None:
        with self._lock:
            self._held.clear()

    def _now(self) -> float:
        if self.away:
            raise LeasesAway
        return self._clock.monotonic()

    def _alive(self, name: str, now: float) -> Lease | None:
        there = self._held.get(name)
        return there.lease if there is not None and there.until > now else None

    def _note(self, name: str, now: float) -> Landed | None:
        note = self._notes.get(name)
        return note.landed if note is not None and note.until > now else None
