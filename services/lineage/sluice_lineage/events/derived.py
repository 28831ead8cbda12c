"""Columns that are computed from what the statement read, over whole record batches."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sluice_lineage.events.domain import DomainError, EventColumn, EventDomain

_HOUR_S: Final = 3_600


@dataclass(frozen=True)
class WorkCenterGroup:
    """A group of work centres, told by the names of its members."""

    name: str
    patterns: tuple[str, ...]
    excluded: tuple[str, ...]

    def takes(self, workcenter: str) -> bool:
        """Return whether a work centre, in upper case, belongs to it."""
        return not any(word in workcenter for word in self.excluded) and any(
            word in workcenter for word in self.patterns
        )


class _GroupFacts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    patterns: tuple[str, ...] = Field(min_length=1)
    excluded: tuple[str, ...] = ()


class _GroupFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    group: tuple[_GroupFacts, ...]


def load_groups(path: Path) -> tuple[WorkCenterGroup, ...]:
    """Return the groups of a file, in its order.

    Raises:
        DomainError: the file is not there, or no list of groups.
    """
    try:
        listed = _GroupFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).group
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise DomainError(f"{path}: {error}") from error
    return tuple(WorkCenterGroup(found.name, _upper(found.patterns), _upper(found.excluded)) for found in listed)


class Completion:
    """Makes the columns of an answer from those that were read.

    Args:
        groups: of work centres, the first that takes a name has it.
    """

    def __init__(self, groups: Sequence[WorkCenterGroup]) -> None:
        self._groups = groups

    def complete(self, domain: EventDomain, batch: pa.RecordBatch, as_of: datetime | None) -> pa.RecordBatch:
        """Return the batch with all columns of the domain, in its order.

        Args:
            domain: whose rows these are.
            batch: the columns that were read.
            as_of: plant-local time to which hours of open rows are counted; None where the domain counts none.
        """
        arrays = [
            batch.column(column.name) if column.derived is None else self._derived(column, batch, as_of)
            for column in domain.columns
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=domain.schema)

    def group_of(self, workcenter: str) -> str | None:
        """Return the group of a work centre, None where its name tells none."""
        upper = workcenter.upper()
        return next((group.name for group in self._groups if group.takes(upper)), None)

    def _derived(self, column: EventColumn, batch: pa.RecordBatch, as_of: datetime | None) -> pa.Array:
        sources = [batch.column(name) for name in column.sources]
        match column.derived:
            case "workcenter_group":
                return self._groups_of(sources[0])
            case "hours_between":
                return _hours(sources[0], sources[1], as_of)
            case _:
                return pc.cast(pc.floor_temporal(sources[0], unit="day"), pa.date32())

    def _groups_of(self, workcenters: pa.Array) -> pa.Array:
        # A batch has thousands of rows and a handful of work centres.
        coded = workcenters.dictionary_encode()
        groups = pa.array([self.group_of(name) for name in coded.dictionary.to_pylist()], pa.string())
        return groups.take(coded.indices)


def _hours(start: pa.Array, end: pa.Array, as_of: datetime | None) -> pa.Array:
    """Return hours with two decimals, halves away from zero as Oracle rounds; NULL where there is no start."""
    until = pc.fill_null(end, pa.scalar(as_of, pa.timestamp("s")))
    seconds = pc.subtract(until, start).cast(pa.int64())
    size = pc.divide(pc.add(pc.multiply(pc.abs(seconds), 100), _HOUR_S // 2), _HOUR_S)
    return pc.divide(pc.multiply(size, pc.sign(seconds)).cast(pa.float64()), 100.0)


def _upper(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word.upper() for word in words)
