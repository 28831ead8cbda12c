"""The ledger of leased permits: who may run a statement beyond its process's own share. Pure rules, no clock, no I/O.

`permit_ledger.lua` holds the same rules for a ledger that several processes share over Redis; a test compares the two.

A lease lives longer than any statement may: the longest hold, plus a margin in which a statement that was told to end
does end. Nothing renews it and nothing but its owner ends it sooner, so a process that is paused, cut off or killed
costs a lease for a while and never the cap. Of a share the ledger only knows who held it; what a killed process held
when last heard counts against its successor for as long as a lease lives.

A ledger that is empty, was restarted or has other terms than before forgets who held what; it grants nothing until
every lease it may have forgotten is over (grace).

Time is the ledger's own, in milliseconds: it adds up what the server's clock advances between two requests, and no
advance that is negative or longer than a tick, so a clock that is set takes nobody's lease away.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

State: TypeAlias = Literal["granting", "grace", "conflict", "terms", "late"]
"""What the ledger makes of a process.

granting: it gets leases as they come free. grace: leases that may have been forgotten are not over yet. conflict:
another process of the same name is alive. terms: others live by another cap or other shares. late: the request was
overtaken by a newer one of the same process and changed nothing.
"""

TICKS_PER_MARGIN: Final = 6
"""A clock that is set by less than a tick is believed; a margin bears that a few times within one lease."""

BEATS_PER_TICK: Final = 5
"""Requests within a believable tick, so that one that got lost does not stop the ledger's clock."""


@dataclass(frozen=True)
class Terms:
    """What all processes of a deployment must agree on before anybody is granted a lease."""

    plan: str
    """The cap and every share, in one canonical text."""
    lease_count: int
    """Permits that are nobody's share."""
    hold_ms: int
    """Longest time from a grant to the deadline of the statement under it."""
    margin_ms: int
    """Time in which a statement has ended after its deadline; also bears clock drift and steps."""

    @property
    def life_ms(self) -> int:
        """Longest life of a lease."""
        return self.hold_ms + self.margin_ms

    @property
    def tick_ms(self) -> int:
        """Longest believable time between two requests."""
        return self.margin_ms // TICKS_PER_MARGIN

    @property
    def presence_ms(self) -> int:
        """How long a process that says nothing counts as alive, for waiting and for its name: three beats."""
        return self.tick_ms * 3 // BEATS_PER_TICK

    @property
    def beat_ms(self) -> int:
        """Time between two requests of a process that asks for nothing."""
        return self.tick_ms // BEATS_PER_TICK


@dataclass(frozen=True)
class Hold:
    """A lease as its owner sees it: an id nobody else has, for whom, and how long its statement may still run."""

    lease_id: str
    who: str
    left_ms: int


@dataclass(frozen=True)
class Request:
    """What a process tells and asks. Each is answered at once; one that arrives out of order changes nothing."""

    process: str
    """Name of the process in the plan."""
    incarnation: str
    """This run of the process."""
    seq: int
    """Counts the requests of this run, from 1."""
    terms: Terms
    drops: tuple[str, ...] = ()
    """Leases given back."""
    holds: tuple[Hold, ...] = ()
    """Leases held and still within their time."""
    wish: Hold | None = None
    """A lease it would like."""
    waiting_count: int = 0
    """Callers that wait for a permit in the process."""
    share: tuple[str, ...] = ()
    """Who holds the permits of its own share, for others to see and for a successor to count."""
    leaving: bool = False
    """The process ends; its name is free at once. What of the share it still names counts against the successor."""


@dataclass(frozen=True)
class Reply:
    """What the ledger answers."""

    state: State
    granted: bool = False
    fence: int = 0
    """Number of the grant; grows with every grant of an epoch."""
    free_count: int = 0
    """Leases that could be granted now."""
    grace_left_ms: int = 0
    lost: tuple[str, ...] = ()
    """Holds the ledger does not count any more; their statements must end at once."""
    epoch: str = ""
    """Changes whenever the ledger may have forgotten something."""
    left_behind_count: int = 0
    """Permits of the process's share under which runs before it may have statements going on."""
    left_behind_ms: int = 0
    """Until those have surely ended."""


@dataclass(frozen=True)
class Entry:
    """One granted lease."""

    process: str
    incarnation: str
    who: str
    since_ms: int
    deadline_ms: int
    """When its statement should have ended."""
    until_ms: int
    """When somebody else may have it."""
    fence: int


@dataclass(frozen=True)
class Presence:
    """What is known of a process."""

    incarnation: str
    seq: int
    seen_ms: int
    wants_since_ms: int | None = None
    waiting_count: int = 0
    share: tuple[str, ...] = ()
    left_behind_count: int = 0
    left_behind_until_ms: int = 0


@dataclass
class Book:
    """Everything a ledger knows within one epoch."""

    run: str
    epoch: str
    plan: str
    seen_server_ms: int
    grace_until_ms: int
    clock_ms: int = 0
    fence: int = 0
    leases: dict[str, Entry] = field(default_factory=dict)
    processes: dict[str, Presence] = field(default_factory=dict)


class LeaseLedger:
    """One ledger in memory."""

    def __init__(self) -> None:
        self.book: Book | None = None

    def empty(self) -> None:
        """Forget everything, as a flushed server does."""
        self.book = None

    def answer(self, request: Request, server_ms: int, run: str) -> Reply:
        """Take a request into account and return what it comes to.

        Args:
            server_ms: the server's wall clock, in milliseconds.
            run: the run of the server; another one may have forgotten anything.
        """
        terms = request.terms
        book = self._turn(request, server_ms, run)
        if book.plan != terms.plan:
            return Reply("terms", epoch=book.epoch)
        mine = book.processes.get(request.process)
        if mine is not None and mine.incarnation != request.incarnation and _present(mine, book, terms):
            return Reply("conflict", epoch=book.epoch)
        if mine is not None and mine.incarnation == request.incarnation and request.seq <= mine.seq:
            return Reply("late", epoch=book.epoch)
        self._drop(book, request)
        left = _left_behind(mine, book, request)
        if request.leaving:
            self._leave(book, request, left)
            return Reply("granting", epoch=book.epoch)
        wants_since_ms = mine.wants_since_ms if mine is not None and mine.incarnation == request.incarnation else None
        if request.waiting_count == 0 and request.wish is None:
            wants_since_ms = None
        elif wants_since_ms is None:
            wants_since_ms = book.clock_ms
        book.processes[request.process] = Presence(
            *(request.incarnation, request.seq, book.clock_ms, wants_since_ms, request.waiting_count, request.share),
            *left,
        )
        lost = self._adopt(book, request)
        granted = self._grant(book, request)
        in_grace = book.clock_ms < book.grace_until_ms
        return Reply(
            state="grace" if in_grace else "granting",
            granted=granted,
            fence=book.fence if granted else 0,
            free_count=0 if in_grace else max(0, terms.lease_count - len(book.leases)),
            grace_left_ms=max(0, book.grace_until_ms - book.clock_ms),
            lost=lost,
            epoch=book.epoch,
            left_behind_count=left[0],
            left_behind_ms=left[1] - book.clock_ms if left[0] else 0,
        )

    def _turn(self, request: Request, server_ms: int, run: str) -> Book:
        """Move the clock, end what is over, and open a new epoch where the old one cannot be trusted."""
        terms, book = request.terms, self.book
        if book is not None and book.run == run:
            step_ms = server_ms - book.seen_server_ms
            book.clock_ms += step_ms if 0 < step_ms <= terms.tick_ms else 0
            book.seen_server_ms = server_ms
            book.leases = {key: entry for key, entry in book.leases.items() if entry.until_ms > book.clock_ms}
            others = [
                present
                for present in book.processes.values()
                if present.incarnation != request.incarnation and _present(present, book, terms)
            ]
            if book.plan == terms.plan or others:
                return book
        self.book = Book(run, f"{run[:8]}-{server_ms}", terms.plan, server_ms, terms.life_ms)
        return self.book

    @staticmethod
    def _drop(book: Book, request: Request) -> None:
        for lease_id in request.drops:
            entry = book.leases.get(lease_id)
            if entry is not None and entry.incarnation == request.incarnation:
                del book.leases[lease_id]

    @staticmethod
    def _leave(book: Book, request: Request, left: tuple[int, int]) -> None:
        if not request.share and not left[0]:
            book.processes.pop(request.process, None)
            return
        # Not here any more, and remembered for whoever has the name next.
        away_ms = book.clock_ms - request.terms.presence_ms
        book.processes[request.process] = Presence(
            request.incarnation, request.seq, away_ms, None, 0, request.share, *left
        )

    @staticmethod
    def _adopt(book: Book, request: Request) -> tuple[str, ...]:
        """Write holds the ledger has forgotten in again while it is in grace, and name those it does not count."""
        lost = []
        terms = request.terms
        for hold in request.holds:
            entry = book.leases.get(hold.lease_id)
            if entry is not None:
                continue
            if book.clock_ms < book.grace_until_ms and len(book.leases) < terms.lease_count:
                book.leases[hold.lease_id] = _entry(book, request, hold)
            else:
                lost.append(hold.lease_id)
        return tuple(lost)

    @staticmethod
    def _grant(book: Book, request: Request) -> bool:
        wish, terms = request.wish, request.terms
        if wish is None or book.clock_ms < book.grace_until_ms or len(book.leases) >= terms.lease_count:
            return False
        first = min(
            (present.wants_since_ms, name)
            for name, present in book.processes.items()
            if present.wants_since_ms is not None and _present(present, book, terms)
        )
        if first[1] != request.process:
            return False
        book.leases[wish.lease_id] = _entry(book, request, wish)
        # Whoever was served goes to the end of the queue of processes.
        mine = book.processes[request.process]
        book.processes[request.process] = replace(mine, wants_since_ms=None)
        return True


def _present(presence: Presence, book: Book, terms: Terms) -> bool:
    return presence.seen_ms > book.clock_ms - terms.presence_ms


def _left_behind(mine: Presence | None, book: Book, request: Request) -> tuple[int, int]:
    """Return how many statements of earlier runs may go on under the share, and until when."""
    if mine is None:
        return 0, 0
    count = mine.left_behind_count if mine.left_behind_until_ms > book.clock_ms else 0
    if mine.incarnation != request.incarnation and mine.share:
        # When it died is not known, so the longest life counts from here.
        return count + len(mine.share), book.clock_ms + request.terms.life_ms
    return (count, mine.left_behind_until_ms) if count else (0, 0)


def _entry(book: Book, request: Request, hold: Hold) -> Entry:
    book.fence += 1
    now_ms, terms = book.clock_ms, request.terms
    return Entry(
        process=request.process,
        incarnation=request.incarnation,
        who=hold.who,
        since_ms=now_ms,
        deadline_ms=now_ms + min(hold.left_ms, terms.hold_ms),
        until_ms=now_ms + terms.life_ms,
        fence=book.fence,
    )
