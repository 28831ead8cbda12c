"""The cache service as lineage needs it: frames read, listed, put whole, or written while their rows pass by."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Protocol, Self

import grpc
import pyarrow as pa
import structlog
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import frame_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.client import open_channel
from sluice_rpc.errors import ServiceError

from sluice_lineage.handover import HandOver

log = structlog.get_logger()

CALL_TIMEOUT_S: Final = 60.0
"""Longest that reading a kept answer, or sending one to be kept, may take."""
_ROOM_WAIT_S: Final = 2.0
"""How long rows wait for a slow cache before the answer is given up for keeping; the caller is not to be held up."""
_COMMIT_WAIT_S: Final = 10.0
_WAITING_BATCHES: Final = 2
_PAGE_SIZE: Final = 10_000


@dataclass(frozen=True)
class FrameFacts:
    """What is stored beside the rows of a frame."""

    labels: Mapping[str, str]
    read_time: datetime
    fresh_until_time: datetime
    keep_until_time: datetime


class KeptFrame(Protocol):
    """A frame that is being read; a context manager that ends the reading."""

    @property
    def frame(self) -> pb.Frame:
        """What is known of it."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Yield its IPC stream, once. Raises `ServiceError` when the cache goes away."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FrameUpload(Protocol):
    """A frame on its way to the cache. Nothing here raises: an answer that cannot be kept is still an answer."""

    def put(self, batch: pa.RecordBatch) -> None:
        """Send rows, or give up where the cache does not take them."""
        ...

    def commit(self, row_count: int, facts: FrameFacts) -> bool:
        """End the frame and return whether it is kept."""
        ...

    def abandon(self) -> None:
        """Leave nothing behind, unless it was committed."""
        ...


class FrameStore(Protocol):
    """Frames by id."""

    def open(self, frame_id: str) -> KeptFrame | None:
        """Return a frame, None when it is not there. Raises `ServiceError` when the cache is away."""
        ...

    def begin(self, frame_id: str, schema: pa.Schema, *, version: int, max_bytes: int) -> FrameUpload:
        """Begin a frame of at most `max_bytes` bytes."""
        ...

    def close(self) -> None:
        """End all calls."""
        ...


class CacheFrames:
    """Frames of the cache process.

    Args:
        target: its `host:port`.
    """

    def __init__(self, target: str) -> None:
        self._channel: grpc.Channel = open_channel(target, "cache", timeout_s=CALL_TIMEOUT_S)
        self._stub = pb_grpc.FrameServiceStub(self._channel)

    def open(self, frame_id: str) -> KeptFrame | None:
        request = pb.GetFrameRequest(frame_id=frame_id, compression=pb.COMPRESSION_NONE)
        # The channel's interceptor returns a stream whose exit cancels the call.
        stream = self._stub.GetFrame(request, timeout=CALL_TIMEOUT_S)
        try:
            first = next(iter(stream))
        except ServiceError as error:
            if error.reason == "CACHE_EXPIRED":
                return None
            raise
        return _CacheFrame(first.frame, stream)

    def begin(self, frame_id: str, schema: pa.Schema, *, version: int, max_bytes: int) -> FrameUpload:
        header = pb.FrameHeader(frame_id=frame_id, version=version, max_bytes=max_bytes)
        return _CacheUpload(self._stub, header, schema)

    def listed(self, labels: Mapping[str, str]) -> Sequence[pb.Frame]:
        """Return the live frames with these labels, oldest read first. Raises `ServiceError` when the cache is away."""
        found: list[pb.Frame] = []
        token = ""
        while True:
            request = pb.ListFramesRequest(labels=labels, page_size=_PAGE_SIZE, page_token=token)
            page = self._stub.ListFrames(request, timeout=CALL_TIMEOUT_S)
            found += page.frames
            token = page.next_page_token
            if not token:
                return found

    def put(self, frame_id: str, table: pa.Table, facts: FrameFacts, *, version: int) -> None:
        """Keep a whole table. Raises `ServiceError` when the cache does not take it."""

        def requests() -> Iterator[pb.PutFrameRequest]:
            yield pb.PutFrameRequest(header=pb.FrameHeader(frame_id=frame_id, version=version))
            for piece in arrow.encode(table.schema, table.to_batches(), "zstd"):
                yield pb.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=piece))
            yield pb.PutFrameRequest(trailer=_trailer(table.num_rows, facts))

        self._stub.PutFrame(requests(), timeout=CALL_TIMEOUT_S)

    def close(self) -> None:
        self._channel.close()


def _trailer(row_count: int, facts: FrameFacts) -> pb.FrameTrailer:
    trailer = pb.FrameTrailer(row_count=row_count, labels=facts.labels)
    trailer.read_time.FromDatetime(facts.read_time)
    trailer.fresh_until_time.FromDatetime(facts.fresh_until_time)
    trailer.keep_until_time.FromDatetime(facts.keep_until_time)
    return trailer


class _Stream(Protocol):
    def __iter__(self) -> Iterator[pb.GetFrameResponse]: ...

    def __next__(self) -> pb.GetFrameResponse: ...

    def cancel(self) -> object: ...


class _CacheFrame:
    def __init__(self, frame: pb.Frame, stream: _Stream) -> None:
        self.frame = frame
        self._stream = stream

    def pieces(self) -> Iterator[bytes]:
        for response in self._stream:
            yield response.chunk.ipc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.cancel()


class _CacheUpload:
    """Sends in a thread of its own, so that a stalled cache never holds up who reads the rows."""

    def __init__(self, stub: pb_grpc.FrameServiceStub, header: pb.FrameHeader, schema: pa.Schema) -> None:
        self._stub = stub
        self._header = header
        self._schema = schema
        self._handover = HandOver(1, _WAITING_BATCHES)
        self._trailer: pb.FrameTrailer | None = None
        self._stored = False
        self._thread = threading.Thread(target=self._send, name="keep-frame", daemon=True)
        self._thread.start()

    def put(self, batch: pa.RecordBatch) -> None:
        if not self._handover.put(batch, _ROOM_WAIT_S):
            self._handover.close()

    def commit(self, row_count: int, facts: FrameFacts) -> bool:
        self._trailer = _trailer(row_count, facts)
        self._handover.leave()
        self._thread.join(_COMMIT_WAIT_S)
        return self._stored

    def abandon(self) -> None:
        self._handover.close()

    def _send(self) -> None:
        try:
            self._stub.PutFrame(self._requests(), timeout=CALL_TIMEOUT_S)
            self._stored = True
        except ServiceError as error:
            log.info("a frame is not kept", frame_id=self._header.frame_id, reason=error.reason)
        finally:
            self._handover.close()

    def _requests(self) -> Iterator[pb.PutFrameRequest]:
        yield pb.PutFrameRequest(header=self._header)
        for piece in arrow.encode(self._schema, iter(self._handover.get, None), "zstd"):
            yield pb.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=piece))
        # Without a trailer nothing stays; rows that were given up make its count wrong, and then nothing stays either.
        if self._trailer is not None:
            yield pb.PutFrameRequest(trailer=self._trailer)
