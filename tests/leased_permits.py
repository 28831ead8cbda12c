"""Permits with leases for tests: terms short enough to wait for, ledgers past their grace, requests made by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from sluice_rpc.ports import RandomIds, SystemClock
from sluice_warehouse.permit_leases import Leases, Ledger
from sluice_warehouse.permit_ledger import Hold, Reply, Request, Terms
from sluice_warehouse.permits import ProcessPermits
from sluice_warehouse.permits_redis import RedisLedger

from tests.polling import poll_until

TERMS = Terms("cap=4;one=1,two=1", lease_count=2, hold_ms=30_000, margin_ms=6_000)
"""Two leases of half a minute; a tick is a second and a beat 200 ms."""


class Asked(Protocol):
    """Answers a request as a server would whose clock shows this."""

    def __call__(self, request: Request, server_ms: int) -> Reply: ...


def end_grace(ask: Asked, terms: Terms, now_ms: int | None = None) -> None:
    """Bring a ledger past its grace: let a server's clock tick through it, up to the present."""
    end_ms = int(time.time() * 1000) if now_ms is None else now_ms
    for number, server_ms in enumerate(range(end_ms - terms.life_ms - terms.tick_ms, end_ms, terms.tick_ms), start=1):
        ask(Request("warm-up", "warm-up", number, terms, leaving=True), server_ms)


def ask_redis(ledger: RedisLedger, request: Request, server_ms: int) -> Reply:
    """Ask as if the server's clock showed this."""
    ledger.server_ms = server_ms
    try:
        return ledger.ask(request)
    finally:
        ledger.server_ms = None


def open_permits(
    ledger: Ledger,
    terms: Terms,
    share: int,
    process: str = "one",
    *,
    await_state: str = "granting",
    outlived: bool = False,
    margin_s: float = 0.2,
) -> ProcessPermits:
    """Return permits that have heard from their ledger; a quarantine is over sooner than the terms would have it."""
    leases = Leases(process, terms, ledger, SystemClock(), RandomIds(), outlived=outlived)
    permits = ProcessPermits(share, leases, margin_s=margin_s)
    poll_until(lambda: leases.state == await_state, 60, f"{await_state}, not {leases.state}")
    return permits


def requests(process: str, terms: Terms = TERMS, incarnation: str = "") -> Callable[..., Request]:
    """Return a maker of the requests of one run of a process, numbered as it would number them."""
    seq = iter(range(1, 1_000_000))

    def make(
        wish: str = "",
        *,
        drops: tuple[str, ...] = (),
        holds: tuple[str, ...] = (),
        left_ms: int = 10_000,
        waiting_count: int = 0,
        leaving: bool = False,
        share: tuple[str, ...] = (),
    ) -> Request:
        return Request(
            *(process, incarnation or f"run of {process}", next(seq), terms, drops),
            holds=tuple(Hold(lease_id, "somebody", left_ms) for lease_id in holds),
            wish=Hold(wish, "somebody", left_ms) if wish else None,
            waiting_count=waiting_count,
            leaving=leaving,
            share=share,
        )

    return make
