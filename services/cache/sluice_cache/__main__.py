"""Starts the cache: settings, build, serve."""

from __future__ import annotations

import sys

from sluice_rpc.log import configure_log
from sluice_rpc.settings import SettingsError

from sluice_cache.bootstrap import PROCESS, build
from sluice_cache.files import FolderTaken
from sluice_cache.settings import Settings


def main() -> int:
    """Serve until told to stop; 2 when the settings do not allow a start."""
    try:
        settings = Settings.load()
        configure_log(PROCESS, level=settings.log_level, style=settings.log_style)
        process = build(settings)
    except (SettingsError, FolderTaken, OSError) as error:
        print(f"sluice_cache: {error}", file=sys.stderr)  # noqa: T201  # the log is not set up where settings fail
        return 2
    process.server.serve_until_signal(process.closing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
