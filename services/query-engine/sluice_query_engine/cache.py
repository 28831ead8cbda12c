"""The cache service as the engine needs it: a port, and the client that speaks gRPC to it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Final, Protocol, Self

import grpc
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.cache.v1 import frame_service_pb2_grpc, sql_service_pb2_grpc
from sluice.cache.v1 import sql_service_pb2 as sql
from sluice.table.v1 import table_pb2
from sluice_rpc.client import open_channel
from sluice_rpc.errors import Cancelled, ServiceError, ServiceUnavailable

RECONNECT_S: Final = 0.6
"""Twice the channel's pause between two attempts; so much longer a view takes to fail while the cache is down."""
CALL_TIMEOUT_S: Final = 30.0
"""Deadline of calls that only touch metadata."""
_WATCHER_END_S: Final = 5.0
"""Longest wait for the thread that watches a channel; it looks for its subscribers every 0.2 s."""
_PIPE_PIECE_COUNT: Final = 2
"""Pieces of about 1 MiB between the warehouse's thread and the sender's; what a slow cache makes us hold."""


class Answers(Protocol):
    """The answers to statements, in order; leaving it as a context manager, or `cancel`, ends the statements."""

    def cancel(self) -> None:
        """End the statements; from any thread."""
        ...

    def __enter__(self) -> Iterator[sql.RunQueryResponse]: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FrameWriter(Protocol):
    """A frame on its way; leaving it before `commit` leaves nothing behind."""

    def write(self, piece: bytes) -> None:
        """Send a piece of the IPC stream.

        Raises:
            ServiceError: the cache refused the frame or went away.
            Cancelled: `cancel` was called.
        """
        ...

    def commit(self, trailer: frames.FrameTrailer) -> frames.Frame:
        """End the frame and return it as stored. Raises as `write` does."""
        ...

    def cancel(self) -> None:
        """Give the frame up; from any thread."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FrameCache(Protocol):
    """Frames, manifests, and SQL over them. Every method raises `ServiceUnavailable` when the cache is away."""

    def open_frame(self, frame_id: str, *, version: int, max_bytes: int, deadline_s: float) -> FrameWriter:
        """Begin a frame; `max_bytes` of 0 is no limit."""
        ...

    def read_frame(self, frame_id: str) -> Iterator[bytes]:
        """Yield the pieces of a frame's IPC stream. Raises NotFound (CACHE_EXPIRED)."""
        ...

    def list_frames(self, labels: Mapping[str, str]) -> list[frames.Frame]:
        """Return live frames that carry all labels, oldest read first."""
        ...

    def put_manifest(self, manifest: frames.Manifest) -> frames.Manifest:
        """Store a manifest and keep its frames as long. Raises NotFound (CACHE_EXPIRED) when a frame is gone."""
        ...

    def get_manifest(self, manifest_id: str) -> frames.Manifest | None:
        """Return a manifest, or None when it is not, or no longer, there."""
        ...

    def run_query(self, request: sql.RunQueryRequest, *, deadline_s: float) -> Answers:
        """Run statements where the frames are."""
        ...

    def close(self) -> None:
        """End all calls."""
        ...


class GrpcFrameCache:
    """The cache process over a channel that reconnects by itself.

    Args:
        target: `host:port` of the cache process.
    """

    def __init__(self, target: str) -> None:
        self._channel: grpc.Channel = open_channel(target, "cache", timeout_s=CALL_TIMEOUT_S)
        self._connection = _Connection(self._channel)
        self._frames = frame_service_pb2_grpc.FrameServiceStub(self._channel)
        self._sql = sql_service_pb2_grpc.SqlServiceStub(self._channel)

    def open_frame(self, frame_id: str, *, version: int, max_bytes: int, deadline_s: float) -> FrameWriter:
        self._connection.settle()
        header = frames.FrameHeader(frame_id=frame_id, version=version, max_bytes=max_bytes)
        return _RemoteWriter(self._frames, header, deadline_s)

    def read_frame(self, frame_id: str) -> Iterator[bytes]:
        self._connection.settle()
        for response in self._frames.GetFrame(frames.GetFrameRequest(frame_id=frame_id)):
            if response.WhichOneof("part") == "chunk":
                yield response.chunk.ipc

    def list_frames(self, labels: Mapping[str, str]) -> list[frames.Frame]:
        self._connection.settle()
        found: list[frames.Frame] = []
        token = ""
        while True:
            page = self._frames.ListFrames(frames.ListFramesRequest(labels=labels, page_size=10_000, page_token=token))
            found.extend(page.frames)
            token = page.next_page_token
            if not token:
                return found

    def put_manifest(self, manifest: frames.Manifest) -> frames.Manifest:
        self._connection.settle()
        return self._frames.PutManifest(frames.PutManifestRequest(manifest=manifest)).manifest

    def get_manifest(self, manifest_id: str) -> frames.Manifest | None:
        self._connection.settle()
        try:
            return self._frames.GetManifest(frames.GetManifestRequest(manifest_id=manifest_id)).manifest
        except ServiceError as error:
            if error.reason == "CACHE_EXPIRED":
                return None
            raise

    def run_query(self, request: sql.RunQueryRequest, *, deadline_s: float) -> Answers:
        self._connection.settle()
        # The channel's interceptor returns a ResponseStream, whose exit cancels the call.
        answers: Answers = self._sql.RunQuery(request, timeout=deadline_s)  # type: ignore[assignment]
        return answers

    def close(self) -> None:
        self._connection.forget()
        self._channel.close()


class _Connection:
    """Knows whether the channel is between connections.

    A cache process that was restarted serves before this channel has noticed; a call made in that moment would be
    refused though nothing is wrong any more.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        # Guards the flag, and wakes those who wait for a connection.
        self._changed = threading.Condition()
        self._broken = False
        self._channel = channel
        before = set(threading.enumerate())
        channel.subscribe(self._told)
        # gRPC watches for subscribers in a thread of its own.
        self._watchers = set(threading.enumerate()) - before

    def settle(self) -> None:
        """Return at once if the channel is connected or has yet to try, else when it is again or soon anyway."""
        with self._changed:
            self._changed.wait_for(lambda: not self._broken, RECONNECT_S)

    def forget(self) -> None:
        """Return when nothing asks the channel for its state any more; on a closed one the thread that asks dies."""
        self._channel.unsubscribe(self._told)
        for watcher in self._watchers:
            watcher.join(_WATCHER_END_S)

    def _told(self, state: grpc.ChannelConnectivity) -> None:
        with self._changed:
            if state is not grpc.ChannelConnectivity.CONNECTING:
                self._broken = state is grpc.ChannelConnectivity.TRANSIENT_FAILURE
            self._changed.notify_all()


class _Pipe:
    """Requests between the thread that writes a frame and the one in which gRPC sends them; bounded."""

    def __init__(self) -> None:
        self._waiting: deque[frames.PutFrameRequest] = deque()
        self._open = True
        # Guards both, and wakes either side.
        self._changed = threading.Condition()

    def send(self, request: frames.PutFrameRequest) -> bool:
        """Hand a request over; False once the pipe is closed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open or len(self._waiting) < _PIPE_PIECE_COUNT)
            if self._open:
                self._waiting.append(request)
                self._changed.notify_all()
            return self._open

    def close(self, *, drop: bool) -> None:
        """End the stream of requests, with or without those that still wait."""
        with self._changed:
            self._open = False
            if drop:
                self._waiting.clear()
            self._changed.notify_all()

    def requests(self) -> Iterator[frames.PutFrameRequest]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._open or bool(self._waiting))
                if not self._waiting:
                    return
                request = self._waiting.popleft()
                self._changed.notify_all()
            yield request


class _RemoteWriter:
    """Sends a frame in a thread of its own, so that a stalled cache never holds a warehouse statement's thread."""

    def __init__(
        self, stub: frame_service_pb2_grpc.FrameServiceStub, header: frames.FrameHeader, deadline_s: float
    ) -> None:
        self._stub = stub
        self._deadline_s = deadline_s
        self._pipe = _Pipe()
        self._pipe.send(frames.PutFrameRequest(header=header))
        self._cancelled = False
        self._frame: frames.Frame | None = None
        self._failure: ServiceError | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._send, name="put-frame", daemon=True).start()

    def write(self, piece: bytes) -> None:
        self._pass(frames.PutFrameRequest(chunk=table_pb2.TableChunk(ipc=piece)))

    def commit(self, trailer: frames.FrameTrailer) -> frames.Frame:
        self._pass(frames.PutFrameRequest(trailer=trailer))
        self._pipe.close(drop=False)
        self._ended.wait(self._deadline_s)
        if self._frame is None:
            raise self._cause()
        return self._frame

    def cancel(self) -> None:
        self._cancelled = True
        self._pipe.close(drop=True)
        self._ended.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A stream without a trailer leaves nothing behind in the cache.
        self._pipe.close(drop=True)

    def _pass(self, request: frames.PutFrameRequest) -> None:
        if not self._pipe.send(request):
            raise self._cause()

    def _cause(self) -> ServiceError:
        if self._cancelled:
            return Cancelled("the frame was given up")
        return self._failure or ServiceUnavailable("cache")

    def _send(self) -> None:
        try:
            self._frame = self._stub.PutFrame(self._pipe.requests(), timeout=self._deadline_s).frame
        except ServiceError as error:
            self._failure = error
        finally:
            self._pipe.close(drop=True)
            self._ended.set()
