"""One canonical form and one hash for queries, series and progress keys; nothing else builds such a key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set
from datetime import date, datetime

HASH_LENGTH = 16


def compute_query_hash(params: Mapping[str, object]) -> str:
    """Return 16 lower-case hexadecimal characters that name these parameters.

    Equal meaning gives equal text: the order of keys and of list members does not count, nor does repetition in a
    list. Trimming and case are the caller's business, before this. `1` and `"1"` stay different.
    """
    return hashlib.sha256(canonical_json(params).encode()).hexdigest()[:HASH_LENGTH]


def canonical_json(value: object) -> str:
    """Return the value as compact JSON: keys sorted, lists sorted by their own JSON and without duplicates.

    Dates and instants are ISO 8601; text outside ASCII is kept.

    Raises:
        TypeError: a value that JSON has no form for.
    """
    return json.dumps(_canonical(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def _canonical(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _canonical(member) for key, member in value.items()}
    if isinstance(value, (list, tuple, Set)):
        members = {canonical_json(member): _canonical(member) for member in value}
        return [members[text] for text in sorted(members)]
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value
