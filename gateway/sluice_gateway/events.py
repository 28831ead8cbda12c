"""Progress as server-sent events: one event per change, comments in between, an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Final

from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc.errors import ServiceError

from sluice_gateway import messages, problems, render
from sluice_gateway.connection import Patience

MEDIA_TYPE: Final = "text/event-stream"
_RETRY_MS: Final = 1000
"""How soon a browser connects again: before the engine takes its going for the end of all interest."""
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""The second keeps nginx from holding events back."""


class EventStreams:
    """Makes streams of progress events.

    Args:
        patience: ends them when the process stops.
        keep_alive_s: silence after which a comment is sent, in seconds.
        max_s: longest stream, in seconds.
    """

    def __init__(self, patience: Patience, keep_alive_s: float, max_s: float) -> None:
        self._patience = patience
        self._keep_alive_s = keep_alive_s
        self._max_s = max_s

    async def of(
        self, watching: AbstractAsyncContextManager[AsyncIterator[pb.Query]], path: str
    ) -> AsyncGenerator[bytes, None]:
        """Yield `progress` events and, last, one `end` event with the final state.

        When the watch breaks, the last event is a `problem`. When the stream must end before the query does, it
        simply stops, and a browser connects again by itself.
        """
        number = 0
        try:
            async with watching as changes:
                async for query in self._or_silence(changes):
                    if query is None:
                        yield b": still running\n\n"
                        continue
                    ended = query.state != pb.QUERY_STATE_RUNNING
                    yield _event("end" if ended else "progress", number, messages.query(query))
                    if ended:
                        return
                    number += 1
        except ServiceError as error:
            yield _event("problem", number, problems.to_json(error, path))

    async def _or_silence(self, changes: AsyncIterator[pb.Query]) -> AsyncIterator[pb.Query | None]:
        """Yield the changes, and None after each silence, until the stream has to end."""
        loop = asyncio.get_running_loop()
        last_s = loop.time() + self._max_s
        stopping = asyncio.ensure_future(self._patience.stopped.wait())
        upcoming = asyncio.ensure_future(anext(changes, None))
        try:
            while loop.time() < last_s and not stopping.done():
                await asyncio.wait(
                    {upcoming, stopping}, timeout=self._keep_alive_s, return_when=asyncio.FIRST_COMPLETED
                )
                if not upcoming.done():
                    yield None
                    continue
                query = upcoming.result()
                if query is None:
                    return
                yield query
                upcoming = asyncio.ensure_future(anext(changes, None))
        finally:
            for task in (upcoming, stopping):
                task.cancel()
            await asyncio.gather(upcoming, stopping, return_exceptions=True)


def _event(name: str, number: int, data: object) -> bytes:
    return b"event: %s\nid: %d\nretry: %d\ndata: %s\n\n" % (name.encode(), number, _RETRY_MS, render.dumps(data))
