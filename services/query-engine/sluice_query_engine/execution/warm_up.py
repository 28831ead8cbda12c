"""Keeps the usual ranges of datasets warm: asks them as a caller would, before anybody does.

The parameters go through the same door as a caller's, so that the query is the same by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc.errors import ServiceError

from sluice_query_engine.dataset import Dataset, WarmUp
from sluice_query_engine.execution.turns import Turn, Turns
from sluice_query_engine.parameters import JSON, canonical
from sluice_query_engine.plant_clock import PlantClock

log = structlog.get_logger()


class WarmUps:
    """Asks usual ranges in its turns.

    Args:
        turns: when, and which engine.
        plant_clock: says which day is the last.
    """

    def __init__(self, turns: Turns, plant_clock: PlantClock) -> None:
        self._turns = turns
        self._plant_clock = plant_clock

    def start(self, datasets: Sequence[Dataset]) -> None:
        """Begin to ask the usual ranges of those datasets that declare one."""
        for dataset in datasets:
            rule = dataset.warm_up
            if rule is not None:
                turn = Turn(f"warm-up-{dataset.name}", partial(self._tried, dataset), partial(float, rule.every_s))
                self._turns.start(turn)

    def ask(self, dataset: Dataset, rule: WarmUp) -> pb.Query:
        """Ask the usual range as of now and return the query as it ended.

        Raises:
            ServiceError: as a caller's request would.
        """
        return self._turns.ask(dataset, usual_parameters(dataset, rule, self._plant_clock.now()), "warm-up")

    def _tried(self, dataset: Dataset) -> None:
        if dataset.warm_up is None:
            return
        try:
            self.ask(dataset, dataset.warm_up)
        except ServiceError as error:
            log.warning("usual range is not warm", dataset=dataset.name, reason=error.reason)


def usual_parameters(dataset: Dataset, rule: WarmUp, now: datetime) -> dict[str, JSON]:
    """Return the canonical parameters of the usual range, up to the day of `now`, plant-local."""
    last = dataset.day_rule.day_of(now)
    dates = {"start_date": last - timedelta(days=rule.days - 1), "end_date": last}
    given: dict[str, object] = {item.name: dates[item.role].isoformat() for item in dataset.parameters if item.role}
    return canonical(dataset, {**rule.parameters, **given})
