"""What can go wrong between us and the warehouse.

Unavailable
├── PermitsExhausted
├── PoolExhausted
├── CircuitOpen
└── WarehouseUnavailable
Internal
├── WarehouseError ── LogonRefused, PasswordUnreadable
└── ContractBroken
QueryTimeout ── StatementTimeout
Cancelled ── StatementCancelled
"""

from __future__ import annotations

from typing import Final

from sluice_rpc.errors import Cancelled, Internal, QueryTimeout, Unavailable

_NO_PASSWORD: Final = 1005


class PermitsExhausted(Unavailable):
    """No permit to run a statement came free in time."""

    reason = "PERMITS_EXHAUSTED"

    def __init__(self, total_count: int, waited_s: float) -> None:
        super().__init__(
            f"no permit of {total_count} came free in {waited_s:.0f} s", total_count=total_count, waited_s=waited_s
        )


class PoolExhausted(Unavailable):
    """No connection for a short look-up came free in time."""

    reason = "POOL_EXHAUSTED"

    def __init__(self, total_count: int, waited_s: float) -> None:
        super().__init__(
            f"no connection of {total_count} came free in {waited_s:.0f} s", total_count=total_count, waited_s=waited_s
        )


class CircuitOpen(Unavailable):
    """The warehouse failed so often that nobody is let through for now."""

    reason = "CIRCUIT_OPEN"

    def __init__(self) -> None:
        super().__init__("the warehouse failed repeatedly and rests")


class WarehouseUnavailable(Unavailable):
    """The warehouse cannot be reached, or dropped the session."""

    reason = "WAREHOUSE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("the warehouse cannot be reached")


class WarehouseError(Internal):
    """The warehouse refused or broke off the statement.

    Args:
        ora: the Oracle number; of a twin, the number Oracle has for the same fault, 600 where there is none.
    """

    reason = "WAREHOUSE_ERROR"

    def __init__(self, ora: int) -> None:
        super().__init__(f"the warehouse refused the statement (ORA-{ora:05d})", ora=ora)
        self.ora = ora


class LogonRefused(WarehouseError):
    """The logon was refused a while ago and is not tried again yet, lest the account be locked; nobody was asked.

    Args:
        ora: the number it was refused with.
        left_s: seconds until it is tried again; a password that was written anew is tried at once.
    """

    def __init__(self, ora: int, left_s: float) -> None:
        super().__init__(ora)
        self.message = f"the warehouse refused the logon (ORA-{ora:05d}); it is tried again in {left_s:.0f} s"
        self.args = (self.message,)


class PasswordUnreadable(WarehouseError):
    """The file of the password is not there or cannot be read, so that nobody was asked (as ORA-01005)."""

    def __init__(self) -> None:
        super().__init__(_NO_PASSWORD)
        self.message = "the file of the warehouse's password cannot be read"
        self.args = (self.message,)


class ContractBroken(Internal):
    """The rows do not fit the declared columns.

    Args:
        column: the first declared, missing or undeclared column at fault.
        part: name of the statement.
        fault: what is wrong with the column, in a few words without any value.
    """

    reason = "CONTRACT_BROKEN"

    def __init__(self, column: str, part: str, fault: str = "does not fit its declared type") -> None:
        super().__init__(f"column {column!r} of {part!r} {fault}", column=column, part=part)


class StatementTimeout(QueryTimeout):
    """The statement ran into its wall-clock deadline and was ended."""

    def __init__(self, part: str, deadline_s: float) -> None:
        super().__init__(f"{part!r} did not end within {deadline_s:g} s", part=part, deadline_s=deadline_s)


class StatementCancelled(Cancelled):
    """Somebody withdrew the statement, before or while it ran."""

    def __init__(self, part: str) -> None:
        super().__init__(f"{part!r} was withdrawn", part=part)
