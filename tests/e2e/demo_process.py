"""`sluice demo` as its users have it: a command in a terminal, known by what it prints, serves and leaves behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.polling import poll_until
from tests.running_suite import StatementLog

SLUICE = Path(sys.executable).with_name("sluice")
SCALE = "0.02"
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 45.0


class DemoProcess:
    """A started demo.

    Args:
        process: the command.
        output: file that its output goes to.
        data_dir: its folder.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: Path, data_dir: Path) -> None:
        self.process = process
        self.data_dir = data_dir
        self.statements = StatementLog(data_dir / "logs" / "statements.jsonl")
        self._output = output

    def text(self) -> str:
        """Return everything printed so far."""
        return self._output.read_text(encoding="utf-8")

    def await_serving(self) -> str:
        """Return the URL it prints when it serves."""

        def url() -> str:
            assert self.process.poll() is None, self.text()
            found = re.search(r"Sluice serves at (\S+)", self.text())
            return found.group(1) if found and "Ctrl-C" in self.text() else ""

        return poll_until(url, START_TIMEOUT_S, "the demo's URL")

    def children(self) -> list[psutil.Process]:
        """Return every process it has started and that still runs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def processes(self) -> list[psutil.Process]:
        """Return those it watches; some of them begin others."""
        return psutil.Process(self.process.pid).children()

    def stop(self, number: signal.Signals) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_TIMEOUT_S)


@dataclass(frozen=True)
class ServingDemo:
    """A demo that serves, and where."""

    process: DemoProcess
    url: str


@contextmanager
def started_demo(folder: Path, *arguments: str) -> Iterator[DemoProcess]:
    """Start `sluice demo` on a folder of its own; whatever happens, it has ended afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    output, data_dir = folder / "output.txt", folder / "data"
    command = [str(SLUICE), "demo", "--scale", SCALE, "--data-dir", str(data_dir), *arguments]
    # Tests tell what was read before from what was not, so nothing may be read before anybody asks.
    environment = {**os.environ, "SLUICE_QUERY_ENGINE_WARMS_UP": "false"}
    with output.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, cwd=folder, env=environment)
    demo = DemoProcess(process, output, data_dir)
    try:
        yield demo
    finally:
        if process.poll() is None:
            demo.stop(signal.SIGTERM)


def run_sluice(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end, with `data_dir` as the demo's folder and no terminal."""
    environment = {name: value for name, value in os.environ.items() if name != "SLUICE_URL"}
    environment["SLUICE_DATA_DIR"] = str(data_dir)
    return subprocess.run([str(SLUICE), *arguments], capture_output=True, env=environment, timeout=60, check=False)
