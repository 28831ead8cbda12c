"""Keeps a set of programs running until told to stop, and then ends every one of them.

One thread of its own starts, watches and ends all programs. On Linux a child is killed when the thread that started it
ends, so whatever happens to that thread or to the whole process, nothing is left behind.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sluice_client.child import Child
from sluice_client.demo.probe import Health
from sluice_client.demo.watch import Process, Program, RestartPolicy, Watched
from sluice_client.settings import inherited_environment

STOP_GRACE_S = 8.0
"""How long a program may take to stop before SIGKILL; above the 5 s that processes give their calls in flight."""

_STEP_S = 0.05


class NotServing(Exception):
    """A program was given up, or did not serve in time; the message names it, its log and the log's last lines."""


class Supervisor:
    """The running programs; leaving the context ends them, last started first.

    Args:
        programs: what to run, in starting order.
        log_dir: folder for one `<name>.log` each; a log already there is kept as `<name>.log.1`.
        report: gets sentences for people, on the supervisor's own thread.
        policy: when to start again what died.
        stop_grace_s: how long a program may take to stop, in seconds.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        log_dir: Path,
        report: Callable[[str], None],
        *,
        policy: RestartPolicy | None = None,
        stop_grace_s: float = STOP_GRACE_S,
    ) -> None:
        self._log_dir = log_dir
        self._stop_grace_s = stop_grace_s
        self._watched = [Watched(program, self._start, report, policy or RestartPolicy()) for program in programs]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor")

    def log_path(self, name: str) -> Path:
        """Return where the named program's output goes."""
        return self._log_dir / f"{name}.log"

    def pids(self) -> dict[str, int]:
        """Return the process ids by program name; a program that is being restarted is missing."""
        running = {watched.program.name: watched.process for watched in self._watched}
        return {name: process.pid for name, process in running.items() if process is not None}

    def given_up(self) -> str | None:
        """Return the name of a program that will not be started again, or None."""
        if self._thread.ident is not None and not self._thread.is_alive() and not self._stopping.is_set():
            # A fault of ours ended the thread; its children ended with it, and its traceback is on standard error.
            return self._thread.name
        return next((watched.program.name for watched in self._watched if watched.given_up), None)

    def serving(self) -> bool:
        """Return whether every program said at its last probe that it serves."""
        return all(watched.health is Health.SERVING for watched in self._watched)

    def await_serving(self, timeout_s: float, asked_to_stop: Callable[[], bool] = lambda: False) -> None:
        """Return when every program serves, or when `asked_to_stop` says so.

        Raises:
            NotServing: one was given up, or the time is over.
        """
        deadline = time.monotonic() + timeout_s
        while not self.serving() and not asked_to_stop():
            failed = self.given_up()
            if failed is None and time.monotonic() > deadline:
                waiting = (watched for watched in self._watched if watched.health is not Health.SERVING)
                failed = next(waiting).program.name
            if failed is not None:
                raise NotServing(self.describe_failure(failed))
            time.sleep(_STEP_S)

    def describe_failure(self, name: str) -> str:
        """Return what is known of a program that does not serve: its log and the log's last lines."""
        log_path = self.log_path(name)
        lines = log_path.read_text(encoding="utf-8", errors="replace").splitlines() if log_path.exists() else []
        return "\n".join([f"{name} does not serve; its log is {log_path}", *(f"  {line}" for line in lines[-8:])])

    def stop(self) -> None:
        """End every program, last started first, and return when the last one is gone; a second call does nothing."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        self._keep_old_logs()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                for watched in self._watched:
                    watched.step(time.monotonic())
                self._stopping.wait(_STEP_S)
        finally:
            for watched in reversed(self._watched):
                if watched.process is not None:
                    watched.process.stop(self._stop_grace_s)

    def _start(self, program: Program) -> Process:
        environment = {**inherited_environment(), **program.environment}
        return Child(program.command, self.log_path(program.name), environment)

    def _keep_old_logs(self) -> None:
        self._log_dir.mkdir(parents=True, exist_ok=True)
        for watched in self._watched:
            log_path = self.log_path(watched.program.name)
            if log_path.exists():
                log_path.replace(log_path.with_suffix(".log.1"))
