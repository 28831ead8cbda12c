"""What a plant is before it has rows: its years, its clock, its seed and how many rows each table gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from sluice_twin.columns import Ints
from sluice_twin.tables import catalogue

GENERATOR_VERSION: Final = "2"
DEFAULT_SEED: Final = 20240101

PLANT_START: Final = datetime(2024, 1, 1)
PLANT_END: Final = datetime(2026, 1, 1)
"""Nothing happens at or after this instant; the last calendar day of the plant is 2025-12-31."""
PLANT_TIME: Final = datetime(2026, 1, 1, 8)
"""Where the plant's clock stands, half an hour into a production day."""

_EPOCH: Final = datetime(1970, 1, 1)

ROWS_AT_SCALE_1: Final[Mapping[str, int]] = {
    "DW_MES_CONTAINER": 50_000,
    "DW_MES_WIP": 100_000,
    "DW_MES_HOLDRELEASEHISTORY": 60_000,
    "DW_MES_LOTREJECTHISTORY": 500_000,
    "DW_MES_LOTWIPHISTORY": 300_000,
    "DW_MES_LOTWIPDATAHISTORY": 150_000,
    "DW_MES_LOTMATERIALSHISTORY": 120_000,
    "DW_MES_HM_LOTMOVEOUT": 300_000,
    "DW_MES_PJ_COMBINEDASSYLOTS": 18_000,
    "DW_MES_RESOURCE": 3_000,
    "DW_MES_RESOURCESTATUS": 200_000,
    "DW_MES_RESOURCESTATUS_SHIFT": 700_000,
    "DW_MES_JOB": 12_000,
    "DW_MES_JOBTXNHISTORY": 60_000,
    "DW_MES_PARTREQUESTORDER": 2_500,
    "DW_MES_MAINTENANCE": 80_000,
    "ERP_WIP_MOVETXN": 60_000,
    "ERP_WIP_MOVETXN_DETAIL": 120_000,
}
"""Tables whose size follows the scale. The others are dictionaries or views of now and have their own size."""

# Below these the planted oddities, or one machine per work-centre group, would not fit.
_LEAST_ROWS: Final[Mapping[str, int]] = {
    "DW_MES_CONTAINER": 400,
    "DW_MES_HOLDRELEASEHISTORY": 200,
    "DW_MES_LOTREJECTHISTORY": 500,
    "DW_MES_LOTWIPHISTORY": 300,
    "DW_MES_HM_LOTMOVEOUT": 300,
    "DW_MES_PJ_COMBINEDASSYLOTS": 60,
    "DW_MES_RESOURCE": 120,
    "DW_MES_JOB": 60,
}


class UnusableSize(ValueError):
    """A size was asked for a table that has none of its own, or one too small for what is planted in it."""


@dataclass(frozen=True)
class PlantSpec:
    """Everything that decides a plant's rows. Two equal specs give the same rows."""

    scale: float
    seed: int = DEFAULT_SEED
    sizes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.scale <= 100:
            raise UnusableSize(f"scale {self.scale} is not between 0 and 100")
        if self.seed < 0:
            raise UnusableSize(f"seed {self.seed} is negative")
        for name, row_count in self.sizes.items():
            if name not in ROWS_AT_SCALE_1:
                raise UnusableSize(f"{name} has no size of its own; {', '.join(ROWS_AT_SCALE_1)} have")
            if row_count < _LEAST_ROWS.get(name, 1):
                raise UnusableSize(f"{name} needs at least {_LEAST_ROWS.get(name, 1)} rows, not {row_count}")

    def row_count(self, table: str) -> int:
        """Rows of one table whose size follows the scale."""
        if table in self.sizes:
            return self.sizes[table]
        return max(round(ROWS_AT_SCALE_1[table] * self.scale), _LEAST_ROWS.get(table, 1))

    def random(self, table: str) -> np.random.Generator:
        """The table's own random numbers, so that no table depends on how many another one drew before it."""
        return np.random.default_rng([self.seed, list(catalogue()).index(table)])


def second(instant: datetime) -> int:
    """A plant-local instant as whole seconds since 1970 on the plant's own clock."""
    return int((instant - _EPOCH).total_seconds())


def instant(second_: int) -> datetime:
    """The plant-local instant of a second (see `second`)."""
    return _EPOCH + timedelta(seconds=int(second_))


START_S: Final = second(PLANT_START)
END_S: Final = second(PLANT_END)
CLOCK_S: Final = second(PLANT_TIME)
DAY_S: Final = 86_400


def busy_times(rng: np.random.Generator, count: int) -> Ints:
    """Ascending seconds over the plant's years: fewer on Sundays, a little more each month."""
    days = (END_S - START_S) // DAY_S
    day = np.arange(days)
    weight = (0.8 + 0.4 * day / days) * np.where((day + PLANT_START.weekday()) % 7 == 6, 0.55, 1.0)
    chosen = rng.choice(days, size=count, p=weight / weight.sum())
    return np.sort(START_S + chosen * DAY_S + rng.integers(0, DAY_S, count)).astype(np.int64)
