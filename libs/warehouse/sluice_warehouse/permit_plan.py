"""How the cap is divided: a reserved share for each process by name, and what is left for leases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class PlanError(ValueError):
    """The shares do not fit; the message names the settings."""


@dataclass(frozen=True)
class PermitPlan:
    """The cap divided, the same for every process of a deployment."""

    cap: int
    """Statements that the warehouse's owner allows all processes together."""
    shares: Mapping[str, int]
    """Permits that nobody but the named process can take."""

    def __post_init__(self) -> None:
        if self.lease_count < 0:
            raise PlanError(
                f"CAP (or DB_SLOW_MAX_CONCURRENT) is {self.cap}, and SHARES ({self.shares_text}) together are "
                f"{sum(self.shares.values())}; lower a share or ask for a higher cap"
            )

    @property
    def lease_count(self) -> int:
        """Permits that are nobody's share."""
        return self.cap - sum(self.shares.values())

    @property
    def shares_text(self) -> str:
        """The shares as the setting has them, in name order."""
        return ",".join(f"{name}={count}" for name, count in sorted(self.shares.items()))

    def share_of(self, process: str) -> int:
        """Return the share of a process.

        Raises:
            PlanError: it has none.
        """
        if process not in self.shares:
            raise PlanError(f"NAME is {process!r}, which has no share in SHARES ({self.shares_text})")
        return self.shares[process]


def parse_shares(text: str) -> dict[str, int]:
    """Return shares by process from `name=count,name=count`.

    Raises:
        PlanError: the text has another form, a name twice, or a share below 1.
    """
    shares: dict[str, int] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, count = (part.strip() for part in item.partition("="))
        if not name or not count.isdecimal() or int(count) < 1 or name in shares:
            raise PlanError(f"SHARES: {item!r} is not one name=count of at least 1 for a process of its own")
        shares[name] = int(count)
    return shares
