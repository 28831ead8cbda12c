"""Sets of ids as frames: which ids a chunk was read for, and which rows of a chunk a manifest may show."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa
from sluice_rpc import arrow
from sluice_rpc.errors import NotFound

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.execution.small_frames import instant_of, put_table
from sluice_query_engine.planning.packed_ids import PackedIds

SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("number", pa.int64(), nullable=False)])
"""What `IdSelection` of the cache's manifests reads."""
_DIGESTED_AT_ONCE: Final = 1000


@dataclass(frozen=True)
class IdBatch:
    """The ids of one statement, and where it is kept which they are.

    Args:
        ids: never empty.
        frame_id: frame of sets of ids.
        number: its set of them.
    """

    ids: PackedIds
    frame_id: str
    number: int
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", _digest([self.ids])[:16])


class IdSets:
    """Numbered sets that become one frame; equal content has the same frame id, whoever makes it."""

    def __init__(self, sets: Mapping[int, Iterable[str]] | None = None) -> None:
        self._sets = {number: PackedIds.of(ids) for number, ids in (sets or {}).items()}

    def __bool__(self) -> bool:
        return bool(self._sets)

    def add(self, ids: Iterable[str]) -> int:
        """Return the number of a set of these ids, added unless there is one."""
        wanted = PackedIds.of(ids)
        for number, there in self._sets.items():
            if there == wanted:
                return number
        number = max(self._sets, default=-1) + 1
        self._sets[number] = wanted
        return number

    @property
    def frame_id(self) -> str:
        """The id of the frame that holds these sets."""
        numbers = [str(number) for number in sorted(self._sets)]
        return f"ids-{_digest([numbers, *(self._sets[number] for number in sorted(self._sets))])}"

    def keep(self, cache: FrameCache, now: datetime, keep_for: timedelta) -> str:
        """Have the frame in the cache for at least so long, and return its id. Raises ServiceError."""
        frame_id = self.frame_id
        kept = cache.list_frames({"ids": frame_id})
        if not any(instant_of(frame.keep_until_time) >= now + keep_for for frame in kept):
            put_table(cache, frame_id, self._table(), {"ids": frame_id}, now=now, fresh_for=keep_for)
        return frame_id

    def _table(self) -> pa.Table:
        in_order = sorted(self._sets.items())
        texts = pa.concat_arrays([ids.array for _, ids in in_order])
        numbers = pa.concat_arrays([pa.repeat(pa.scalar(number, pa.int64()), len(ids)) for number, ids in in_order])
        return pa.table([texts, numbers], schema=SCHEMA)


def read_sets(cache: FrameCache, frame_id: str) -> dict[int, frozenset[str]]:
    """Return the sets of a frame by number; none when the frame is not, or no longer, there."""
    try:
        with arrow.decode(cache.read_frame(frame_id)) as reader:
            table = reader.read_all()
    except NotFound:
        return {}
    sets: dict[int, set[str]] = {}
    for value, number in zip(table["id"].to_pylist(), table["number"].to_pylist(), strict=True):
        sets.setdefault(number, set()).add(value)
    return {number: frozenset(ids) for number, ids in sets.items()}


def _digest(lists: Iterable[Sequence[str]]) -> str:
    digest = hashlib.sha256()
    for ids in lists:
        length = sum(map(len, ids)) + max(len(ids) - 1, 0)
        digest.update(f"{length}:".encode())
        # As if they were joined whole; of a year's ids that would be three times three MB.
        for start in range(0, len(ids), _DIGESTED_AT_ONCE):
            piece = "\x1f".join(ids[start : start + _DIGESTED_AT_ONCE])
            digest.update(f"\x1f{piece}".encode() if start else piece.encode())
    return digest.hexdigest()[:32]
