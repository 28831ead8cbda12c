"""What the store says of a frame that came, and of one that it holds open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
from sluice_rpc import fixed_texts

from sluice_cache.frames import Frame, TierKind
from sluice_cache.tiers.memory import MappedCopy
from sluice_cache.tiers.spool import SpoolCopy


@dataclass(frozen=True)
class Ending:
    """What is known of a frame once its rows have come."""

    row_count: int
    bytes: int
    labels: dict[str, str]
    read_time: datetime | None
    fresh_until_time: datetime | None
    keep_until_time: datetime | None


@dataclass(frozen=True)
class Landed:
    """A frame's copies that are complete: what its trailer said, and the size of its decoded columns."""

    ending: Ending
    copies: dict[TierKind, str]
    stored_bytes: int

    def framed(self, frame_id: str, version: int, now: datetime, default_keep_s: float) -> Frame:
        """Return them as a frame; what its trailer left open counts from now."""
        end = self.ending
        return Frame(
            frame_id=frame_id,
            version=version,
            row_count=end.row_count,
            bytes=end.bytes,
            stored_bytes=self.stored_bytes,
            read_time=end.read_time or now,
            fresh_until_time=end.fresh_until_time or now,
            keep_until_time=end.keep_until_time or now + timedelta(seconds=default_keep_s),
            labels=end.labels,
            copies=self.copies,
        )


@dataclass(frozen=True)
class Opened:
    """A frame held open: the copy to read, and the tier it was found in."""

    frame: Frame
    copy: MappedCopy | SpoolCopy
    found_in: TierKind


@dataclass(frozen=True)
class OpenedStream:
    """A frame held open as the compressed stream that it came as, in parts; after the first they may still come."""

    frame: Frame
    first: pa.Buffer | bytes
    parts: Iterable[pa.Buffer | bytes]

    @property
    def is_packed(self) -> bool:
        """Whether its readers have to know how to make text of what it holds."""
        try:
            return fixed_texts.is_packed(pa.ipc.read_schema(pa.py_buffer(self.first)))
        except pa.ArrowInvalid:
            # A schema that does not end in the first part: who reads the rows finds out.
            return True
