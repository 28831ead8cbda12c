"""The fault matrix: what each fault becomes in each phase and lane, read from fault_matrix.toml.

The file is the promise; what is here only makes cells of it, and rules of the stand-in of the cells.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from sluice_twin.oracle_wire import FaultRule

Lane: TypeAlias = Literal["slow", "pool"]
Rule: TypeAlias = Mapping[str, Any]

MATRIX: Final = Path(__file__).parent / "fault_matrix.toml"
LANES: Final[tuple[Lane, ...]] = ("slow", "pool")
VICTIM: Final = "victim"
"""The action of the session that the fault is for."""

NOBODY: Final = "nobody listening"
"""The fault that is none of the stand-in's rules."""
_HELD_UP: Final = FaultRule(phase="execute", action=VICTIM, do="stall", seconds=30, times=1)
PHASES: Final[Mapping[str, Rule]] = {
    "listen": {"phase": "listen"},
    "logon": {"phase": "logon"},
    "prepare": {"phase": "execute", "statement": "alter session"},
    "describe": {"phase": "describe", "action": VICTIM},
    "execute": {"phase": "execute", "action": VICTIM},
    "first": {"phase": "fetch", "action": VICTIM, "batch": 0},
    "middle": {"phase": "fetch", "action": VICTIM, "batch": 2},
    "last": {"phase": "fetch", "action": VICTIM, "batch": "last"},
    "cancel": {"phase": "break", "action": VICTIM},
}
"""What may be under way when a fault comes: the connect packet, the password, the session's state, the columns, the
execution, three replies with rows, and the answer to a cancel."""
CONNECTING: Final = frozenset({"listen", "logon", "prepare", "describe"})
"""Phases before anything of the statement runs."""


@dataclass(frozen=True)
class Cell:
    """One fault in one phase of one lane, and what it becomes.

    Args:
        fault: its name.
        rule: what the stand-in does, once.
        victim: what the reading that is hit ends with.
        others: what readings beside it end with.
    """

    fault: str
    phase: str
    lane: Lane
    rule: Rule
    victim: str
    others: str

    @property
    def name(self) -> str:
        """How tests call it."""
        return f"{self.fault}-{self.phase}-{self.lane}".replace(" ", "_")

    @property
    def hit(self) -> FaultRule:
        """The rule of the stand-in that is the fault."""
        return FaultRule.model_validate({**PHASES[self.phase], "times": 1, **self.rule})

    @property
    def rules(self) -> list[FaultRule]:
        """All rules of the stand-in."""
        if self.fault == NOBODY:
            return []
        if self.phase == "cancel" and self.hit.phase == "break":
            # Something must be held up to be cancelled; what does not listen to a cancel holds itself up.
            return [_HELD_UP, self.hit]
        if self.hit.column is not None and self.phase == "execute":
            # DDL between the describe and the execution is still there when the columns are asked for again.
            return [self.hit, self.hit.model_copy(update={"phase": "describe", "ordinal": 2})]
        return [self.hit]


def cells() -> list[Cell]:
    """Return every cell of the matrix, in its order.

    Raises:
        ValueError: a phase has no such name.
    """
    faults = tomllib.loads(MATRIX.read_text(encoding="utf-8"))["fault"]
    return [cell for fault in faults for cell in _cells_of(fault)]


def _cells_of(fault: Mapping[str, Any]) -> list[Cell]:
    odd = {phase for lane in LANES for phase in fault.get(lane, {})} | set(fault.get("both", {}))
    if odd - set(PHASES):
        raise ValueError(f"{fault['name']}: no phases {sorted(odd - set(PHASES))}")
    made = []
    for phase in PHASES:
        for lane in LANES:
            victim = fault.get(lane, {}).get(phase) or fault.get("both", {}).get(phase)
            if victim is not None:
                made.append(Cell(fault["name"], phase, lane, fault["rule"], victim, fault.get("others", "answer")))
    return made
