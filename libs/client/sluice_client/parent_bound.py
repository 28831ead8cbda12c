"""Runs another program in this process's place, after asking Linux to kill it when the parent goes away.

Started as a script in a bare interpreter (`python -I -S parent_bound.py PARENT_PID PROGRAM ARGUMENT...`), because the
request survives exec, and a hook between fork and exec is not safe in a program with threads. Elsewhere than on Linux
it only replaces itself.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Become the program; ends at once where the parent has already gone."""
    parent_pid = int(arguments[0])
    program = arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:
            # It died between our start and the request, which therefore will never be answered.
            raise SystemExit(1)
    os.execv(program[0], program)  # noqa: S606  # no shell wanted; the caller names the program in full


if __name__ == "__main__":
    main(sys.argv[1:])
