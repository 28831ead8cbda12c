"""Where frames of edges are: in the cache process, or in this process for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import grpc
import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import frame_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.client import open_channel
from sluice_rpc.errors import NotFound, ServiceUnavailable
from sluice_rpc.ports import Clock

from sluice_lineage.edge_frames import ShelvedFrame

_TIMEOUT_S: Final = 60.0
_PAGE_SIZE: Final = 10_000


class CacheShelf:
    """Frames of the cache process; those of another warehouse are not seen.

    Args:
        target: its `host:port`.
        warehouse_url: whose edges these are; only a digest of it leaves the process.
    """

    def __init__(self, target: str, warehouse_url: str) -> None:
        self._channel: grpc.Channel = open_channel(target, "cache", timeout_s=_TIMEOUT_S)
        self._stub = pb_grpc.FrameServiceStub(self._channel)
        self._warehouse = hashlib.sha256(warehouse_url.encode()).hexdigest()[:16]

    def listed(self, topic: str) -> Sequence[ShelvedFrame]:
        labels = {"lineage_edges": topic, "warehouse": self._warehouse}
        found: list[ShelvedFrame] = []
        token = ""
        while True:
            page = self._stub.ListFrames(
                pb.ListFramesRequest(labels=labels, page_size=_PAGE_SIZE, page_token=token), timeout=_TIMEOUT_S
            )
            for frame in page.frames:
                read_s = frame.read_time.ToDatetime(UTC).timestamp()
                found.append(ShelvedFrame(frame.frame_id, topic, read_s))
            token = page.next_page_token
            if not token:
                return found

    def take(self, frame_id: str) -> Any:
        try:
            return self.read(frame_id)
        except NotFound:
            return None

    def read(self, frame_id: str) -> pa.Table:
        """Return any frame. Raises NotFound (CACHE_EXPIRED) when it is gone."""
        request = pb.GetFrameRequest(frame_id=frame_id, compression=pb.COMPRESSION_NONE)
        stream = self._stub.GetFrame(request, timeout=_TIMEOUT_S)
        with arrow.decode(response.chunk.ipc for response in stream if response.chunk.ipc) as reader:
            return reader.read_all()

    def put(self, frame: ShelvedFrame, table: Any, life_s: float) -> None:
        self._stub.PutFrame(self._requests(frame, table, life_s), timeout=_TIMEOUT_S)

    def close(self) -> None:
        self._channel.close()

    def _requests(self, frame: ShelvedFrame, table: Any, life_s: float) -> Iterator[pb.PutFrameRequest]:
        version = int(frame.read_s * 1000)
        yield pb.PutFrameRequest(header=pb.FrameHeader(frame_id=frame.frame_id, version=version))
        for piece in arrow.encode(table.schema, table.to_batches(), "zstd"):
            yield pb.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=piece))
        labels = {"lineage_edges": frame.topic, "warehouse": self._warehouse}
        trailer = pb.FrameTrailer(row_count=table.num_rows, labels=labels)
        read_time = datetime.fromtimestamp(frame.read_s, UTC)
        trailer.read_time.FromDatetime(read_time)
        trailer.fresh_until_time.FromDatetime(read_time + timedelta(seconds=life_s))
        trailer.keep_until_time.FromDatetime(read_time + timedelta(seconds=life_s))
        yield pb.PutFrameRequest(trailer=trailer)


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

    def close(self) -> None:
        """Nothing is open."""

    def _check(self) -> None:
        if self.away:
            raise ServiceUnavailable("cache")
