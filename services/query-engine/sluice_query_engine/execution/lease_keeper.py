"""Keeps the leases of this process alive, and tells who holds one when it is lost; one thread for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import structlog
from sluice_rpc.ports import Clock

from sluice_query_engine.leases import LEASE_S, Lease, Leases, LeasesAway

log = structlog.get_logger()

_BEATS_PER_LIFE: Final = 4
"""Three beats may be lost before a lease is."""


class LeaseLost(Exception):
    """Somebody else may have what this process believed to hold; its own result must not be kept."""


class Hold:
    """A lease while it is kept: its fence now, and whether it was lost.

    Args:
        lease: as it was taken.
        until: monotonic second after which it is no longer prolonged, so that a thread that hangs blocks nobody.
        on_lost: called once, from the keeper's thread, when it is lost.
    """

    def __init__(self, lease: Lease, until: float, on_lost: Callable[[], None]) -> None:
        self.lease = lease
        self.until = until
        self.lost = False
        self.ended = threading.Event()
        """Its owner has given it back; a beat that was under way then must not take it again."""
        self.on_lost = on_lost


class LeaseKeeper:
    """Prolongs what is held, four times in a life.

    A lease that vanished because the server came back empty is taken again, unless somebody was faster. While the
    server is away nothing is lost: nobody else can take the lease either.

    Args:
        leases: where they are.
        clock: measures how long a lease is prolonged at most.
        life_s: life of a lease without a beat.
    """

    def __init__(self, leases: Leases, clock: Clock, life_s: float = LEASE_S) -> None:
        self._leases = leases
        self._clock = clock
        self._life_s = life_s
        self._holds: dict[Hold, None] = {}
        self._announced: dict[tuple[str, str], None] = {}
        # Guards both; the server is asked outside it.
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._beating = threading.Thread(target=self._run, name="lease-beat", daemon=True)
        self._beating.start()

    @contextmanager
    def keeping(self, lease: Lease, longest_s: float, on_lost: Callable[[], None]) -> Iterator[Hold]:
        """Prolong a lease inside, for at most so many seconds; it is given back on leaving, however that happens."""
        hold = Hold(lease, self._clock.monotonic() + longest_s, on_lost)
        with self._lock:
            self._holds[hold] = None
        try:
            yield hold
        finally:
            with self._lock:
                self._holds.pop(hold, None)
                hold.ended.set()
            with suppress(LeasesAway):
                self._leases.release(hold.lease)

    def confirm(self, hold: Hold) -> int:
        """Return the fence of what is held, after asking whether it is held still.

        Raises:
            LeaseLost: it is not.
        """
        self._renew(hold)
        if hold.lost:
            raise LeaseLost
        return hold.lease.fence

    def announce(self, subject: str, entries: Sequence[str]) -> None:
        """Announce entries, and go on doing so until they are retracted."""
        with self._lock:
            self._announced.update(dict.fromkeys((subject, entry) for entry in entries))
        with suppress(LeasesAway):
            self._leases.announce(subject, entries, self._life_s)

    def retract(self, subject: str, entries: Sequence[str]) -> None:
        """Announce entries no longer."""
        with self._lock:
            for entry in entries:
                self._announced.pop((subject, entry), None)
        with suppress(LeasesAway):
            self._leases.retract(subject, entries)

    def beat(self) -> None:
        """Prolong everything once."""
        with self._lock:
            holds = list(self._holds)
            subjects: dict[str, list[str]] = {}
            for subject, entry in self._announced:
                subjects.setdefault(subject, []).append(entry)
        for hold in holds:
            if not hold.lost and self._clock.monotonic() < hold.until:
                self._renew(hold)
        for subject, entries in subjects.items():
            self._repeat(subject, entries)

    def _repeat(self, subject: str, entries: Sequence[str]) -> None:
        with suppress(LeasesAway):
            self._leases.announce(subject, entries, self._life_s)
            with self._lock:
                gone = [entry for entry in entries if (subject, entry) not in self._announced]
            # Retracted since the beat began: announced again, it would bend others' plans for a whole life. Whoever
            # announces the same in this moment is heard again with the next beat.
            if gone:
                self._leases.retract(subject, gone)

    def close(self) -> None:
        """Prolong nothing any more."""
        self._stopping.set()
        self._beating.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._life_s / _BEATS_PER_LIFE):
            self.beat()

    def _renew(self, hold: Hold) -> None:
        try:
            if self._leases.renew(hold.lease, self._life_s):
                return
            if hold.ended.is_set():
                return
            again = self._leases.take(hold.lease.name, hold.lease.token, self._life_s)
            if hold.ended.is_set():
                if again is not None:
                    self._leases.release(again)
                return
            landed = self._leases.look(hold.lease.name).landed
            if again is not None and (landed is None or landed.fence <= hold.lease.fence):
                hold.lease = again
                return
            if again is not None:
                self._leases.release(again)
        except LeasesAway:
            return
        log.warning("lease lost", lease=hold.lease.name)
        hold.lost = True
        hold.on_lost()
