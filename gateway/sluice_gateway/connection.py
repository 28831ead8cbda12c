"""Answers that end with their client: work stops when the client leaves, and waiting stops when the process does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, TypeVar

import structlog
from sluice_rpc.errors import ServiceError
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sluice_gateway.errors import AnswerCut, ClientLeft

log = structlog.get_logger()

T = TypeVar("T")


async def while_connected(receive: Receive, work: Coroutine[None, None, T]) -> T:
    """Return what `work` returns; cancel it the moment the client closes its connection.

    Raises:
        ClientLeft: the client was faster.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientLeft
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


class Patience:
    """Bounds on waiting that all end at once when the process stops."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()
        self.stopped = asyncio.Event()

    @asynccontextmanager
    async def at_most(self, seconds: float) -> AsyncIterator[None]:
        """Wait inside for at most so long.

        Raises:
            TimeoutError: time is up, or the process stops.
        """
        async with asyncio.timeout(0 if self.stopped.is_set() else seconds) as limit:
            self._open.add(limit)
            try:
                yield
            finally:
                self._open.discard(limit)

    def stop(self) -> None:
        """End all waiting, now and later."""
        self.stopped.set()
        now = asyncio.get_running_loop().time()
        for limit in self._open:
            limit.reschedule(now)


class WatchedStream(StreamingResponse):
    """A streamed body whose source is closed as soon as the client has left or the body has ended."""

    def __init__(self, body: AsyncGenerator[bytes, None], media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(body, headers=headers, media_type=media_type)
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await while_connected(receive, self._deliver(send))
        except ClientLeft:
            log.info("client left")

    async def _deliver(self, send: Send) -> None:
        async with aclosing(self._body):
            try:
                await self.stream_response(send)
            except ServiceError as error:
                log.warning("answer cut", code=error.reason)
                raise AnswerCut(error.reason) from error


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def closing_source(
    opened: AbstractAsyncContextManager[Any], pieces: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """Yield the pieces and close what they come from, however that ends."""
    try:
        async for piece in pieces:
            yield piece
    finally:
        await opened.__aexit__(None, None, None)
        await pieces.aclose()
