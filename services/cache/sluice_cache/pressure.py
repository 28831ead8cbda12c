"""The ladder of memory pressure: normal, warn, evict, refuse. Pure; what is read and what is done live elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How short of memory the process is."""

    NORMAL = 0
    WARN = 1
    EVICT = 2
    REFUSE = 3


@dataclass(frozen=True)
class Reading:
    """Memory at one moment.

    Attributes:
        own_bytes: what the process holds and nobody can take from it: resident, without the pages of mapped files,
            which the system drops when it needs them. 0 when it cannot be read.
        limit_bytes: most that it may hold. 0 when it cannot be known.
        system_used_ratio: part of the machine's, or the container's, memory that is in use; 0 when it cannot be read.
        rss_bytes: what is resident, the pages of mapped files included. 0 when it cannot be read.
    """

    own_bytes: int = 0
    limit_bytes: int = 0
    system_used_ratio: float = 0.0
    rss_bytes: int = 0

    @property
    def own_ratio(self) -> float:
        """Part of the limit that the process holds; 0 where either is unknown, so that nothing is refused for that."""
        return self.own_bytes / self.limit_bytes if self.limit_bytes > 0 else 0.0


@dataclass(frozen=True)
class Thresholds:
    """Where the rungs are, as parts of the limit and of the machine.

    Attributes:
        warn_ratio, evict_ratio, refuse_ratio: of the process's own limit.
        system_evict_ratio, system_refuse_ratio: of the machine.
        relief_ratio: so far below a rung's threshold the ladder steps down from it, lest it swings at each reading.
    """

    warn_ratio: float = 0.70
    evict_ratio: float = 0.85
    refuse_ratio: float = 0.95
    system_evict_ratio: float = 0.85
    system_refuse_ratio: float = 0.92
    relief_ratio: float = 0.05

    def level_of(self, reading: Reading, slack: float = 0.0) -> Level:
        """Return the highest rung whose threshold, less the slack, is reached."""
        own, system = reading.own_ratio + slack, reading.system_used_ratio + slack
        if own >= self.refuse_ratio or system >= self.system_refuse_ratio:
            return Level.REFUSE
        if own >= self.evict_ratio or system >= self.system_evict_ratio:
            return Level.EVICT
        return Level.WARN if own >= self.warn_ratio else Level.NORMAL


def step(level: Level, reading: Reading, thresholds: Thresholds) -> Level:
    """Return the rung after a reading: up at once, down only past the relief."""
    risen = thresholds.level_of(reading)
    # Unknown values are 0 and stay so with the slack: a machine that tells nothing is never under pressure.
    slack = thresholds.relief_ratio if reading.own_ratio or reading.system_used_ratio else 0.0
    return max(risen, min(level, thresholds.level_of(reading, slack)))
