"""The HTTP server: uvicorn with our own socket, signals and stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from sluice_gateway.bootstrap import build
from sluice_gateway.settings import Settings

log = structlog.get_logger()


class CannotListen(Exception):
    """The address cannot be had; the message says why."""


def bound(listen: str) -> socket.socket:
    """Return a socket bound to `host:port`.

    Raises:
        CannotListen: the port is taken, or the host is not ours.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches off Nagle's delay, 40 ms for an answer in two writes, only on sockets that say TCP outright.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise CannotListen(f"cannot listen on {listen}: {error.strerror or error}") from None
    return listener


async def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; then answer whoever waits at once and let the rest finish for the grace period."""
    # uvicorn's own lines repeat ours; what breaks inside a request is logged with its id.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    gateway = await build(settings)
    server = _Server(
        uvicorn.Config(
            gateway.app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, round(settings.stop_grace_s)),
        )
    )
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True
        gateway.patience.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    log.info("serving", listen=settings.listen, port=listener.getsockname()[1])
    async with gateway.closing:
        await server.serve(sockets=[listener])
    log.info("stopped")


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again after its graceful stop, and the exit status would be that of a kill.
        yield
