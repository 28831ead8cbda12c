"""What a client takes its answer packed in (RFC 9110, section 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_CODING: Final = re.compile(r"([!#$%&'*+.^_`|~0-9a-z-]+)\s*(?:;\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?")
_SAME: Final = {"x-gzip": "gzip"}


def takes_gzip(accept_encoding: Sequence[str]) -> bool:
    """Say whether the client takes gzip and does not like plain bytes better.

    What is malformed is ignored; without a header plain bytes are sent, which everybody can read.

    Args:
        accept_encoding: the `Accept-Encoding` headers of the request.
    """
    weights: dict[str, float] = {}
    for item in ",".join(accept_encoding).lower().split(","):
        found = _CODING.fullmatch(item.strip())
        if found:
            weights[_SAME.get(found[1], found[1])] = float(found[2] or 1)
    every = weights.get("*", 0.0)
    # Plain bytes need not be named; what nobody named is worth less than any coding that was.
    return 0 < weights.get("gzip", every) >= weights.get("identity", 0.0)
