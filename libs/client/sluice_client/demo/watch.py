"""One supervised program: when it is started again after a death, when it counts as hung, when to give up.

Reads no clock and starts no thread; the supervisor hands in the time and the way to start a child.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sluice_client.demo.probe import Health, Probe


class Process(Protocol):
    """A started program, as far as watching it needs."""

    @property
    def pid(self) -> int: ...

    def exit_code(self) -> int | None: ...

    def stop(self, grace_s: float) -> bool: ...


@dataclass(frozen=True)
class Program:
    """What to run and how to ask it whether it serves."""

    name: str
    """Folder name of the process, as its log file and messages call it."""
    command: Sequence[str]
    """Program with its full path, and its arguments."""
    probe: Probe
    """Asks it how it is; takes at most about a second."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables it gets on top of ours."""


@dataclass(frozen=True)
class RestartPolicy:
    """When a program that died is started again."""

    first_delay_s: float = 0.2
    """Wait before the first restart; doubled for each further rapid death."""
    max_delay_s: float = 3.0
    """Longest wait before a restart."""
    rapid_s: float = 10.0
    """A death sooner than this after the start is rapid."""
    max_rapid_deaths: int = 5
    """Rapid deaths in a row after which it is given up."""
    probe_every_s: float = 2.0
    """Time between two questions how it is, once it has served."""
    start_probe_every_s: float = 0.1
    """The same, before it first serves: people wait for it."""
    max_silence_s: float = 30.0
    """It is taken for hung, and killed, when it has not answered for this long."""
    max_start_s: float = 180.0
    """The same, before it first answers: on a busy machine a process takes long to start."""


class Watched:
    """A program with its present process, if it has one.

    Args:
        program: what to run.
        start: starts a process of the program.
        report: gets one sentence for people about each death, restart and return.
        policy: when to start again.
    """

    def __init__(
        self,
        program: Program,
        start: Callable[[Program], Process],
        report: Callable[[str], None],
        policy: RestartPolicy,
    ) -> None:
        self.program = program
        self.health = Health.SILENT
        self.given_up = False
        self.process: Process | None = None
        self._start = start
        self._report = report
        self._policy = policy
        self._rapid_deaths = 0
        self._start_at = 0.0
        self._started_at = 0.0
        self._heard_at = 0.0
        self._probe_at = 0.0
        self._is_restart = False

    def step(self, now: float) -> None:
        """Do what is due at `now`, in monotonic seconds: start, notice a death, or ask how it is."""
        if self.given_up:
            return
        if self.process is None:
            if now >= self._start_at:
                self._launch(now)
            return
        exit_code = self.process.exit_code()
        if exit_code is not None:
            self._died(now, _cause(exit_code))
        elif now >= self._probe_at:
            self._ask(now)

    def _launch(self, now: float) -> None:
        self.process = self._start(self.program)
        self._started_at = self._heard_at = now
        self._probe_at = now

    def _ask(self, now: float) -> None:
        previous, self.health = self.health, self.program.probe()
        if self.health is Health.SERVING and previous is not Health.SERVING and self._is_restart:
            self._report(f"{self.program.name} serves again, {now - self._started_at:.1f} s after its start")
            self._is_restart = False
        if self.health is not Health.SILENT:
            self._heard_at = now
        elif now - self._heard_at > self._patience_s() and self.process is not None:
            self.process.stop(0)
            self._died(now, f"was killed: it gave no answer for {self._patience_s():g} s")
            return
        settled = self.health is Health.SERVING
        self._probe_at = now + (self._policy.probe_every_s if settled else self._policy.start_probe_every_s)

    def _patience_s(self) -> float:
        has_answered = self._heard_at > self._started_at
        return self._policy.max_silence_s if has_answered else self._policy.max_start_s

    def _died(self, now: float, cause: str) -> None:
        self.process = None
        self.health = Health.SILENT
        rapid = now - self._started_at < self._policy.rapid_s
        self._rapid_deaths = self._rapid_deaths + 1 if rapid else 0
        if self._rapid_deaths >= self._policy.max_rapid_deaths:
            self.given_up = True
            self._report(f"{self.program.name} {cause}, {self._rapid_deaths} times in a row: giving up")
            return
        doublings = max(0, self._rapid_deaths - 1)
        delay_s = min(self._policy.first_delay_s * 2**doublings, self._policy.max_delay_s)
        self._start_at = now + delay_s
        self._is_restart = True
        self._report(f"{self.program.name} {cause}; starting it again in {delay_s:g} s")


def _cause(exit_code: int) -> str:
    return f"was ended by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
