"""Starting and ending one child process, so that it never outlives its parent; not when or why to do so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PARENT_BOUND = Path(__file__).with_name("parent_bound.py")


class Child:
    """A running program whose output goes to a file; on Linux it is killed when the thread that started it ends.

    Args:
        command: program with its full path, and its arguments.
        log_path: file to append standard output and standard error to.
        environment: all of its environment; None hands down ours.
    """

    def __init__(self, command: Sequence[str], log_path: Path, environment: Mapping[str, str] | None = None) -> None:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        bound = [sys.executable, "-I", "-S", str(_PARENT_BOUND), str(os.getpid()), *command]
        with log_path.open("ab") as log_file:
            self._process = subprocess.Popen(  # noqa: S603  # our own programs, no shell
                bound,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                # Ctrl-C reaches the whole foreground group; the parent wants to stop its children in its own order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id; stays the same when the launcher becomes the program."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return None while it runs, else its exit code; the negative signal number if one ended it."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Send SIGTERM; nothing happens if it has already ended."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> bool:
        """Return whether it ended within the time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, grace_s: float) -> bool:
        """End it: SIGTERM, and SIGKILL after the grace period; returns whether the first was enough."""
        self.ask_to_stop()
        if self.wait(grace_s):
            return True
        self._process.kill()
        self._process.wait()
        return False
