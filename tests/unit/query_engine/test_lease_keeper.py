"""What a keeper of leases does when a beat and the end of a hold meet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from sluice_query_engine.execution.lease_keeper import LeaseKeeper
from sluice_query_engine.leases import Lease, MemoryLeases
from sluice_rpc.ports import FakeClock

NAME = "chunk-1"
LIFE_S = 6.0


class LeasesGivenBackMeanwhile(MemoryLeases):
    """Leases whose owner gives its own back while a renewal is on its way."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.owner = ExitStack()

    def renew(self, lease: Lease, life_s: float) -> bool:
        self.owner.close()
        return super().renew(lease, life_s)


class LeasesRetractedMeanwhile(MemoryLeases):
    """Leases whose owner retracts what was announced while it is on its way again."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.retraction = ExitStack()

    def announce(self, subject: str, entries: Sequence[str], life_s: float) -> None:
        self.retraction.close()
        super().announce(subject, entries, life_s)


def test_what_is_retracted_during_a_beat_is_not_announced_again() -> None:
    leases = LeasesRetractedMeanwhile(FakeClock(datetime(2026, 1, 1, tzinfo=UTC)))
    keeper = LeaseKeeper(leases, FakeClock(datetime(2026, 1, 1, tzinfo=UTC)), life_s=3600)
    keeper.announce("series", ["read", "on its way"])
    leases.retraction.callback(keeper.retract, "series", ["read"])

    keeper.beat()
    keeper.close()

    assert leases.announced("series") == ["on its way"]


def test_a_lease_given_back_during_a_beat_is_not_taken_again() -> None:
    leases = LeasesGivenBackMeanwhile(FakeClock(datetime(2026, 1, 1, tzinfo=UTC)))
    keeper = LeaseKeeper(leases, FakeClock(datetime(2026, 1, 1, tzinfo=UTC)), life_s=3600)
    lease = leases.take(NAME, "token", LIFE_S)
    assert lease is not None
    lost: list[str] = []
    leases.owner.enter_context(keeper.keeping(lease, 300.0, lambda: lost.append(NAME)))

    keeper.beat()
    keeper.close()

    assert (leases.look(NAME).held, lost) == (False, [])
