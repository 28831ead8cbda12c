"""The two places where errors meet the wire: one interceptor on the server, one on the client (sync and asyncio).

Server: every exception becomes google.rpc.Status, every RPC leaves one log line and one observation. Client: every
failure becomes the error family again, every call carries a deadline and the request id of its caller.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import grpc
import grpc.aio
import structlog
from grpc_status import rpc_status

from sluice_rpc import errors, pieces
from sluice_rpc.errors import InternalFault, ServiceError, from_rpc_error, to_status
from sluice_rpc.log import REQUEST_ID_KEY
from sluice_rpc.ports import RandomIds
from sluice_rpc.telemetry import RpcMetrics

log = structlog.get_logger()

_QUIET_PREFIX = "/grpc."
"""Health and reflection are asked every few seconds; their lines stay at DEBUG."""


class ServerInterceptor(grpc.ServerInterceptor):
    """Turns exceptions into statuses and writes one line per RPC.

    Args:
        metrics: observe every RPC.
        taking_pieces: methods whose requests are pieces of tables, or messages.
    """

    def __init__(self, metrics: RpcMetrics, taking_pieces: Collection[str] = ()) -> None:
        self._metrics = metrics
        self._taking_pieces = taking_pieces
        self._ids = RandomIds()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        metadata = dict(handler_call_details.invocation_metadata or ())
        request_id = str(metadata.get(REQUEST_ID_KEY) or self._ids.new())
        parse = handler.request_deserializer
        serializers: dict[str, Any] = {
            "request_deserializer": (
                pieces.deserializer(parse) if parse is not None and method in self._taking_pieces else parse
            ),
            # Streams of table pieces come as bytes that are the message already.
            "response_serializer": pieces.serializer(handler.response_serializer),
        }
        if handler.response_streaming:
            behavior = handler.stream_stream if handler.request_streaming else handler.unary_stream
            wrap_stream = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            return wrap_stream(self._streaming(behavior, method, request_id), **serializers)
        behavior = handler.stream_unary if handler.request_streaming else handler.unary_unary
        wrap_unary = (
            grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        )
        return wrap_unary(self._unary(behavior, method, request_id), **serializers)

    def _unary(self, behavior: Any, method: str, request_id: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        def call(request: Any, context: grpc.ServicerContext) -> Any:
            ended = _Ended(method, request_id, self._metrics)
            try:
                response = behavior(request, context)
            except Exception as error:
                ended.abort(context, error)
            ended.well()
            return response

        return call

    def _streaming(
        self, behavior: Any, method: str, request_id: str
    ) -> Callable[[Any, grpc.ServicerContext], Iterator[Any]]:
        def call(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            ended = _Ended(method, request_id, self._metrics)
            responses = None
            try:
                responses = behavior(request, context)
                yield from responses
            except GeneratorExit:
                ended.left()
                raise
            except Exception as error:
                ended.abort(context, error)
            ended.well()

        return call


class _Ended:
    """Measures one RPC from its construction and reports how it ended, once."""

    def __init__(self, method: str, request_id: str, metrics: RpcMetrics) -> None:
        structlog.contextvars.bind_contextvars(request_id=request_id)
        self._method = method
        self._request_id = request_id
        self._metrics = metrics
        self._start = time.perf_counter()

    def well(self) -> None:
        self._report("OK", "")

    def left(self) -> None:
        """The caller went away before the end of the stream."""
        self._report("CANCELLED", "")

    def abort(self, context: grpc.ServicerContext, error: Exception) -> NoReturn:
        if isinstance(error, ServiceError):
            failure = error
        elif not context.is_active():
            # The caller is gone; whatever broke on the way out is nobody's answer.
            failure = errors.Cancelled("the caller went away")
        else:
            log.error("rpc broke", method=self._method, exc_info=error)
            failure = InternalFault(self._request_id)
        self._report(failure.status.name, failure.reason)
        context.abort_with_status(rpc_status.to_status(to_status(failure)))

    def _report(self, status: str, reason: str) -> None:
        elapsed_s = time.perf_counter() - self._start
        self._metrics.observe(self._method, status, reason, elapsed_s)
        write = log.debug if self._method.startswith(_QUIET_PREFIX) else log.info
        write("rpc", method=self._method, status=status, reason=reason, elapsed_ms=round(elapsed_s * 1000, 1))


class _CallDetails(NamedTuple):
    """What grpc calls ClientCallDetails, with the fields it reads."""

    method: Any
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any = None


class ClientInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Gives calls a deadline and a request id; raises what the remote process raised."""

    def __init__(self, service: str, timeout_s: float) -> None:
        self._service = service
        self._timeout_s = timeout_s

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._finished(continuation(_details(client_call_details, self._timeout_s), request))

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return self._finished(continuation(_details(client_call_details, self._timeout_s), request_iterator))

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = continuation(_details(client_call_details, self._timeout_s), request)
        return ResponseStream(call, self._service)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        call = continuation(_details(client_call_details, self._timeout_s), request_iterator)
        return ResponseStream(call, self._service)

    def _finished(self, call: Any) -> Any:
        error = call.exception()
        if isinstance(error, grpc.RpcError):
            raise from_rpc_error(error, self._service) from None
        return call


class ResponseStream:
    """The responses of a streaming call; raises `ServiceError`s and can be cancelled or left as a context manager."""

    def __init__(self, call: Any, service: str) -> None:
        self._call = call
        self._service = service

    def __iter__(self) -> ResponseStream:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._call)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._service) from None

    def __enter__(self) -> ResponseStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def cancel(self) -> None:
        """End the call; harmless once it has ended."""
        self._call.cancel()


class _AioUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, service: str, timeout_s: float) -> None:
        self._service = service
        self._timeout_s = timeout_s

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(_aio_details(client_call_details, self._timeout_s), request)
        try:
            await call
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._service) from None
        return call


class _AioStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, service: str, timeout_s: float) -> None:
        self._service = service
        self._timeout_s = timeout_s

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(_aio_details(client_call_details, self._timeout_s), request)
        return _translated(call, self._service)


class _AioBothWays(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, service: str, timeout_s: float) -> None:
        self._service = service
        self._timeout_s = timeout_s

    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> AsyncIterator[Any]:
        call = await continuation(_aio_details(client_call_details, self._timeout_s), request_iterator)
        return _translated(call, self._service)


class AioClientInterceptor:
    """The asyncio counterparts of `ClientInterceptor`; grpc.aio wants one object per kind of call."""

    @staticmethod
    def both(service: str, timeout_s: float) -> Sequence[grpc.aio.ClientInterceptor]:
        """Return the interceptors of a channel."""
        return [_AioUnary(service, timeout_s), _AioStream(service, timeout_s), _AioBothWays(service, timeout_s)]


async def _translated(call: Any, service: str) -> AsyncIterator[Any]:
    try:
        async for message in call:
            yield message
    except grpc.RpcError as error:
        raise from_rpc_error(error, service) from None
    finally:
        call.cancel()


def _details(details: Any, timeout_s: float) -> _CallDetails:
    timeout = details.timeout if details.timeout is not None else timeout_s
    metadata = [*(details.metadata or ()), *_request_id(details.metadata)]
    return _CallDetails(
        details.method, timeout, metadata, details.credentials, details.wait_for_ready, details.compression
    )


def _aio_details(details: Any, timeout_s: float) -> grpc.aio.ClientCallDetails:
    timeout = details.timeout if details.timeout is not None else timeout_s
    pairs = list(details.metadata or ())
    metadata = grpc.aio.Metadata(*pairs, *_request_id(pairs))
    return grpc.aio.ClientCallDetails(details.method, timeout, metadata, details.credentials, details.wait_for_ready)


def _request_id(metadata: Any) -> list[tuple[str, str]]:
    if any(key == REQUEST_ID_KEY for key, _ in metadata or ()):
        return []
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return [(REQUEST_ID_KEY, str(request_id))] if request_id else []
