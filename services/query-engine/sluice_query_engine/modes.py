"""The ways to ask one dataset: which parameters each needs, and which parts each reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """One way to ask.

    Attributes:
        name: value of the parameter that picks it.
        requires: parameters that must be given in it; those that only other modes require are refused.
        parts: parts that only this mode, and others that name them, read; parts that no mode names are read in all.
    """

    name: str
    requires: tuple[str, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Modes:
    """All ways to ask a dataset.

    Attributes:
        parameter: the choice that picks one; each of its values is a mode.
        modes: in the order of the choices.
    """

    parameter: str
    modes: tuple[Mode, ...]

    @property
    def required_somewhere(self) -> frozenset[str]:
        """Parameters that a mode requires; what they are elsewhere, the modes say."""
        return frozenset(name for mode in self.modes for name in mode.requires)

    def of(self, parameters: Mapping[str, object]) -> Mode | None:
        """Return the mode that the parameters pick, or None where they pick none."""
        return next((mode for mode in self.modes if mode.name == parameters.get(self.parameter)), None)

    def refused(self, mode: Mode) -> frozenset[str]:
        """Return the parameters that belong to other modes only."""
        return self.required_somewhere - set(mode.requires)

    def reads(self, mode: Mode, part: str) -> bool:
        """Tell whether a mode reads a part."""
        return part in mode.parts or not any(part in other.parts for other in self.modes)
