"""What a tier is: a place that holds copies of frames under names of its own. The contract suite runs on each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from sluice_cache.frames import Frame, TierKind


class CopyBroken(Exception):
    """A copy is not what its frame says: cut, swapped, or of another shape. The copy is worthless."""


class TierFull(Exception):
    """The tier takes nothing more; the frame is served all the same, only not kept there."""


class TierAway(Exception):
    """The tier does not answer now; what it holds may be there again later."""


@dataclass(frozen=True)
class TierCounts:
    """Counts of a tier since the process started.

    Attributes:
        beside_bytes: what else lives on the budget.
        oldest_time, newest_time: when the oldest and the newest copy were made; None when there is none.
        disk_reason: why the tier's disk takes no new file; empty when it does.
        switched_off: the settings leave the tier out.
    """

    available: bool = True
    reason: str = ""
    frame_count: int = 0
    bytes: int = 0
    max_bytes: int = 0
    hit_count: int = 0
    miss_count: int = 0
    eviction_count: int = 0
    oldest_time: datetime | None = None
    newest_time: datetime | None = None
    beside_bytes: int = 0
    disk_reason: str = ""
    switched_off: bool = False

    def after_read(self, *, hit: bool) -> TierCounts:
        """Return the counts with one read more."""
        return replace(self, hit_count=self.hit_count + hit, miss_count=self.miss_count + (not hit))


class Copy(Protocol):
    """One opened copy; stays readable until closed, whatever happens to its frame meanwhile."""

    @property
    def schema(self) -> pa.Schema: ...

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, batch by batch."""
        ...

    def close(self) -> None: ...


class TierWriter(Protocol):
    """A copy in the making; invisible until committed."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def commit(self) -> str:
        """Complete the copy and return the tier's name for it."""
        ...

    def abort(self) -> None:
        """Leave nothing behind; harmless after commit or abort."""
        ...


class Counted(Protocol):
    """What statistics ask of a tier."""

    @property
    def kind(self) -> TierKind: ...

    def counts(self) -> TierCounts: ...


class SwitchedOff:
    """Stands in the statistics for a tier that the settings leave out."""

    def __init__(self, kind: TierKind, reason: str) -> None:
        self.kind = kind
        self._reason = reason

    def counts(self) -> TierCounts:
        return TierCounts(available=False, reason=self._reason, switched_off=True)


class Tier(Protocol):
    """A place for copies of frames."""

    @property
    def kind(self) -> TierKind: ...

    def create(self, frame_id: str, version: int, schema: pa.Schema) -> TierWriter:
        """Begin a copy.

        Raises:
            TierFull: there is no room.
        """
        ...

    def open(self, frame: Frame) -> Copy | None:
        """Return the frame's copy in this tier, or None when it is not there any more.

        Raises:
            CopyBroken: it is there and does not fit the frame.
            TierAway: it cannot be known now.
        """
        ...

    def delete(self, token: str) -> None:
        """Drop a copy; open readers end well. Dropping what is not there succeeds."""
        ...

    def counts(self) -> TierCounts: ...
