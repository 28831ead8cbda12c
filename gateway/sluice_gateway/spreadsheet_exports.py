"""Spreadsheets as answers: counted before they are begun, written by a thread, sent when they are whole.

How rows become cells is `spreadsheet`'s.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import anyio
import anyio.from_thread
import anyio.to_thread
from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc import arrow

from sluice_gateway import messages, spreadsheet
from sluice_gateway.engine import QueryEngine, TableStream
from sluice_gateway.errors import ClientLeft, TooManyRows
from sluice_gateway.identity import Caller

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Written:
    """A spreadsheet that is whole.

    Attributes:
        file: without a name; it is gone once it is closed.
        receipt: what the rows are worth.
        size_bytes: of the file.
    """

    file: IO[bytes]
    receipt: messages.JSONObject
    size_bytes: int

    async def content(self) -> AsyncGenerator[bytes, None]:
        """Yield the file and close it, however that ends."""
        with self.file:
            while piece := await anyio.to_thread.run_sync(self.file.read, _PIECE_BYTES):
                yield piece


class SpreadsheetExports:
    """Writes spreadsheets.

    Args:
        engine: whom to ask for the rows.
        limit: how many are written at the same time; further ones wait, before they ask for anything.
        folder: where they are written; None is the system's folder for temporary files.
    """

    def __init__(self, engine: QueryEngine, limit: int, folder: Path | None) -> None:
        self._engine = engine
        self._folder = folder
        self._turns = asyncio.Semaphore(limit)
        # Apart from the threads of streamed exports: a spreadsheet keeps its own for minutes.
        self._threads = anyio.CapacityLimiter(limit)

    async def written(self, wanted: pb.ExportRowsRequest, titles: Mapping[str, str], caller: Caller) -> Written:
        """Return the rows as a spreadsheet.

        It is sent when it is whole, so that whatever goes wrong is still a problem of its own and no broken file.

        Raises:
            TooManyRows: a sheet does not hold the rows; known before they are asked for.
            TextTooLong: a cell does not hold one of the texts.
        """
        async with self._turns:
            await self._check_row_count(wanted, caller)
            async with self._engine.export_rows(wanted, caller) as stream:
                receipt = messages.receipt(stream.receipt)
                file = await self._write(stream, titles, receipt)
        return Written(file, receipt, os.fstat(file.fileno()).st_size)

    async def _check_row_count(self, wanted: pb.ExportRowsRequest, caller: Caller) -> None:
        first_row = pb.ReadViewRequest(
            query_id=wanted.query_id, dataset=wanted.dataset, views=[wanted.view], filters=wanted.filters, page_size=1
        )
        answer = await self._engine.read_view(first_row, caller)
        for view in answer.views:
            if view.header.page.total_count > spreadsheet.MAX_ROWS:
                raise TooManyRows(spreadsheet.MAX_ROWS, view.header.page.total_count)

    async def _write(self, stream: TableStream, titles: Mapping[str, str], receipt: messages.JSONObject) -> IO[bytes]:
        left = threading.Event()

        def pieces() -> Iterator[bytes]:
            while (piece := anyio.from_thread.run(stream.next_piece)) is not None:
                # Nobody stops a thread from outside; what it has written so far it takes away by itself.
                if left.is_set():
                    raise ClientLeft
                yield piece

        def write() -> IO[bytes]:
            batches = arrow.decode(pieces())
            return spreadsheet.write(batches, batches.schema, titles, receipt, self._folder)

        try:
            return await anyio.to_thread.run_sync(write, limiter=self._threads)
        finally:
            left.set()
