"""The supervisor over real child processes: small scripts in place of the suite's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from sluice_client.demo.probe import Health
from sluice_client.demo.supervisor import NotServing, Supervisor
from sluice_client.demo.watch import Program, RestartPolicy

from tests.polling import poll_until

QUICK = RestartPolicy(first_delay_s=0.05, max_delay_s=0.1, rapid_s=5.0, max_rapid_deaths=3)

SERVE = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVE}"
BROKEN = "print('setting X is wrong', flush=True); raise SystemExit(3)"
TELL_STOP = (
    "import pathlib, signal, sys\n"
    "def stop(*_):\n"
    "    with open(sys.argv[2], 'a') as told: told.write(sys.argv[3] + ' ')\n"
    "    raise SystemExit(0)\n"
    "signal.signal(signal.SIGTERM, stop)\n"
    "pathlib.Path(sys.argv[1]).touch()\n"
    "while True: signal.pause()\n"
)

Make = Callable[..., Program]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a program of a script; it serves once it has touched its file."""

    def program(name: str, script: str, *arguments: str) -> Program:
        touched = tmp_path / f"{name}.up"
        command = [sys.executable, "-c", script, str(touched), *arguments]
        return Program(name, command, lambda: Health.SERVING if touched.exists() else Health.SILENT)

    return program


def test_it_serves_when_every_program_does(make: Make, tmp_path: Path) -> None:
    with Supervisor([make("a", SERVE), make("b", SERVE)], tmp_path / "logs", print) as supervisor:
        supervisor.await_serving(20)
        assert sorted(supervisor.pids()) == ["a", "b"]


def test_leaving_the_context_ends_every_child(make: Make, tmp_path: Path) -> None:
    with Supervisor([make("a", SERVE), make("b", SERVE)], tmp_path / "logs", print) as supervisor:
        supervisor.await_serving(20)
        pids = list(supervisor.pids().values())
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(make: Make, tmp_path: Path) -> None:
    with Supervisor([make("a", STUBBORN)], tmp_path / "logs", print, stop_grace_s=0.2) as supervisor:
        supervisor.await_serving(20)
        (pid,) = supervisor.pids().values()
    assert not psutil.pid_exists(pid)


def test_children_are_stopped_last_started_first(make: Make, tmp_path: Path) -> None:
    told = tmp_path / "told"
    programs = [make(name, TELL_STOP, str(told), name) for name in ("first", "second", "third")]
    with Supervisor(programs, tmp_path / "logs", print) as supervisor:
        supervisor.await_serving(20)
    assert told.read_text().split() == ["third", "second", "first"]


def test_a_killed_child_is_started_again(make: Make, tmp_path: Path) -> None:
    with Supervisor([make("a", SERVE)], tmp_path / "logs", print, policy=QUICK) as supervisor:
        supervisor.await_serving(20)
        before = supervisor.pids()["a"]
        os.kill(before, signal.SIGKILL)
        poll_until(lambda: supervisor.pids().get("a", before) != before, 5, "a new process")


def test_a_program_that_keeps_dying_is_named_with_its_last_words(make: Make, tmp_path: Path) -> None:
    with (
        Supervisor([make("a", BROKEN)], tmp_path / "logs", print, policy=QUICK) as supervisor,
        pytest.raises(NotServing, match=r"(?s)a does not serve.*setting X is wrong"),
    ):
        supervisor.await_serving(20)


def test_the_log_of_the_run_before_is_kept_apart(make: Make, tmp_path: Path) -> None:
    for _ in range(2):
        with Supervisor([make("a", SERVE)], tmp_path / "logs", print) as supervisor:
            supervisor.await_serving(20)
            poll_until(lambda: supervisor.log_path("a").read_text(), 5, "the log line")
        (tmp_path / "a.up").unlink()
    assert [path.read_text() for path in sorted((tmp_path / "logs").iterdir())] == ["up\n", "up\n"]


SUPERVISING = """
import pathlib, sys, time
from sluice_client.demo.probe import Health
from sluice_client.demo.supervisor import Supervisor
from sluice_client.demo.watch import Program

folder = pathlib.Path(sys.argv[1])
child = Program("a", [sys.executable, "-c", "import time; time.sleep(600)"], lambda: Health.SERVING)
with Supervisor([child], folder / "logs", print) as supervisor:
    supervisor.await_serving(20)
    (folder / "draft").write_text(str(supervisor.pids()["a"]))
    (folder / "draft").rename(folder / "pid")
    time.sleep(600)
"""


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SUPERVISING, str(tmp_path)]) as parent:
        poll_until((tmp_path / "pid").exists, 20, "the child's id")
        child = psutil.Process(int((tmp_path / "pid").read_text()))
        parent.kill()
    poll_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5, "the child's end")
