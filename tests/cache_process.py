"""The cache as a real process with a caller of it, for tests that kill it, starve it, or take its disk away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from sluice_client.ports import take_free
from sluice_rpc.client import open_channel
from sluice_rpc.ports import SystemClock

from tests.unit.cache.driver import Cache


@dataclass
class Started:
    """A process, and a caller of it."""

    process: subprocess.Popen[bytes]
    cache: Cache


@contextmanager
def started(data_dir: Path, port: int = 0, /, **settings: str) -> Iterator[Started]:
    """Run a cache process until left; it is ended however the test ends. Port 0 takes a free one."""
    port = port or take_free(1)[0]
    given = {f"SLUICE_CACHE_{name.upper()}": value for name, value in settings.items()}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")},
        "SLUICE_CACHE_LISTEN": f"127.0.0.1:{port}",
        "SLUICE_CACHE_DATA_DIR": str(data_dir),
        "SLUICE_CACHE_LOG_LEVEL": "warning",
        **given,
    }
    with ExitStack() as closing:
        process = subprocess.Popen([sys.executable, "-m", "sluice_cache"], env=environment)
        closing.callback(process.wait)
        closing.callback(process.kill)
        channel = open_channel(f"127.0.0.1:{port}", "cache")
        closing.callback(channel.close)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as probe:
            grpc.channel_ready_future(probe).result(timeout=120)
        yield Started(process, Cache(channel, SystemClock()))
