"""What a client says of its answer: how long it waits (RFC 7240), and whether one that is kept will do (RFC 9111)."""

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


def refuses_cache(cache_control: Sequence[str]) -> bool:
    """Say whether the client wants everything read again (`Cache-Control: no-cache`).

    Args:
        cache_control: the `Cache-Control` headers of the request.
    """
    return any(directive.strip() == "no-cache" for directive in ",".join(cache_control).lower().split(","))
