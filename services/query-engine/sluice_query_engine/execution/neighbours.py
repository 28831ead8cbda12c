"""What other engines that share the Redis plan and read at this moment, so that plans of overlapping queries meet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sluice_rpc.ports import Clock, Ids

from sluice_query_engine.execution.lease_keeper import LeaseKeeper
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.leases import LEASE_S, Lease, Leases, LeasesAway
from sluice_query_engine.planning.time_range import instant_text

PLANNING_WAIT_S: Final = 5.0
"""Longest wait for another process that plans; after it both plan, and at worst cut the same days differently."""
_LOOK_S: Final = 0.02
"""Planning takes some milliseconds."""


@dataclass(frozen=True)
class Expected:
    """A time chunk that somebody is about to read: its series and its range; `end` is None as in a chunk."""

    series: str
    start: datetime
    end: datetime | None

    def entry(self, owner: str) -> str:
        """Return it as it is announced; whoever announces it is part of it, so that only they retract it."""
        return json.dumps([instant_text(self.start), instant_text(self.end) if self.end else "", owner])

    @classmethod
    def of_entry(cls, series: str, entry: str) -> Expected:
        """Return what was announced."""
        start, end, _ = json.loads(entry)
        return cls(series, datetime.fromisoformat(start), datetime.fromisoformat(end) if end else None)


class Neighbours(Protocol):
    """What flights tell other processes, and learn from them. Nothing here raises."""

    @property
    def out_of_reach(self) -> bool:
        """There should be a way to other processes, and it was broken when last tried."""
        ...

    def planning(self, subject: str) -> Iterator[None]:
        """Plan inside, while no other process plans the same subject; a generator for `contextmanager`."""
        ...

    def expect(self, chunks: Sequence[Expected]) -> None:
        """Say that these chunks will be there soon."""
        ...

    def forget(self, chunks: Sequence[Expected]) -> None:
        """Say that they are no longer on their way."""
        ...

    def expected(self, series: str) -> list[Expected]:
        """Return what other processes, or this one, have said of a series."""
        ...


class NoNeighbours:
    """A process that is alone, as it should be."""

    out_of_reach = False

    def planning(self, subject: str) -> Iterator[None]:
        yield

    def expect(self, chunks: Sequence[Expected]) -> None:
        return

    def forget(self, chunks: Sequence[Expected]) -> None:
        return

    def expected(self, series: str) -> list[Expected]:
        return []


class LeasedNeighbours:
    """Neighbours met through leases; alone while those cannot be asked.

    Args:
        leases: where announcements are.
        keeper: repeats ours, and keeps the lease of planning.
        clock: bounds the wait for planning.
        ids: name this process.
    """

    def __init__(self, leases: Leases, keeper: LeaseKeeper, clock: Clock, ids: Ids) -> None:
        self._leases = leases
        self._keeper = keeper
        self._clock = clock
        self._ids = ids
        self._owner = ids.new()

    @property
    def out_of_reach(self) -> bool:
        return self._leases.degraded

    def planning(self, subject: str) -> Iterator[None]:
        lease = self._turn(f"planning:{subject}")
        if lease is None:
            yield
            return
        with self._keeper.keeping(lease, PLANNING_WAIT_S, CancelScope().cancel):
            yield

    def expect(self, chunks: Sequence[Expected]) -> None:
        for series, entries in self._by_series(chunks).items():
            self._keeper.announce(series, entries)

    def forget(self, chunks: Sequence[Expected]) -> None:
        for series, entries in self._by_series(chunks).items():
            self._keeper.retract(series, entries)

    def expected(self, series: str) -> list[Expected]:
        with suppress(LeasesAway):
            return [Expected.of_entry(series, entry) for entry in self._leases.announced(series)]
        return []

    def _turn(self, name: str) -> Lease | None:
        until = self._clock.monotonic() + PLANNING_WAIT_S
        token = self._ids.new()
        with suppress(LeasesAway):
            while self._clock.monotonic() < until:
                lease = self._leases.take(name, token, LEASE_S)
                if lease is not None:
                    return lease
                self._rest()
        return None

    def _rest(self) -> None:
        CancelScope().withdrawn.wait(_LOOK_S)

    def _by_series(self, chunks: Sequence[Expected]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for chunk in chunks:
            found.setdefault(chunk.series, []).append(chunk.entry(self._owner))
        return found
