"""Keeps the usual ranges of datasets warm: asks them as a caller would, before anybody does.

The parameters go through the same door as a caller's, so that the query is the same by construction. Of several engines
one asks at a time: it holds a lease for most of the interval, and does not give it back.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog
from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import Ids

from sluice_query_engine.dataset import Dataset, WarmUp
from sluice_query_engine.execution.coordinator import Coordinator
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.leases import Leases, LeasesAway
from sluice_query_engine.parameters import canonical
from sluice_query_engine.plant_clock import PlantClock

log = structlog.get_logger()

_LEASED_SHARE: Final = 0.8
"""Of the interval; a lease that lasted longer would stop its own owner's next turn."""


class WarmUps:
    """Asks usual ranges in threads of its own.

    Args:
        datasets: that declare one.
        coordinator: runs queries.
        plant_clock: says which day is the last.
        leases: one engine asks at a time; None where this is alone.
        ids: tell turns apart.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        coordinator: Coordinator,
        plant_clock: PlantClock,
        leases: Leases | None,
        ids: Ids,
    ) -> None:
        self._coordinator = coordinator
        self._plant_clock = plant_clock
        self._leases = leases
        self._ids = ids
        self._stopping = threading.Event()
        self._running: dict[str, QueryRun] = {}
        self._threads = [
            threading.Thread(target=self._keep, args=(item, item.warm_up), name=f"warm-up-{item.name}", daemon=True)
            for item in datasets
            if item.warm_up is not None
        ]

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def ask(self, dataset: Dataset, rule: WarmUp) -> pb.Query:
        """Ask the usual range as of now and return the query as it ended.

        Raises:
            ServiceError: as a caller's request would.
        """
        last = dataset.day_rule.day_of(self._plant_clock.now())
        dates = {"start_date": last - timedelta(days=rule.days - 1), "end_date": last}
        given: dict[str, object] = {item.name: dates[item.role].isoformat() for item in dataset.parameters if item.role}
        parameters = canonical(dataset, {**rule.parameters, **given})
        query = self._coordinator.start(dataset, parameters, no_cache=False, client_id=f"warm-up {self._ids.new()}")
        run = self._coordinator.run_of(query.query_id)
        if run is None:
            return query
        self._running[dataset.name] = run
        for _ in run.watch(lambda: not self._stopping.is_set()):
            continue
        return run.snapshot()

    def close(self) -> None:
        """Stop asking, and wait for the query that runs to be let go."""
        self._stopping.set()
        for run in list(self._running.values()):
            run.wake()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _keep(self, dataset: Dataset, rule: WarmUp) -> None:
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            wait_s = float(rule.every_s)
            if self._turn(dataset, wait_s * _LEASED_SHARE):
                try:
                    self.ask(dataset, rule)
                except ServiceError as error:
                    log.warning("usual range is not warm", dataset=dataset.name, reason=error.reason)

    def _turn(self, dataset: Dataset, life_s: float) -> bool:
        """Return whether it is this engine's to ask; without anybody to ask, it is."""
        if self._leases is None:
            return True
        with suppress(LeasesAway):
            return self._leases.take(f"warm-up-{dataset.name}", self._ids.new(), life_s) is not None
        return True
