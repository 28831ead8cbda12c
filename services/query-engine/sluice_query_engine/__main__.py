"""`python -m sluice_query_engine`: read the settings, build the process, serve until told to stop."""

from __future__ import annotations

import sys

from sluice_rpc.log import configure_log
from sluice_rpc.settings import SettingsError

from sluice_query_engine import heap
from sluice_query_engine.bootstrap import PROCESS, build
from sluice_query_engine.settings import Settings


def main() -> int:
    """Return the exit code: 0 after a stop, 2 for settings that cannot be served with."""
    heap.keep_little()
    try:
        settings = Settings.load()
        configure_log(PROCESS, level=settings.log_level, style=settings.log_style)
        process = build(settings)
    except SettingsError as error:
        sys.stderr.write(f"{PROCESS}: {error}\n")
        return 2
    process.server.serve_until_signal(process.closing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
