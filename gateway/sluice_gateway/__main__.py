"""`python -m sluice_gateway`: settings, build, serve."""

from __future__ import annotations

import asyncio
import sys

from sluice_rpc.log import configure_log
from sluice_rpc.settings import SettingsError

from sluice_gateway.serving import CannotListen, bound, serve
from sluice_gateway.settings import Settings


def main() -> int:
    """Serve until SIGTERM or SIGINT; 2 when the settings do not allow it."""
    try:
        settings = Settings.load()
        listener = bound(settings.listen)
    except (SettingsError, CannotListen) as error:
        print(f"gateway: {error}", file=sys.stderr)  # noqa: T201  # before there is a log
        return 2
    configure_log("gateway", level=settings.log_level, style=settings.log_style)
    asyncio.run(serve(settings, listener))
    return 0


if __name__ == "__main__":
    sys.exit(main())
