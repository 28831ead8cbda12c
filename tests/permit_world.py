"""A small world in which the lease protocol can go wrong: processes, a lossy network, a server whose clock is set.

Nothing here waits. Time is a number, every choice comes from one seeded source, and after each event the statements
that run at the warehouse are counted against the leases there are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

from sluice_warehouse.permit_leases import Lease, LeaseBook
from sluice_warehouse.permit_ledger import Hold, LeaseLedger, Reply, Request, Terms

TIMEOUT_MS: Final = 500
"""When a process stops waiting for an answer."""
LONGEST_DELAY_MS: Final = 20_000
"""How late a message may still arrive."""


@dataclass
class Statement:
    """One that runs at the warehouse."""

    lease: Lease
    ends_ms: int


@dataclass
class Process:
    """One run of a process, seen from outside."""

    book: LeaseBook
    sent: Request | None = None
    sent_ms: int = 0
    next_beat_ms: int = 0
    paused_until_ms: int = 0
    granted_ms: dict[str, int] = field(default_factory=dict)
    """When each lease that is not given back was asked for."""
    waiting: list[Lease] = field(default_factory=list)
    """Granted, and nothing started yet."""
    running: list[Statement] = field(default_factory=list)


@dataclass(frozen=True)
class Message:
    """A request or its answer on the way."""

    arrives_ms: int
    process: Process
    request: Request
    reply: Reply | None


class PermitWorld:
    """Runs one history.

    Args:
        seed: of every choice.
        terms: what the processes agreed on.
        ledger: the one to judge.
    """

    def __init__(self, seed: int, terms: Terms, ledger: LeaseLedger) -> None:
        self._chance = random.Random(seed)
        self._terms = terms
        self._ledger = ledger
        self._now_ms = 0
        self._server_offset_ms = 1_700_000_000_000
        self._run = 0
        self._small_step_ms = -terms.life_ms
        self._names = [f"process {number}" for number in range(3)]
        self._ids = iter(range(10**9))
        self._living = [self._born(name) for name in self._names]
        self._orphans: list[Statement] = []
        """Of processes that were killed: the warehouse may not notice before their deadline."""
        self._messages: list[Message] = []
        self.granted_count = 0
        self.most_running = 0

    @property
    def free_count(self) -> int:
        """Leases that nobody holds, as the ledger counts them."""
        book = self._ledger.book
        return self._terms.lease_count - (len(book.leases) if book is not None else 0)

    def run(self, step_count: int, *, calm: bool = False) -> int:
        """Let that many things happen, no mishap among them if calm, and return the most statements at once."""
        for _ in range(step_count):
            self._now_ms += self._chance.choice((1, 10, 50, 200))
            self._deliver()
            self._end_statements()
            if not calm:
                self._mishap()
            for process in self._living:
                if process.paused_until_ms <= self._now_ms:
                    self._act(process, calm=calm)
            self.most_running = max(self.most_running, self._running_count())
        return self.most_running

    def _running_count(self) -> int:
        return len(self._orphans) + sum(len(process.running) for process in self._living)

    def _born(self, name: str) -> Process:
        return Process(LeaseBook(name, f"run {next(self._ids)}", self._terms))

    def _act(self, process: Process, *, calm: bool) -> None:
        book, now = process.book, self._now_ms / 1000
        if process.sent is not None and self._now_ms - process.sent_ms > TIMEOUT_MS:
            book.unanswered(process.sent)
            process.sent = None
        for lease in list(process.waiting):
            if self._chance.random() < 0.2:
                process.waiting.remove(lease)
                self._start(process, lease)
        for lease in book.held:
            if lease.until <= now and all(lease is not run.lease for run in process.running):
                if lease in process.waiting:
                    process.waiting.remove(lease)
                self._give_back(process, lease)
        if process.sent is None and (process.next_beat_ms <= self._now_ms or self._chance.random() < 0.1):
            self._send(process, wishing=not calm and self._chance.random() < 0.6)

    def _start(self, process: Process, lease: Lease) -> None:
        if self._now_ms / 1000 >= lease.until or lease.lease_id in process.book.lost:
            self._give_back(process, lease)
            return
        until_ms = int(lease.until * 1000)
        # Quick, or up to its deadline and as long after it as the slack lets one start and a cancel take.
        ends_ms = self._chance.choice(
            (self._now_ms + 300, self._chance.randint(self._now_ms, until_ms), until_ms + self._terms.margin_ms // 3)
        )
        process.running.append(Statement(lease, ends_ms))

    def _give_back(self, process: Process, lease: Lease) -> None:
        process.book.give_back(lease)
        process.granted_ms.pop(lease.lease_id, None)

    def _end_statements(self) -> None:
        self._orphans = [statement for statement in self._orphans if statement.ends_ms > self._now_ms]
        for process in self._living:
            for statement in [run for run in process.running if run.ends_ms <= self._now_ms]:
                # Of a paused process nobody ends it.
                if process.paused_until_ms <= self._now_ms:
                    process.running.remove(statement)
                    self._give_back(process, statement.lease)

    def _send(self, process: Process, *, wishing: bool) -> None:
        wish = None
        if wishing:
            wish = Hold(f"lease {next(self._ids)}", "somebody", self._chance.randint(100, self._terms.hold_ms))
        request = process.book.request(self._now_ms / 1000, wish, waiting_count=int(wishing))
        process.sent, process.sent_ms = request, self._now_ms
        process.next_beat_ms = self._now_ms + self._terms.beat_ms
        self._post(process, request, None)

    def _post(self, process: Process, request: Request, reply: Reply | None) -> None:
        if self._chance.random() < 0.03:
            return
        delay_ms = self._chance.choice((0, 1, 5, 5, 20))
        if self._chance.random() < 0.03:
            delay_ms = self._chance.randint(0, LONGEST_DELAY_MS)
        self._messages.append(Message(self._now_ms + delay_ms, process, request, reply))

    def _deliver(self) -> None:
        arrived = [message for message in self._messages if message.arrives_ms <= self._now_ms]
        self._messages = [message for message in self._messages if message.arrives_ms > self._now_ms]
        for message in arrived:
            if message.reply is None:
                server_ms = self._now_ms + self._server_offset_ms
                reply = self._ledger.answer(message.request, server_ms, f"run {self._run}")
                self._post(message.process, message.request, reply)
            elif message.process.paused_until_ms > self._now_ms:
                # It lies in the socket until the process goes on.
                self._messages.append(message)
            elif message.process.sent is message.request:
                self._answered(message.process, message.request, message.reply)

    def _answered(self, process: Process, request: Request, reply: Reply) -> None:
        process.sent = None
        lease = process.book.answered(request, reply, process.sent_ms / 1000, self._now_ms / 1000)
        if lease is not None:
            self.granted_count += 1
            process.waiting.append(lease)
            process.granted_ms[lease.lease_id] = process.sent_ms

    def _mishap(self) -> None:
        draw = self._chance.random()
        process = self._chance.choice(self._living)
        if draw < 0.002:
            # As long as the promise allows: the longest hold and a part of the margin after each grant it has.
            longest_ms = self._terms.hold_ms + self._terms.margin_ms // 3
            oldest_ms = min([self._now_ms, *process.granted_ms.values()])
            process.paused_until_ms = self._now_ms + self._chance.randint(
                0, max(0, oldest_ms + longest_ms - self._now_ms)
            )
        elif draw < 0.003:
            self._kill(process)
        elif draw < 0.0035:
            self._ledger.empty()
        elif draw < 0.004:
            self._run += 1
        elif draw < 0.006:
            self._server_offset_ms += self._chance.choice((-86_400_000, -1000, 3_600_000, 86_400_000))
        elif draw < 0.008 and self._now_ms - self._small_step_ms > self._terms.life_ms // 2:
            # Within a tick a step cannot be told from time that passed; the margin bears a few of them.
            self._small_step_ms = self._now_ms
            self._server_offset_ms += self._chance.randint(1, self._terms.tick_ms)

    def _kill(self, process: Process) -> None:
        self._orphans += process.running
        name = self._names[self._living.index(process)]
        self._living[self._living.index(process)] = self._born(name)
