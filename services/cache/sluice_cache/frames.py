"""What a frame is: id, version, times, labels, and where its copies lie. Pure; the catalogue keeps them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum
from typing import Any

from sluice_rpc.errors import InvalidParameter

from sluice_cache.errors import InvalidFrame

MAX_LABEL_COUNT = 32
MAX_LABEL_CHARS = 256

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{3,127}")
_TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}")


_FILE = re.compile(r"[a-z0-9][A-Za-z0-9._-]{0,250}")
_KEYS = re.compile(r"[a-z0-9][A-Za-z0-9._:-]{0,16000}:[1-9][0-9]{0,6}")


class TierKind(IntEnum):
    """The tiers, fastest first; numbers as in sluice.table.v1.Tier."""

    MEMORY = 1
    REDIS = 2
    SPOOL = 3


_COPY = {TierKind.MEMORY: _FILE, TierKind.REDIS: _KEYS, TierKind.SPOOL: _FILE}
"""What the tiers' own names look like: whoever wrote a pointer, it never leads out of its folder or key space."""


@dataclass(frozen=True)
class Frame:
    """An immutable table in the cache.

    Attributes:
        bytes: size of the IPC stream as it was put.
        stored_bytes: size of its decoded columns.
        copies: per tier that holds it, the tier's own name for the copy.
    """

    frame_id: str
    version: int
    row_count: int
    bytes: int
    stored_bytes: int
    read_time: datetime
    fresh_until_time: datetime
    keep_until_time: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[TierKind, str] = field(default_factory=dict)

    @property
    def tier(self) -> TierKind | None:
        """Fastest tier that holds it; None when every copy is gone."""
        return min(self.copies, default=None)

    def with_copy(self, tier: TierKind, token: str) -> Frame:
        """Return the frame with one more copy."""
        return replace(self, copies={**self.copies, tier: token})

    def without_copy(self, tier: TierKind) -> Frame:
        """Return the frame with one copy less."""
        return replace(self, copies={kind: token for kind, token in self.copies.items() if kind is not tier})

    def without_token(self, tier: TierKind, token: str) -> Frame:
        """Return the frame without this one copy, if it still is the tier's."""
        return self.without_copy(tier) if self.copies.get(tier) == token else self

    def touched(self, fresh_until_time: datetime | None, keep_until_time: datetime | None) -> Frame:
        """Return the frame with its times moved; keep_until only ever moves forward."""
        keep = max(self.keep_until_time, keep_until_time or self.keep_until_time)
        return replace(self, fresh_until_time=fresh_until_time or self.fresh_until_time, keep_until_time=keep)


def check_id(value: str, name: str = "frame_id") -> str:
    """Return the id; anything but `[a-z0-9][a-z0-9._-]{3,127}` is INVALID_PARAMETER."""
    if _ID.fullmatch(value) is None:
        raise InvalidParameter(name, "must be 4 to 128 of a-z, 0-9, '.', '_', '-' and begin with a letter or digit")
    return value


def check_table_name(value: str) -> str:
    """Return the relation name; anything but `[a-z][a-z0-9_]{0,62}` is INVALID_PARAMETER."""
    if _TABLE.fullmatch(value) is None:
        raise InvalidParameter("name", "must be 1 to 63 of a-z, 0-9, '_' and begin with a letter")
    return value


def check_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels; too many or too long ones are INVALID_PARAMETER."""
    if len(labels) > MAX_LABEL_COUNT:
        raise InvalidFrame("labels", f"at most {MAX_LABEL_COUNT} labels")
    if any(not 0 < len(key) <= MAX_LABEL_CHARS or len(value) > MAX_LABEL_CHARS for key, value in labels.items()):
        raise InvalidFrame("labels", f"names and values of labels have at most {MAX_LABEL_CHARS} characters")
    return dict(labels)


def to_json(frame: Frame) -> str:
    """Return the frame as it stands in its sidecar and in Redis."""
    return json.dumps(
        {
            "frame_id": frame.frame_id,
            "version": frame.version,
            "row_count": frame.row_count,
            "bytes": frame.bytes,
            "stored_bytes": frame.stored_bytes,
            "read_time": frame.read_time.isoformat(),
            "fresh_until_time": frame.fresh_until_time.isoformat(),
            "keep_until_time": frame.keep_until_time.isoformat(),
            "labels": dict(frame.labels),
            "copies": {kind.name.lower(): token for kind, token in frame.copies.items()},
        },
        ensure_ascii=False,
    )


def is_written(text: str | bytes) -> bool:
    """Return whether a text can be what some release writes of a frame, of which this one may not know the fields."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def from_json(text: str | bytes) -> Frame:
    """Return the frame of a sidecar or of Redis.

    Raises:
        ValueError: the text is not what `to_json` writes, whoever wrote it.
    """
    try:
        raw: dict[str, Any] = json.loads(text)
        frame = Frame(
            frame_id=str(raw["frame_id"]),
            version=int(raw["version"]),
            row_count=int(raw["row_count"]),
            bytes=int(raw["bytes"]),
            stored_bytes=int(raw["stored_bytes"]),
            read_time=datetime.fromisoformat(raw["read_time"]),
            fresh_until_time=datetime.fromisoformat(raw["fresh_until_time"]),
            keep_until_time=datetime.fromisoformat(raw["keep_until_time"]),
            labels={str(key): str(value) for key, value in raw["labels"].items()},
            copies={TierKind[kind.upper()]: str(token) for kind, token in raw["copies"].items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no frame: {error!r}") from error
    if _ID.fullmatch(frame.frame_id) is None or frame.keep_until_time.tzinfo is None:
        raise ValueError("no frame: id or time does not fit")
    if not all(_COPY[kind].fullmatch(token) for kind, token in frame.copies.items()):
        raise ValueError("no frame: a copy has a name that no tier gives")
    return frame
