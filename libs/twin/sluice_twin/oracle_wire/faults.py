"""Faults on cue: rules that say when something shall go wrong and what, from a script, a file or a seeded dice.

A script is JSON: a list of rules, or an object with `seed` and `rules`. `docs/stand-in.md` has the grammar; the fields
of `FaultRule` are its words.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Phase: TypeAlias = Literal["listen", "logon", "describe", "execute", "fetch", "ping", "commit", "break"]
"""Where a rule applies: the connect packet, the password, a describe that runs nothing, before a statement runs, a
reply with rows (the first comes with the execution), the answer to a ping, to a commit or rollback, and the answer to
a break."""

Effect: TypeAlias = Literal[
    "error",
    "refuse",
    "silent",
    "close",
    "reset",
    "stall",
    "slow",
    "deaf",
    "rename_column",
    "drop_column",
    "retype_column",
    "null_column",
    "limit_rows",
    "clock_skew",
]

RESULT_EFFECTS: Final = frozenset({"rename_column", "drop_column", "retype_column", "null_column", "limit_rows"})
_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "error": ("code",),
    "refuse": ("code",),
    "stall": ("seconds",),
    "slow": ("bytes_per_s",),
    "rename_column": ("column", "to"),
    "drop_column": ("column",),
    "retype_column": ("column", "to"),
    "null_column": ("column",),
    "limit_rows": ("row_count",),
    "clock_skew": ("seconds",),
}
_ONLY_IN: Final[dict[str, tuple[str, ...]]] = {
    "refuse": ("listen",),
    "silent": ("listen",),
    "deaf": ("execute",),
    "clock_skew": ("execute",),
    **dict.fromkeys(RESULT_EFFECTS, ("describe", "execute")),
}


class FaultScriptError(Exception):
    """A fault script is malformed; the message names the rule."""


class FaultRule(BaseModel):
    """One thing that goes wrong, and when. What is not given fits everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: Phase
    do: Effect
    module: str | None = None
    """Module that the session says it is."""
    action: str | None = None
    """Action that the session says it is in."""
    statement: str | None = None
    """Part of the statement's text, letter case aside."""
    batch: int | Literal["last"] | None = None
    """Which reply with rows of a statement; 0 comes with the execution, `last` has the end of the rows."""
    ordinal: int | None = Field(default=None, ge=1)
    """Only this match of the rule, 1 being the first."""
    times: int | None = Field(default=None, ge=1)
    """How often the rule may come true; None is without end."""
    probability: float = Field(default=1.0, ge=0.0, le=1.0)
    """Share of matches that come true, by the script's seed."""
    code: int | None = Field(default=None, ge=1, le=65_535)
    """ORA number, for `error` and `refuse`."""
    text: str | None = None
    """Words behind the number, in place of the usual ones."""
    at: int | Literal["row", "batch"] | None = None
    """For `close`, `reset` and `stall`: how many bytes of the reply still go out, or up to the middle of its first row,
    or of its rows. None sends none of it."""
    seconds: float | None = None
    """Length of a `stall`, or what a `clock_skew` adds to SYSDATE."""
    deaf: bool = False
    """Whether a `stall` goes on although a break came."""
    bytes_per_s: int | None = Field(default=None, ge=1)
    column: str | None = None
    to: str | None = None
    """New name of a column, or its new type: VARCHAR2, NUMBER or DATE."""
    row_count: int | None = Field(default=None, ge=0)
    """For `limit_rows`: rows that are left of the result."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        missing = [name for name in _NEEDS.get(self.do, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"`{self.do}` needs {', '.join(missing)}")
        if self.phase not in _ONLY_IN.get(self.do, (self.phase,)):
            raise ValueError(f"`{self.do}` has no meaning in phase {self.phase}")
        if self.do == "retype_column" and self.to not in ("VARCHAR2", "NUMBER", "DATE"):
            raise ValueError("`to` is VARCHAR2, NUMBER or DATE")
        return self


@dataclass(frozen=True)
class Moment:
    """What a server is about to do."""

    phase: Phase
    session_id: int
    module: str = ""
    action: str = ""
    statement: str = ""
    batch: int | None = None
    last: bool = False


@dataclass(frozen=True)
class FiredFault:
    """A rule that came true: which, at which of its matches, and where."""

    rule: FaultRule
    match: int
    """Give this as `ordinal` to the rule to see the same again."""
    moment: Moment


class _Script(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    rules: list[FaultRule] = []


class Faults:
    """The rules of a server; may change while it serves.

    Whether the n-th match of a rule comes true depends on the seed, the rule's place and n alone, so a schedule is seen
    again by its seed.

    Args:
        rules: the first that fits and comes true counts.
        seed: of the dice.
        path: a script that is read anew whenever it changes and replaces the rules; need not be there.
    """

    def __init__(self, rules: Iterable[FaultRule] = (), *, seed: int = 0, path: Path | None = None) -> None:
        # Protects everything below.
        self._lock = threading.Lock()
        self._rules: tuple[FaultRule, ...] = tuple(rules)
        self._seed = seed
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._matches: dict[int, int] = {}
        self._fired_by_rule: dict[int, int] = {}
        self._fired: list[FiredFault] = []

    def set(self, rules: Iterable[FaultRule], *, seed: int | None = None) -> None:
        """Replace the rules and begin to count anew."""
        with self._lock:
            self._replace(tuple(rules), self._seed if seed is None else seed)

    def clear(self) -> None:
        """Drop the rules."""
        self.set(())

    @property
    def fired(self) -> Sequence[FiredFault]:
        """What came true so far, in order."""
        with self._lock:
            return tuple(self._fired)

    def pick(self, moment: Moment, *, effects: frozenset[str] | None = None) -> FaultRule | None:
        """Return what shall go wrong now, None if nothing shall.

        Args:
            moment: what is about to be done.
            effects: only these; None takes any.

        Raises:
            FaultScriptError: the file is malformed.
        """
        with self._lock:
            self._read()
            for place, rule in enumerate(self._rules):
                if effects is not None and rule.do not in effects:
                    continue
                if _fits(rule, moment) and self._comes_true(place, rule):
                    self._fired.append(FiredFault(rule, self._matches[place], moment))
                    return rule
        return None

    def _comes_true(self, place: int, rule: FaultRule) -> bool:
        match = self._matches[place] = self._matches.get(place, 0) + 1
        fired = self._fired_by_rule.get(place, 0)
        if rule.ordinal not in (None, match) or (rule.times is not None and fired >= rule.times):
            return False
        dice = random.Random(f"{self._seed}/{place}/{match}")  # noqa: S311 - a schedule, no secret
        if dice.random() >= rule.probability:
            return False
        self._fired_by_rule[place] = fired + 1
        return True

    def _replace(self, rules: tuple[FaultRule, ...], seed: int) -> None:
        self._rules, self._seed = rules, seed
        self._matches.clear()
        self._fired_by_rule.clear()

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            facts = self._path.stat()
            stamp = (facts.st_mtime_ns, facts.st_size)
            if stamp == self._stamp:
                return
            rules, seed = read_script(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            stamp, rules, seed = None, (), self._seed
            if self._stamp is None:
                return
        self._stamp = stamp
        self._replace(rules, seed)


def read_script(text: str) -> tuple[tuple[FaultRule, ...], int]:
    """Return the rules and the seed of a script.

    Raises:
        FaultScriptError: it is malformed.
    """
    try:
        listed = json.loads(text)
        script = _Script(rules=listed) if isinstance(listed, list) else _Script.model_validate(listed)
    except (ValueError, ValidationError) as error:
        raise FaultScriptError(str(error)) from error
    return tuple(script.rules), script.seed


def _fits(rule: FaultRule, moment: Moment) -> bool:
    if rule.phase != moment.phase:
        return False
    if rule.module not in (None, moment.module) or rule.action not in (None, moment.action):
        return False
    if rule.statement is not None and rule.statement.upper() not in moment.statement.upper():
        return False
    if rule.batch == "last":
        return moment.last
    return rule.batch is None or rule.batch == moment.batch
