"""A real server in process whose one service does what a test tells it, over plain bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from prometheus_client import CollectorRegistry
from sluice_rpc.client import open_aio_channel, open_channel
from sluice_rpc.server import RpcServer, Service
from sluice_rpc.settings import RpcServerSettings

SERVICE = "test.Scripted"
UNARY, STREAM, UPLOAD, EXCHANGE = (f"/{SERVICE}/{method}" for method in ("Unary", "Stream", "Upload", "Exchange"))

Act = Callable[[grpc.ServicerContext], bytes]


@dataclass
class Scripted:
    """The service: `act` runs in every call; a stream sends one message before it. `ended`: a call is over."""

    act: Act = field(default=lambda context: b"")
    deadlines: list[float] = field(default_factory=list)
    metadata: dict[str, str | bytes] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def add_to(self, server: grpc.Server) -> None:
        """Register the four kinds of call."""
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Unary": grpc.unary_unary_rpc_method_handler(self._unary),
            "Stream": grpc.unary_stream_rpc_method_handler(self._stream),
            "Upload": grpc.stream_unary_rpc_method_handler(self._upload),
            "Exchange": grpc.stream_stream_rpc_method_handler(self._exchange),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    def _note(self, context: grpc.ServicerContext) -> None:
        self.deadlines.append(float(context.time_remaining() or 0))
        self.metadata = dict(context.invocation_metadata())
        context.add_callback(self.ended.set)

    def _unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self._note(context)
        return self.act(context)

    def _stream(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self._note(context)
        yield b"first"
        yield self.act(context)

    def _upload(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        self._note(context)
        received = b"".join(requests)
        return self.act(context) or received

    def _exchange(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self._note(context)
        yield from requests
        yield self.act(context)


@dataclass
class Suite:
    """A started server, what it serves, and its metrics."""

    scripted: Scripted
    server: RpcServer
    registry: CollectorRegistry

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.server.port}"

    # Calls over plain bytes have no stub, hence no types.
    def channel(self, timeout_s: float = 20) -> Any:
        """Open a channel as every process does."""
        return open_channel(self.target, "scripted", timeout_s=timeout_s)

    def aio_channel(self, timeout_s: float = 20) -> Any:
        """Open the asyncio counterpart."""
        return open_aio_channel(self.target, "scripted", timeout_s=timeout_s)

    def bare_channel(self) -> Any:
        """Open a channel without interceptors, as a stranger would."""
        return grpc.insecure_channel(self.target)

    def raises(self, error: Exception) -> None:
        """Make every call raise this."""

        def act(context: grpc.ServicerContext) -> bytes:
            raise error

        self.scripted.act = act


def start_suite() -> Suite:
    """Start the server on a free port."""
    scripted = Scripted()
    registry = CollectorRegistry()
    settings = RpcServerSettings(worker_thread_count=4)
    server = RpcServer("scripted", settings, [Service(SERVICE, scripted.add_to)], registry)
    server.start()
    return Suite(scripted, server, registry)
