"""`python -m sluice_lineage`: read the settings, build the process, serve until told to stop."""

from __future__ import annotations

import sys

import pyarrow as pa
from sluice_rpc.log import configure_log
from sluice_rpc.settings import SettingsError

from sluice_lineage.bootstrap import build
from sluice_lineage.settings import Settings


def main() -> int:
    """Return the exit code: 0 after a stop, 2 for settings that cannot be served with."""
    try:
        settings = Settings.load()
        configure_log("lineage", level=settings.log_level, style=settings.log_style)
        process = build(settings)
        # With the first array made from Python Arrow loads pandas, where that is installed; not while a caller waits.
        pa.array([], pa.string())
        process.server.serve_until_signal(process.closing)
    except SettingsError as error:
        sys.stderr.write(f"lineage: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
