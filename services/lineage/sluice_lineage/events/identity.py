"""Under which name the answer for a set of ids is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sluice_lineage.events.domain import EventDomain


def answer_hash(domain: EventDomain, ids: Iterable[str]) -> str:
    """Return 32 hexadecimal digits: the same for any order of the ids, others for other columns or SQL."""
    digest = hashlib.sha256(domain.fingerprint.encode())
    for container_id in sorted(ids):
        digest.update(b"|" + container_id.encode())
    return digest.hexdigest()[:32]
