"""Sets of ids as frames: which ids a chunk was read for, and which rows of a chunk a manifest may show."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa
from sluice_rpc import arrow
from sluice_rpc.errors import NotFound

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.execution.small_frames import instant_of, put_table

SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("number", pa.int64(), nullable=False)])
"""What `IdSelection` of the cache's manifests reads."""


@dataclass(frozen=True)
class IdBatch:
    """The ids of one statement, and where it is kept which they are.

    Args:
        ids: sorted, each once, never empty.
        frame_id: frame of sets of ids.
        number: its set of them.
    """

    ids: tuple[str, ...]
    frame_id: str
    number: int
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", _digest([self.ids])[:16])


class IdSets:
    """Numbered sets that become one frame; equal content has the same frame id, whoever makes it."""

    def __init__(self, sets: Mapping[int, Iterable[str]] | None = None) -> None:
        self._sets: dict[int, tuple[str, ...]] = {number: _in_order(ids) for number, ids in (sets or {}).items()}

    def __bool__(self) -> bool:
        return bool(self._sets)

    def add(self, ids: Iterable[str]) -> int:
        """Return the number of a set of these ids, added unless there is one."""
        wanted = _in_order(ids)
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
        ids = [value for number in sorted(self._sets) for value in self._sets[number]]
        numbers = [number for number in sorted(self._sets) for _ in self._sets[number]]
        return pa.table([pa.array(ids, pa.string()), pa.array(numbers, pa.int64())], schema=SCHEMA)


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


def _in_order(ids: Iterable[str]) -> tuple[str, ...]:
    """Return the ids sorted, each once; what is so already is not copied, since a year has 170,000."""
    given = tuple(ids)
    return given if all(one < next_ for one, next_ in itertools.pairwise(given)) else tuple(sorted(set(given)))


def _digest(lists: Iterable[Iterable[str]]) -> str:
    digest = hashlib.sha256()
    for ids in lists:
        text = "\x1f".join(ids)
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()[:32]
