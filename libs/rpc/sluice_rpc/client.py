"""Channels to other Sluice processes: keep-alive, reconnects, errors as our own family."""

from __future__ import annotations

import grpc
import grpc.aio
from grpc.experimental import ChannelOptions

from sluice_rpc.interceptors import AioClientInterceptor, ClientInterceptor
from sluice_rpc.pieces import BULK_PIECE_BYTES, TRANSPORT_OPTIONS

DEFAULT_TIMEOUT_S = 30.0
"""Deadline of a call that names none and has no caller with one."""

_OPTIONS: tuple[tuple[str, int], ...] = (
    # A killed process comes back under the same address within seconds; the default back-off would sit out minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 250),
    # Whatever its name says, this is how long one attempt may take; a busy machine greets late.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Many channels of one process (tests) must not share one broken connection.
    ("grpc.use_local_subchannel_pool", 1),
    *TRANSPORT_OPTIONS,
)


_BULK_OPTIONS: tuple[tuple[str, int], ...] = (
    # As large as a message may be at most. Of plain frames as they lie, fewer and larger messages cost a fifth less.
    ("grpc.http2.max_frame_size", 2 * BULK_PIECE_BYTES),
    ("grpc.experimental.tcp_read_chunk_size", 2 * BULK_PIECE_BYTES),
    ("grpc.experimental.tcp_min_read_chunk_size", 2 * BULK_PIECE_BYTES),
    # What may be on its way before the reader has asked for it: a batch of wide rows, from the first byte on.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 16 << 20),
    (ChannelOptions.SingleThreadedUnaryStream, 1),
)


def open_channel(target: str, service: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> grpc.Channel:
    """Return a channel whose calls raise `ServiceError`s and always carry a deadline.

    Args:
        target: `host:port`.
        service: name of the process at the other end, for errors of the channel itself.
        timeout_s: deadline of calls that name none.
    """
    channel = grpc.insecure_channel(target, options=list(_OPTIONS))
    return grpc.intercept_channel(channel, ClientInterceptor(service, timeout_s))


def open_bulk_channel(target: str, service: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> grpc.Channel:
    """Return a channel as `open_channel` does, for tables: streams are read by the thread that asks for them.

    A hand-over from thread to thread for each piece costs a third of the processor time of a read.
    """
    options = [*{**dict(_OPTIONS), **dict(_BULK_OPTIONS)}.items()]
    return grpc.intercept_channel(grpc.insecure_channel(target, options=options), ClientInterceptor(service, timeout_s))


def open_aio_channel(target: str, service: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> grpc.aio.Channel:
    """Return the asyncio counterpart of `open_channel`."""
    interceptors = AioClientInterceptor.both(service, timeout_s)
    return grpc.aio.insecure_channel(target, options=list(_OPTIONS), interceptors=interceptors)
