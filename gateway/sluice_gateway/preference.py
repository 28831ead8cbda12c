"""How long a client wants to wait for its answer (RFC 7240)."""

from __future__ import annotations

import re
from collections.abc import Sequence

DEFAULT_WAIT_S = 30
MAX_WAIT_S = 300

_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,9})"?\s*(;.*)?', re.IGNORECASE)


def wait_s(prefer: Sequence[str]) -> int:
    """Return the seconds to wait, at most 300.

    The first well-formed `wait` counts; `respond-async` alone means 0; anything malformed is ignored, as the RFC wants.

    Args:
        prefer: the `Prefer` headers of the request.
    """
    preferences = [item.strip() for header in prefer for item in header.split(",")]
    for preference in preferences:
        found = _WAIT.fullmatch(preference)
        if found:
            return min(int(found[1]), MAX_WAIT_S)
    if any(preference.lower() == "respond-async" for preference in preferences):
        return 0
    return DEFAULT_WAIT_S
