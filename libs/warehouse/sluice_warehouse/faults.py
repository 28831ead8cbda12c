"""Faults on cue for the embedded twin: what shall go wrong, said by a function in a test or a file in a running suite.

The file is JSON, a list of rules, read anew for every statement. A rule names a `statement` and optionally a
`start_time` or `end_time` (ISO 8601, compared with the bind of that name) and says what happens: `code`, the reason of
a warehouse error; `delay_s`, a pause before the first row, or after `hang_after_row_count` rows; `after_row_count`,
rows that still come before the error. The first rule that fits counts; a file that is not there asks for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

from sluice_rpc.errors import ServiceError

from sluice_warehouse import Bind, Statement
from sluice_warehouse.errors import (
    CircuitOpen,
    ContractBroken,
    StatementCancelled,
    StatementTimeout,
    WarehouseError,
    WarehouseUnavailable,
)

_ERRORS: Final[Mapping[str, Callable[[str], ServiceError]]] = {
    "CIRCUIT_OPEN": lambda part: CircuitOpen(),
    "WAREHOUSE_UNAVAILABLE": lambda part: WarehouseUnavailable(),
    "WAREHOUSE_ERROR": lambda part: WarehouseError(600),
    "CONTRACT_BROKEN": lambda part: ContractBroken("fault", part),
    "QUERY_TIMEOUT": lambda part: StatementTimeout(part, 0),
    "CANCELLED": StatementCancelled,
}


_TIMES: Final = ("start_time", "end_time")


class FaultFileError(Exception):
    """The fault file is no list of rules; the message names the rule."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one statement."""

    error: ServiceError | None = None
    """Raised in place of rows; None leaves the statement alone."""
    delay_s: float = 0.0
    """Pause before the statement starts, or later; a cancel or the deadline ends it."""
    after_row_count: int = 0
    """Rows that still come before the error; 0 means that the statement never starts."""
    hang_after_row_count: int = 0
    """Rows that still come before the pause; 0 means that it comes before the statement starts."""


FaultSource: TypeAlias = Callable[[Statement, Mapping[str, Bind]], Fault | None]
"""Says what goes wrong with a statement and its values; None lets it run."""


class FaultFile:
    """The faults that a file asks for.

    Args:
        path: the file; need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, statement: Statement, binds: Mapping[str, Bind]) -> Fault | None:
        """Return the fault of the first rule that fits.

        Raises:
            FaultFileError: the file is malformed.
        """
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            rules = json.loads(text)
            fitting = [rule for rule in rules if _fits(rule, statement, binds)]
            return _fault(fitting[0], statement) if fitting else None
        except (ValueError, TypeError, KeyError) as error:
            raise FaultFileError(f"{self._path}: {error!r}") from error


def _fits(rule: Mapping[str, object], statement: Statement, binds: Mapping[str, Bind]) -> bool:
    if rule["statement"] != statement.name:
        return False
    wanted = {name: rule[name] for name in _TIMES if name in rule}
    return all(binds.get(name) == datetime.fromisoformat(str(instant)) for name, instant in wanted.items())


def _fault(rule: Mapping[str, object], statement: Statement) -> Fault:
    code = rule.get("code")
    return Fault(
        error=None if code is None else _ERRORS[str(code)](statement.name),
        delay_s=float(str(rule.get("delay_s", 0))),
        after_row_count=int(str(rule.get("after_row_count", 0))),
        hang_after_row_count=int(str(rule.get("hang_after_row_count", 0))),
    )
