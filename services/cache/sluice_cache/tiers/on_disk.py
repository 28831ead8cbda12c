"""Whether the disk of a tier takes a new file, for those who look at its counts."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from sluice_cache.files import TEMP_SUFFIX
from sluice_cache.frames import TierKind
from sluice_cache.tiers import Counted, TierCounts

_PROBE_BYTES: Final = 1 << 12
"""One block; a disk that has none left refuses it."""


class OnDisk:
    """A tier in the statistics, with what its disk says of a small file written now.

    Nothing is remembered, so a disk that has room again is seen at the next look.

    Args:
        tier: whose counts are shown.
        folder: on the disk that it writes to.
    """

    def __init__(self, tier: Counted, folder: Path) -> None:
        self._tier = tier
        self._folder = folder

    @property
    def kind(self) -> TierKind:
        return self._tier.kind

    def counts(self) -> TierCounts:
        return replace(self._tier.counts(), disk_reason=disk_reason(self._folder))


def disk_reason(folder: Path) -> str:
    """Return why the disk of a folder takes no new file, in the system's words; empty when it does."""
    path = folder / f".probe-{secrets.token_hex(4)}{TEMP_SUFFIX}"
    try:
        path.write_bytes(bytes(_PROBE_BYTES))
    except OSError as error:
        return os.strerror(error.errno) if error.errno else "refused"
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return ""
