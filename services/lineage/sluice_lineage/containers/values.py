"""What people type, read: exact values and patterns, each once, or what is wrong with them. Pure.

One `*` stands for any text, after at least two other characters; `%` and `_` stand for themselves. Values are only ever
bound, so quotes and the like do no harm: they are refused since no name has them, and a paste gone wrong does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sluice.lineage.v1 import limits_pb2
from sluice_rpc.errors import FieldViolation, InvalidParameter

from sluice_lineage.containers.kinds import Kind
from sluice_lineage.errors import TooManyIds, TooManyPatterns

MAX_LENGTH: Final = int(limits_pb2.LIMIT_ID_LENGTH)
WILDCARD: Final = "*"

_REFUSED: Final = re.compile(
    r"""(?P<quote>['"`])|(?P<semicolon>;)|(?P<comment>--|/\*|\*/)|(?P<control>[\x00-\x1f\x7f-\x9f])"""
)
_REFUSED_WORDS: Final = {
    "quote": "holds a quote",
    "semicolon": "holds a semicolon",
    "comment": "holds a comment mark",
    "control": "holds a control character",
}
_SHOWN_CHARS: Final = 40
_MAX_VIOLATION_COUNT: Final = 20
"""Error details ride in trailers, which must stay small."""


@dataclass(frozen=True)
class ValueLimits:
    """How much one request may ask for.

    Attributes:
        exact_count: values without a wildcard.
        pattern_count: values with one.
        prefix_length: characters that a pattern has before its wildcard, at least.
    """

    exact_count: int
    pattern_count: int
    prefix_length: int


@dataclass
class Values:
    """The values of a request, each once, in the order typed.

    Attributes:
        typed: as typed, by what they are looked up as.
    """

    kind: Kind
    limits: ValueLimits
    typed: dict[str, str] = field(default_factory=dict)
    _pattern_count: int = 0
    _position: int = 0
    _violations: list[FieldViolation] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """What is looked up, in the order typed."""
        return list(self.typed)

    def add(self, given: Iterable[str]) -> None:
        """Take in what was typed; what is wrong is kept until `check`.

        Raises:
            TooManyIds, TooManyPatterns: more than a request may hold.
        """
        for text in given:
            self._add(text)
            self._position += 1
        if self._pattern_count > self.limits.pattern_count:
            raise TooManyPatterns(self.limits.pattern_count, self._pattern_count)
        exact_count = len(self.typed) - self._pattern_count
        if exact_count > self.limits.exact_count:
            raise TooManyIds(self.limits.exact_count, exact_count)

    def check(self) -> None:
        """Return if nothing typed was wrong.

        Raises:
            InvalidParameter: naming each value at fault, the first twenty of them.
        """
        if self._violations:
            raise InvalidParameter.of(self._violations)

    def _add(self, text: str) -> None:
        typed = text.strip()
        name = typed.upper() if self.kind.folded else typed
        if not name or name in self.typed:
            return
        fault = _fault(name, self.kind, self.limits.prefix_length)
        if fault:
            if len(self._violations) < _MAX_VIOLATION_COUNT:
                self._violations.append(FieldViolation(f"values[{self._position}]", f"{_shown(typed)} {fault}"))
            return
        self.typed[name] = typed
        self._pattern_count += WILDCARD in name


def is_pattern(name: str) -> bool:
    """Return whether a value has a wildcard."""
    return WILDCARD in name


def like_pattern(name: str) -> str:
    r"""Return the LIKE pattern of a value, with the escape character `\`: only its wildcard stands for anything."""
    escaped = name.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return escaped.replace(WILDCARD, "%")


def _fault(name: str, kind: Kind, prefix_length: int) -> str:
    if len(name) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    # Before the wildcards are counted: `/*` is a comment mark, not a pattern.
    refused = _REFUSED.search(name)
    if refused is not None:
        return f"{_REFUSED_WORDS[str(refused.lastgroup)]}, which no name has; type the name alone"
    if name.count(WILDCARD) > 1:
        return f"has more than one {WILDCARD}; type a pattern with one"
    if WILDCARD in name and name.index(WILDCARD) < prefix_length:
        return f"has fewer than {prefix_length} characters before its {WILDCARD}; type more of the name"
    if kind.prefixes and not name.startswith(kind.prefixes):
        return kind.hint
    return ""


def _shown(typed: str) -> str:
    cut = typed if len(typed) <= _SHOWN_CHARS else f"{typed[:_SHOWN_CHARS]}…"
    return repr(cut)
