"""`python -m sluice_query_engine`: read the settings, build the process, serve until told to stop."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa
from sluice_rpc.log import configure_log
from sluice_rpc.settings import SettingsError

from sluice_query_engine.bootstrap import PROCESS, build
from sluice_query_engine.settings import Settings


def main() -> int:
    """Return the exit code: 0 after a stop, 2 for settings that cannot be served with."""
    _keep_little_memory()
    try:
        settings = Settings.load()
        configure_log(PROCESS, level=settings.log_level, style=settings.log_style)
        process = build(settings)
    except SettingsError as error:
        sys.stderr.write(f"{PROCESS}: {error}\n")
        return 2
    process.server.serve_until_signal(process.closing)
    return 0


def _keep_little_memory() -> None:
    """Give back what passing batches used: Arrow's own pool, and an arena per thread, would keep it."""
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux":
        glibc = ctypes.CDLL(None)
        if hasattr(glibc, "mallopt"):
            glibc.mallopt(_M_ARENA_MAX, _ARENA_COUNT)


_M_ARENA_MAX = -8
"""glibc's name for the number of its arenas (malloc.h)."""
_ARENA_COUNT = 2
"""Reading 2 M rows over three threads took no longer with two arenas than with one per thread."""


if __name__ == "__main__":
    sys.exit(main())
