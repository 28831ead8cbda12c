"""The lease protocol in any history chance finds: never more statements than leases, and all of them come back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given
from sluice_warehouse.permit_ledger import LeaseLedger, Reply, Request, Terms

from tests.permit_world import PermitWorld

TERMS = Terms("plan", lease_count=2, hold_ms=6_000, margin_ms=3_000)
STEPS = 2_000
"""Things that happen in one history; a hundred histories in a test run, five thousand in a soak."""


@given(seed=st.integers(0, 2**32))
def test_never_more_statements_run_under_leases_than_there_are_leases(seed: int) -> None:
    assert PermitWorld(seed, TERMS, LeaseLedger()).run(STEPS) <= TERMS.lease_count


@given(seed=st.integers(0, 2**32))
def test_once_mishaps_end_every_lease_comes_back(seed: int) -> None:
    world = PermitWorld(seed, TERMS, LeaseLedger())
    world.run(STEPS // 2)
    world.run(STEPS // 2, calm=True)
    assert world.free_count == TERMS.lease_count


def test_a_history_grants_leases_and_uses_them_all() -> None:
    worlds = [PermitWorld(seed, TERMS, LeaseLedger()) for seed in range(10)]
    most = [world.run(STEPS) for world in worlds]
    assert (max(most), sum(world.granted_count for world in worlds) > 500) == (TERMS.lease_count, True)


class WithoutGrace(LeaseLedger):
    """Grants as soon as it is empty."""

    def answer(self, request: Request, server_ms: int, run: str) -> Reply:
        before = self.book
        reply = super().answer(request, server_ms, run)
        if self.book is not None and self.book is not before:
            self.book.grace_until_ms = 0
        return reply


class WithoutMargin(LeaseLedger):
    """Ends a lease when its statement should end, not when it has."""

    def answer(self, request: Request, server_ms: int, run: str) -> Reply:
        reply = super().answer(request, server_ms, run)
        if reply.granted and self.book is not None and request.wish is not None:
            entry = self.book.leases[request.wish.lease_id]
            self.book.leases[request.wish.lease_id] = replace(entry, until_ms=entry.until_ms - TERMS.margin_ms)
        return reply


class TrustingItsRun(LeaseLedger):
    """Forgets when restarted but takes what it finds for the truth, as one that comes back with old data would."""

    def answer(self, request: Request, server_ms: int, run: str) -> Reply:
        if self.book is not None and self.book.run != run:
            self.book.run = run
            self.book.leases.clear()
        return super().answer(request, server_ms, run)


class BelievingItsClock(LeaseLedger):
    """Takes every advance of the server's clock for time that passed."""

    def answer(self, request: Request, server_ms: int, run: str) -> Reply:
        if self.book is not None:
            self.book.clock_ms += max(0, server_ms - self.book.seen_server_ms)
            self.book.seen_server_ms = server_ms
        return super().answer(request, server_ms, run)


@pytest.mark.parametrize("broken", [WithoutGrace, WithoutMargin, TrustingItsRun, BelievingItsClock])
def test_the_histories_find_what_is_wrong_with(broken: Callable[[], LeaseLedger]) -> None:
    assert any(PermitWorld(seed, TERMS, broken()).run(STEPS) > TERMS.lease_count for seed in range(200))
