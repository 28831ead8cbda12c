"""Where frames of edges are: in the cache process, or in this process for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sluice_rpc import arrow
from sluice_rpc.errors import ServiceUnavailable
from sluice_rpc.ports import Clock

from sluice_lineage.edge_frames import ShelvedFrame
from sluice_lineage.frames import CacheFrames, FrameFacts


class CacheShelf:
    """Frames of the cache process; those of another warehouse are not seen.

    Args:
        frames: of that process.
        warehouse_url: whose edges these are; only a digest of it leaves the process.
    """

    def __init__(self, frames: CacheFrames, warehouse_url: str) -> None:
        self._frames = frames
        self._warehouse = hashlib.sha256(warehouse_url.encode()).hexdigest()[:16]

    def listed(self, topic: str) -> Sequence[ShelvedFrame]:
        found = self._frames.listed(self._labels(topic))
        return [ShelvedFrame(one.frame_id, topic, one.read_time.ToDatetime(UTC).timestamp()) for one in found]

    def take(self, frame_id: str) -> Any:
        found = self._frames.open(frame_id)
        if found is None:
            return None
        with found, arrow.decode(found.pieces()) as rows:
            return rows.read_all()

    def put(self, frame: ShelvedFrame, table: Any, life_s: float) -> None:
        read_time = datetime.fromtimestamp(frame.read_s, UTC)
        until = read_time + timedelta(seconds=life_s)
        facts = FrameFacts(self._labels(frame.topic), read_time, until, until)
        self._frames.put(frame.frame_id, table, facts, version=int(frame.read_s * 1000))

    def _labels(self, topic: str) -> dict[str, str]:
        return {"lineage_edges": topic, "warehouse": self._warehouse}


class MemoryShelf:
    """Frames in a dictionary; `away` makes every call fail as if the cache process were down.

    Args:
        clock: tells live frames from expired ones.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.frames: dict[str, tuple[ShelvedFrame, Any, float]] = {}
        self.away = False

    def listed(self, topic: str) -> Sequence[ShelvedFrame]:
        self._check()
        now_s = self._clock.now().timestamp()
        found = [frame for frame, _, until_s in self.frames.values() if frame.topic == topic and until_s > now_s]
        return sorted(found, key=lambda frame: frame.read_s)

    def take(self, frame_id: str) -> Any:
        self._check()
        found = self.frames.get(frame_id)
        return None if found is None or found[2] <= self._clock.now().timestamp() else found[1]

    def put(self, frame: ShelvedFrame, table: Any, life_s: float) -> None:
        self._check()
        self.frames[frame.frame_id] = (frame, table, frame.read_s + life_s)

    def _check(self) -> None:
        if self.away:
            raise ServiceUnavailable("cache")
