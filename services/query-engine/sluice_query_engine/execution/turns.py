"""What an engine reads without being asked: again and again, and of several engines one at a time.

Whose turn it is, a lease says that lasts for most of the interval and is not given back. What is read is a query like
any other, so that rows, receipt and views are those of queries.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc.ports import Ids

from sluice_query_engine.dataset import Dataset
from sluice_query_engine.execution.coordinator import Coordinator
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.leases import Leases, LeasesAway
from sluice_query_engine.parameters import JSON

_LEASED_SHARE: Final = 0.8
"""Of the interval; a lease that lasted longer would stop its own owner's next turn."""


@dataclass(frozen=True)
class Turn:
    """What is done again and again for one dataset.

    Args:
        name: of its lease and its thread.
        take: does it, where it is this engine's turn.
        wait_s: seconds until the next turn, looked up before each.
    """

    name: str
    take: Callable[[], object]
    wait_s: Callable[[], float]


class Turns:
    """Takes turns in threads of its own, one for each thing to be done.

    Args:
        coordinator: runs queries.
        leases: one engine at a time; None where this is alone.
        ids: tell turns apart.
    """

    def __init__(self, coordinator: Coordinator, leases: Leases | None, ids: Ids) -> None:
        self._coordinator = coordinator
        self._leases = leases
        self._ids = ids
        self._stopping = threading.Event()
        self._running: dict[str, QueryRun] = {}
        self._threads: list[threading.Thread] = []

    def start(self, turn: Turn) -> None:
        """Begin to take turns; the first at once."""
        thread = threading.Thread(target=self._keep, args=(turn,), name=turn.name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def ask(self, dataset: Dataset, parameters: Mapping[str, JSON], who: str) -> pb.Query:
        """Run a query for ourselves and return it as it ended; stopping ends the wait.

        Raises:
            ServiceError: as a caller's request would.
        """
        client_id = f"{who} {self._ids.new()}"
        query = self._coordinator.start(dataset, parameters, no_cache=False, client_id=client_id)
        run = self._coordinator.run_of(query.query_id)
        if run is None:
            return query
        self._running[dataset.name] = run
        for _ in run.watch(lambda: not self._stopping.is_set()):
            continue
        return run.snapshot()

    def close(self) -> None:
        """Take no more turns, and wait for the one that is being taken."""
        self._stopping.set()
        for run in list(self._running.values()):
            run.wake()
        for thread in self._threads:
            thread.join()

    def _keep(self, turn: Turn) -> None:
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            if self._is_ours(turn.name, turn.wait_s() * _LEASED_SHARE):
                turn.take()
            wait_s = turn.wait_s()

    def _is_ours(self, name: str, life_s: float) -> bool:
        """Return whether the turn is this engine's; without anybody to ask, it is."""
        if self._leases is None:
            return True
        with suppress(LeasesAway):
            return self._leases.take(name, self._ids.new(), life_s) is not None
        return True
