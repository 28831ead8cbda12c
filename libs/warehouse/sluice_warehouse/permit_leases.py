"""The leases of one process: what it holds, what it gave back, and the talk with the ledger that keeps both true.

`LeaseBook` is the process's side of the protocol, without a clock and without I/O; `Leases` runs it: one request at a
time, and a thread that speaks to the ledger every beat even when nobody asks for anything.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import structlog
from sluice_rpc.ports import Clock, Ids

from sluice_warehouse.permit_ledger import Hold, LeaseLedger, Reply, Request, State, Terms

log = structlog.get_logger()

LeaseState: TypeAlias = State | Literal["away", "none"]
"""As the ledger says; away: it did not answer when last asked. none: there is no permit beyond the shares."""


class LedgerAway(Exception):
    """The ledger did not answer; whether it took the request into account is not known."""


class Ledger(Protocol):
    """Where leases are written down."""

    def ask(self, request: Request) -> Reply:
        """Return what the ledger makes of the request.

        Raises:
            LedgerAway: no answer in time.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class MemoryLedger:
    """A ledger within the process; for tests, and for several lanes of one process.

    Args:
        clock: stands for the server's.
    """

    def __init__(self, clock: Clock) -> None:
        self.ledger = LeaseLedger()
        self.run = "memory"
        """The run it claims to be; another value makes it a server that was restarted."""
        self.away = False
        """Whether it keeps silent."""
        self._clock = clock
        # The ledger decides on one request at a time.
        self._lock = threading.Lock()

    def ask(self, request: Request) -> Reply:
        if self.away:
            raise LedgerAway
        with self._lock:
            return self.ledger.answer(request, int(self._clock.now().timestamp() * 1000), self.run)

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass(frozen=True)
class Lease:
    """A leased permit."""

    lease_id: str
    who: str
    until: float
    """Monotonic instant by which its statement must have ended; the ledger counts it for a margin longer."""
    slack_s: float
    """How far past `until` a deadline may lie: connecting takes time, and a third of the margin bears it."""
    fence: int


class LeaseBook:
    """What one run of a process knows of its leases.

    Args:
        process: its name in the plan.
        incarnation: this run.
        terms: what all processes agreed on.
    """

    def __init__(self, process: str, incarnation: str, terms: Terms) -> None:
        self.terms = terms
        self.reply = Reply("grace", grace_left_ms=terms.life_ms)
        """What the ledger said last."""
        self.away = True
        """No answer to the last request."""
        self.name_taken = False
        """Another process of the same name was alive when the ledger last answered."""
        self.asked = False
        """The first request was answered, or was not in time."""
        self._left_behind_until = 0.0
        self._process = process
        self._incarnation = incarnation
        self._seq = 0
        self._held: dict[str, Lease] = {}
        self._drops: dict[str, None] = {}
        self.lost: dict[str, Lease] = {}
        """Held no longer as the ledger says, and not given back yet."""

    @property
    def held(self) -> tuple[Lease, ...]:
        """Leases not given back, in the order they were granted."""
        return tuple(self._held.values())

    @property
    def state(self) -> LeaseState:
        """How things stand with the ledger."""
        if self.name_taken:
            return "conflict"
        if self.terms.lease_count == 0:
            return "none"
        return "away" if self.away else self.reply.state

    def left_behind_count(self, now: float) -> int:
        """Return how many permits of the share count for statements that runs before this one left behind."""
        return self.reply.left_behind_count if now < self._left_behind_until else 0

    @property
    def free_count(self) -> int:
        """Leases that were free when the ledger last answered; 0 while it is away."""
        return 0 if self.away else self.reply.free_count

    def request(
        self, now: float, wish: Hold | None = None, *, waiting_count: int = 0, share: tuple[str, ...] = ()
    ) -> Request:
        """Return the next thing to say. At most one request may be on its way."""
        self._seq += 1
        holds = tuple(
            Hold(lease.lease_id, lease.who, int((lease.until - now) * 1000))
            for lease in self._held.values()
            if lease.until > now
        )
        return Request(
            *(self._process, self._incarnation, self._seq, self.terms, tuple(self._drops), holds, wish),
            waiting_count=waiting_count,
            share=share,
        )

    def answered(self, request: Request, reply: Reply, sent: float, now: float) -> Lease | None:
        """Note the answer and return the lease it grants, if any.

        Args:
            sent: monotonic instant just before the request went out: a lease counts from then, so that it is over
                here before it is over there, however long the answer took.
        """
        self.away, self.reply, self.asked = False, reply, True
        self.name_taken = reply.state == "conflict"
        if reply.state in ("granting", "grace"):
            self._left_behind_until = now + reply.left_behind_ms / 1000
            for lease_id in request.drops:
                self._drops.pop(lease_id, None)
            for lease_id in reply.lost:
                if lease_id in self._held:
                    self.lost[lease_id] = self._held[lease_id]
        if request.wish is None or not reply.granted:
            return None
        wish = request.wish
        lease = Lease(wish.lease_id, wish.who, sent + wish.left_ms / 1000, self.terms.margin_ms / 3000, reply.fence)
        if lease.until <= now:
            self._drops[wish.lease_id] = None
            return None
        self._held[wish.lease_id] = lease
        return lease

    def unanswered(self, request: Request) -> None:
        """Note that no answer came; what was asked for may have been granted, so it is given back."""
        self.away = self.asked = True
        if request.wish is not None:
            self._drops[request.wish.lease_id] = None

    def give_back(self, lease: Lease) -> None:
        """Note that the statement has ended; the ledger learns it with the next request."""
        self.lost.pop(lease.lease_id, None)
        if self._held.pop(lease.lease_id, None) is not None:
            self._drops[lease.lease_id] = None

    def leaving(self, share: tuple[str, ...] = ()) -> Request:
        """Return the last thing to say: the name is free, and this of its share may have statements going on.

        What is held still, or in quarantine, is not given back: its statement may run on in the warehouse, and the
        ledger counts it until it must have ended.
        """
        self._seq += 1
        drops = tuple(self._drops)
        return Request(self._process, self._incarnation, self._seq, self.terms, drops, leaving=True, share=share)


@dataclass(frozen=True)
class Demand:
    """What a process says of itself with every beat."""

    waiting_count: int = 0
    share: tuple[str, ...] = ()


class Asker(Protocol):
    """Whoever uses the leases; it is told of lost ones."""

    def demand(self) -> Demand:
        """Return who waits and who holds the share."""
        ...

    def lost(self, leases: tuple[Lease, ...]) -> None:
        """Take note that these leases do not count any more; their statements must end at once."""
        ...


class Leases:
    """Leases for the lanes of one process.

    Args:
        process: its name in the plan.
        terms: what all processes agreed on.
        ledger: where leases are written down; closed with this.
        clock: only its monotonic reading counts.
        ids: for this run and for leases.
        outlived: statements may go on in the warehouse when the process that started them is gone, so that a successor
            counts those of its share too.
    """

    def __init__(
        self, process: str, terms: Terms, ledger: Ledger, clock: Clock, ids: Ids, *, outlived: bool = False
    ) -> None:
        self._outlived = outlived
        self._ledger = ledger
        self._clock = clock
        self._ids = ids
        self._beat_s = terms.beat_ms / 1000
        self._book = LeaseBook(process, ids.new(), terms)
        # Protects the book and the fields below; never held while the ledger is asked.
        self._lock = threading.Lock()
        self._asker: weakref.ref[Asker] | None = None
        self._shown: LeaseState = "none"
        # One request at a time, or a later one could be answered before an earlier one.
        self._speaking = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def beat_s(self) -> float:
        """Time between two requests when nobody asks for anything; also a good pause between two wishes."""
        return self._beat_s

    @property
    def terms(self) -> Terms:
        """What all processes agreed on."""
        return self._book.terms

    @property
    def state(self) -> LeaseState:
        """How things stand with the ledger."""
        return self._book.state

    @property
    def free_count(self) -> int:
        """Leases that were free when the ledger last answered."""
        return self._book.free_count

    def blocked_count(self, share: int) -> int:
        """Return how many permits of the share nobody may have now: statements of runs before may go on under them."""
        if self.state == "conflict":
            # Another process lives on this share.
            return share
        if not self._outlived:
            return 0
        # Before the ledger has been asked nobody knows what was left behind.
        return min(share, self._book.left_behind_count(self._clock.monotonic())) if self._book.asked else share

    def share_taken(self) -> None:
        """Let the ledger know soon who holds the share, for whoever comes after this process; returns at once."""
        if self._outlived:
            self._wake.set()

    @property
    def grace_left_s(self) -> float:
        """Seconds until leases are granted again, as last heard."""
        return self._book.reply.grace_left_ms / 1000

    def start(self, asker: Asker) -> None:
        """Begin to beat on behalf of whoever uses the leases."""
        self._asker = weakref.ref(asker)
        self._thread = threading.Thread(target=self._beat, name="permit-leases", daemon=True)
        self._thread.start()

    def take(self, who: str, hold_s: float) -> Lease | None:
        """Ask for a lease and return it, or None when there is none for us now. Takes one time-out at most.

        Args:
            who: shown to operators.
            hold_s: seconds from now within which the statement ends.
        """
        if self.terms.lease_count == 0:
            return None
        left_ms = min(int(hold_s * 1000), self.terms.hold_ms)
        return self._speak(Hold(self._ids.new(), who, left_ms))

    def give_back(self, lease: Lease) -> None:
        """Give a lease back; returns at once, the ledger is told by the beat."""
        with self._lock:
            self._book.give_back(lease)
        self._wake.set()

    def close(self) -> None:
        """Stop beating and say what has been given back; harmless when repeated."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        asker = self._asker() if self._asker is not None else None
        share = asker.demand().share if asker is not None and self._outlived else ()
        try:
            self._ledger.ask(self._book.leaving(share))
        except LedgerAway:
            log.info("leases run out by themselves, their ledger is away")
        self._ledger.close()

    def _beat(self) -> None:
        while not self._closing:
            self._speak(None)
            self._wake.wait(self._beat_s)
            self._wake.clear()

    def _speak(self, wish: Hold | None) -> Lease | None:
        asker = self._asker() if self._asker is not None else None
        demand = asker.demand() if asker is not None else Demand()
        with self._speaking:
            sent = self._clock.monotonic()
            with self._lock:
                if self._closing:
                    return None
                request = self._book.request(sent, wish, waiting_count=demand.waiting_count, share=demand.share)
            try:
                reply = self._ledger.ask(request)
            except LedgerAway as error:
                with self._lock:
                    self._book.unanswered(request)
                self._show(str(error))
                return None
            with self._lock:
                lease = self._book.answered(request, reply, sent, self._clock.monotonic())
                lost = tuple(self._book.lost.values())
        self._show("")
        if lost and asker is not None:
            asker.lost(lost)
        return lease

    def _show(self, cause: str) -> None:
        with self._lock:
            before, self._shown = self._shown, self._book.state
        if before == self._shown:
            return
        if self._shown in ("away", "conflict", "terms"):
            log.warning("permits beyond the own share are off", state=self._shown, cause=cause)
        else:
            log.info("permits beyond the own share", state=self._shown, grace_left_s=self.grace_left_s)
