"""The Oracle stand-in in a process of its own, as Oracle is in a plant: `sluice twin serve --oracle`."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_SERVICE, DEFAULT_USER

START_TIMEOUT_S = 60.0
_LOOK_S = 0.1


@dataclass(frozen=True)
class StandIn:
    """A stand-in that serves."""

    url: str
    """Warehouse URL of it."""
    environment: Mapping[str, str]
    """What a process needs beside the URL to log on."""
    pid: int
    """Its process."""


@contextmanager
def stand_in(plant: Path, port: int, log: Path) -> Iterator[StandIn]:
    """Give a stand-in for a plant that listens on a port of loopback; afterwards it is gone.

    Raises:
        RuntimeError: it ended, or did not listen in time.
    """
    command = [str(Path(sys.executable).with_name("sluice")), "twin", "serve", "--oracle", "--file", str(plant)]
    with (
        log.open("wb") as told,
        subprocess.Popen([*command, "--port", str(port)], stdout=told, stderr=told) as process,
    ):
        try:
            _await_listening(process, port, log)
            url = f"oracle://{DEFAULT_USER}@127.0.0.1:{port}/{DEFAULT_SERVICE}"
            yield StandIn(url, {"SLUICE_WAREHOUSE_PASSWORD": DEFAULT_PASSWORD}, process.pid)
        finally:
            process.terminate()


def _await_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_LOOK_S)
    raise RuntimeError(f"the stand-in does not serve: {log.read_text(encoding='utf-8')}")
