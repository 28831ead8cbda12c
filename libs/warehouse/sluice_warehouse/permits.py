"""Permits: the right to run one statement on the warehouse now. The protocol, and the permits of one process.

A process has a share that nobody else can take, and may be given leases beyond it. Whoever waits longest is served
first. A permit whose statement is not known to have ended is in quarantine: it counts as held until the statement's
deadline, or until it was given back if that is later, and a margin beyond: a server that heard neither a cancel nor
the end of the connection goes on past the one.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

import structlog

from sluice_warehouse.errors import PermitsExhausted, StatementCancelled
from sluice_warehouse.permit_leases import Demand, Lease, Leases, LeaseState

log = structlog.get_logger()

LONGEST_HOLD_S: Final = 300.0
"""Longest time between a grant and the deadline of the statement under it, so the longest that one runs."""
MARGIN_S: Final = 30.0
"""How far past its statement's deadline a permit stays in quarantine: time for a server to notice that it is alone."""
CHECK_S: Final = 0.05
"""How soon a waiter notices that nobody wants its statement any more, or that a lost permit was found."""
CLOSING_WAIT_S: Final = 0.5
"""How long the last readers may take to give back once the warehouse has ended their statements."""


@dataclass(frozen=True)
class HeldPermit:
    """One permit that is held."""

    who: str
    leased: bool
    quarantined: bool
    """Its statement is not known to have ended."""
    held_s: float


@dataclass(frozen=True)
class PermitsSnapshot:
    """The permits of this process at one moment."""

    total_count: int
    """The share, leases held, and leases that were free when last heard."""
    available_count: int
    waiting_count: int
    holders: tuple[str, ...]
    """Who holds one, in the order they got it."""
    held: tuple[HeldPermit, ...] = ()
    """The same with what is known of each."""
    share_count: int = 0
    lease_state: LeaseState = "none"
    """How things stand with the ledger of leases."""
    grace_left_s: float = 0.0
    """Seconds until leases are granted again, as last heard."""

    @property
    def quarantined_count(self) -> int:
        """Permits whose statement is not known to have ended."""
        return sum(permit.quarantined for permit in self.held)

    @property
    def leased_count(self) -> int:
        """Leases held."""
        return sum(permit.leased for permit in self.held)


class Permit(Protocol):
    """One permit; a context manager that gives it back, once, however it is left."""

    @property
    def until(self) -> float:
        """Monotonic instant by which the statement must have ended."""
        ...

    def covers(self, instant: float) -> bool:
        """Return whether a statement with this deadline, a monotonic instant, may still start under the permit.

        Asked once the deadline stands and nothing has started, so that a process that was paused in between starts
        nothing on a lease that is over.
        """
        ...

    def when_lost(self, stop: Callable[[], None]) -> None:
        """Let `stop` be called, from another thread and perhaps repeatedly, when the permit no longer counts."""
        ...

    def release(self, *, confirmed: bool = True) -> None:
        """Give it back; only the first call counts.

        Args:
            confirmed: the warehouse has confirmed the statement's end. If not, the permit is in quarantine.
        """
        ...

    def confirm_end(self) -> None:
        """End the quarantine: the statement has ended after all. Harmless when there is none."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Permits(Protocol):
    """Hands out permits, never more at once than there are."""

    @property
    def available_count(self) -> int:
        """Permits that could be taken now, as far as this process knows."""
        ...

    def acquire(
        self,
        timeout_s: float,
        who: str,
        withdrawn: threading.Event | None = None,
        *,
        hold_s: float = LONGEST_HOLD_S,
    ) -> Permit:
        """Wait for a permit and return it.

        Args:
            timeout_s: longest wait in seconds; 0 asks without waiting.
            who: shown to operators while it is held.
            withdrawn: set by the caller from elsewhere when the permit is no longer wanted.
            hold_s: seconds from the grant within which the statement must have ended.

        Raises:
            PermitsExhausted: none came free in time.
            StatementCancelled: `withdrawn` was set first.
        """
        ...

    def snapshot(self) -> PermitsSnapshot:
        """Return who holds and how many wait."""
        ...


class ProcessPermits:
    """The permits of one process: its share first, then leases.

    Args:
        share: permits that no other process can take, at least 1.
        leases: where permits beyond the share come from; None where there are none.
        margin_s: how far past the deadline a quarantine lasts; a lease's own margin where there are leases.
    """

    def __init__(self, share: int, leases: Leases | None = None, *, margin_s: float = MARGIN_S) -> None:
        if share < 1:
            raise ValueError(f"a process needs at least one permit, not {share}")
        self._share = share
        self._leases = leases
        self._margin_s = margin_s
        # Protects everything below; waiters sleep on it.
        self._changed = threading.Condition()
        self._held: dict[_Token, None] = {}
        self._waiting: deque[object] = deque()
        # Filled without the lock: a permit may be collected by whichever thread holds it.
        self._dropped: deque[_Token] = deque()
        if leases is not None:
            leases.start(self)

    @property
    def available_count(self) -> int:
        with self._changed:
            return self._free_share() + (self._leases.free_count if self._leases is not None else 0)

    def acquire(
        self,
        timeout_s: float,
        who: str,
        withdrawn: threading.Event | None = None,
        *,
        hold_s: float = LONGEST_HOLD_S,
    ) -> Permit:
        start = time.monotonic()
        turn = object()
        with self._changed:
            self._waiting.append(turn)
        try:
            token = self._await_token(turn, _Wish(who, start + timeout_s, withdrawn, hold_s))
        finally:
            with self._changed:
                self._waiting.remove(turn)
                self._changed.notify_all()
        if token is None:
            raise PermitsExhausted(self.snapshot().total_count, round(time.monotonic() - start, 3))
        return _ProcessPermit(self, token)

    def snapshot(self) -> PermitsSnapshot:
        leases = self._leases
        with self._changed:
            free_share, now = self._free_share(), time.monotonic()
            free_count = free_share + (leases.free_count if leases is not None else 0)
            held = tuple(
                HeldPermit(token.who, token.lease is not None, token.quarantined, round(now - token.since, 3))
                for token in self._held
            )
            return PermitsSnapshot(
                total_count=max(self._share, free_count + len(held)),
                available_count=free_count,
                waiting_count=len(self._waiting),
                holders=tuple(permit.who for permit in held),
                held=held,
                share_count=self._share,
                lease_state=leases.state if leases is not None else "none",
                grace_left_s=leases.grace_left_s if leases is not None else 0.0,
            )

    def close(self) -> None:
        """Stop talking to the ledger, which counts on what has not been given back by then; close the warehouse first.

        Waits a moment for statements that have just been ended: the threads that read them give their permits back.
        """
        if self._leases is None:
            return
        with self._changed:
            self._changed.wait_for(lambda: all(token.quarantined for token in self._held), CLOSING_WAIT_S)
        self._leases.close()

    def demand(self) -> Demand:
        """Return who waits and who holds the share; for the leases."""
        with self._changed:
            self._free_share()
            share = tuple(token.who for token in self._held if token.lease is None)
            return Demand(len(self._waiting), share)

    def lost(self, leases: tuple[Lease, ...]) -> None:
        """Stop the statements whose leases no longer count."""
        ids = {lease.lease_id for lease in leases}
        with self._changed:
            lost = [token for token in self._held if token.lease is not None and token.lease.lease_id in ids]
        for token in lost:
            if not token.lost:
                log.warning("lease lost, its statement is stopped", who=token.who)
            token.lost = True
            if token.stop is not None:
                token.stop()

    def give_back(self, token: _Token, *, confirmed: bool) -> None:
        """Take a permit back, at once or at its deadline; for permits."""
        with self._changed:
            if token not in self._held or token.quarantined:
                return
            if confirmed:
                self._end(token)
            else:
                log.warning("permit in quarantine", who=token.who, left_s=self._quarantine(token))
            self._changed.notify_all()

    def confirm_end(self, token: _Token) -> None:
        """End a quarantine; for permits."""
        with self._changed:
            if token in self._held and token.quarantined:
                self._end(token)
                self._changed.notify_all()

    def drop(self, token: _Token) -> None:
        """Note a permit that was collected without being given back; may be called with any lock held."""
        self._dropped.append(token)

    def _await_token(self, turn: object, wish: _Wish) -> _Token | None:
        next_ask = 0.0
        with self._changed:
            while True:
                if wish.withdrawn is not None and wish.withdrawn.is_set():
                    raise StatementCancelled(wish.who)
                first = self._waiting[0] is turn
                if first and self._free_share() > 0:
                    return self._hold(wish, None)
                now = time.monotonic()
                if first and self._leases is not None and now >= next_ask:
                    next_ask = now + self._leases.beat_s
                    lease = self._ask(self._leases, wish)
                    if lease is not None:
                        return self._hold(wish, lease)
                    continue
                if now >= wish.until:
                    return None
                self._changed.wait(min(wish.until - now, CHECK_S, max(0.001, next_ask - now) if first else CHECK_S))

    def _ask(self, leases: Leases, wish: _Wish) -> Lease | None:
        """Ask for a lease without keeping everybody else from giving back."""
        self._changed.release()
        try:
            return leases.take(wish.who, wish.hold_s)
        finally:
            self._changed.acquire()

    def _hold(self, wish: _Wish, lease: Lease | None) -> _Token:
        now = time.monotonic()
        token = _Token(wish.who, now, lease.until if lease is not None else now + wish.hold_s, lease)
        self._held[token] = None
        if lease is None and self._leases is not None:
            self._leases.share_taken()
        return token

    def _free_share(self) -> int:
        while self._dropped:
            token = self._dropped.popleft()
            if token in self._held and not token.quarantined:
                log.error("permit was never given back", who=token.who, left_s=self._quarantine(token))
        now = time.monotonic()
        for token in [token for token in self._held if token.quarantined and token.rests_until <= now]:
            self._end(token)
        blocked = self._leases.blocked_count(self._share) if self._leases is not None else 0
        return max(0, self._share - blocked - sum(token.lease is None for token in self._held))

    def _quarantine(self, token: _Token) -> float:
        """Let a permit rest until the statement has surely ended; returns for how long, in seconds."""
        now = time.monotonic()
        token.quarantined = True
        # A process that was paused may have cut the connection only now.
        token.rests_until = max(token.until, now) + self._margin_s
        return round(token.rests_until - now, 3)

    def _end(self, token: _Token) -> None:
        del self._held[token]
        if token.lease is not None and self._leases is not None:
            self._leases.give_back(token.lease)


class LocalPermits(ProcessPermits):
    """The permits of a process that is given nothing beyond its share.

    Args:
        total: how many there are, at least 1.
        margin_s: how far past the deadline a quarantine lasts.
    """

    def __init__(self, total: int, *, margin_s: float = MARGIN_S) -> None:
        super().__init__(total, margin_s=margin_s)


@dataclass(frozen=True)
class _Wish:
    who: str
    until: float
    withdrawn: threading.Event | None
    hold_s: float


@dataclass(eq=False)
class _Token:
    """What is known of one held permit; outlives the permit that the caller has."""

    who: str
    since: float
    until: float
    lease: Lease | None
    quarantined: bool = False
    rests_until: float = 0.0
    """Until when the quarantine lasts, on the monotonic clock."""
    lost: bool = False
    stop: Callable[[], None] | None = None


class _ProcessPermit:
    def __init__(self, permits: ProcessPermits, token: _Token) -> None:
        self._permits = permits
        self._token = token
        weakref.finalize(self, permits.drop, token).atexit = False

    @property
    def until(self) -> float:
        return self._token.until

    def covers(self, instant: float) -> bool:
        lease = self._token.lease
        return lease is None or (not self._token.lost and instant <= lease.until + lease.slack_s)

    def when_lost(self, stop: Callable[[], None]) -> None:
        self._token.stop = stop
        if self._token.lost:
            stop()

    def release(self, *, confirmed: bool = True) -> None:
        self._permits.give_back(self._token, confirmed=confirmed)

    def confirm_end(self) -> None:
        self._permits.confirm_end(self._token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
