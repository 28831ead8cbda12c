"""A spreadsheet over HTTP: the rows of the view, its limits as problems, and nothing left of it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from sluice.query.v1 import query_service_pb2 as pb
from sluice_gateway.bootstrap import Gateway
from sluice_rpc.errors import Unavailable

from tests.polling import poll_until
from tests.spreadsheets import instant, read
from tests.unit.gateway.stand_ins import LIST, QUERY_ID, FakeQueryService, partial_receipt

pytestmark = pytest.mark.anyio

PATH = "/api/hold-history/export"
EXPORT = f"{PATH}?query_id={QUERY_ID}&format=xlsx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the gateway writes spreadsheets."""
    made = tmp_path / "spreadsheets"
    made.mkdir()
    return made


@pytest.fixture
def changed_settings(folder: Path) -> dict[str, object]:
    return {"spreadsheet_dir": str(folder), "spreadsheet_count": 1}


class Client:
    """A client of the gateway that closes its connection when it is told to."""

    def __init__(self) -> None:
        self.messages: list[MutableMapping[str, Any]] = []
        self.leaving = asyncio.Event()
        self.receiving = asyncio.Event()

    async def ask(self, gateway: Gateway) -> None:
        query_string = EXPORT.partition("?")[2].encode()
        scope = {"type": "http", "method": "GET", "path": PATH, "query_string": query_string, "headers": []}
        await asyncio.wait_for(gateway.app(scope, self._receive, self._send), 20)

    async def _receive(self) -> MutableMapping[str, Any]:
        await self.leaving.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        self.messages.append(message)
        if message.get("body"):
            self.receiving.set()
            # Takes no more, as a client with a full buffer.
            await asyncio.Event().wait()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client whose task ends with the test."""
    yield Client()


async def test_a_spreadsheet_holds_the_rows_of_the_view(http: httpx.AsyncClient) -> None:
    response = await http.get(EXPORT)

    header, first, second = read(response.content)["rows"].rows
    assert header == ["lot_id", "hold_time", "qty", "comment"]
    assert (first[0], str(instant(first[1])), first[2:]) == ("GA26010001", "2024-01-01 07:29:59", [-5.0, ""])
    assert second == ["=cmd|' /C calc'!A0", None, 7.0, 'said "no", twice']


async def test_the_client_learns_what_it_gets_and_how_much(http: httpx.AsyncClient) -> None:
    response = await http.get(EXPORT)

    assert response.headers["content-type"].endswith("spreadsheetml.sheet")
    assert f'filename="hold-history-list-{QUERY_ID}.xlsx"' in response.headers["content-disposition"]
    assert int(response.headers["content-length"]) == len(response.content)


async def test_a_partial_spreadsheet_says_so_in_its_name_and_on_its_first_sheet(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.receipt = partial_receipt()

    response = await http.get(EXPORT)

    assert f"{QUERY_ID}-partial.xlsx" in response.headers["content-disposition"]
    [shown] = [sheet for sheet in read(response.content).values() if sheet.shown]
    assert ["failed_ranges.1.code", "QUERY_TIMEOUT"] in shown.rows


async def test_more_rows_than_a_sheet_holds_are_413_before_they_are_asked_for(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.list_count = 1_048_576

    response = await http.get(f"{EXPORT}&hold_type=all")

    assert (response.status_code, response.json()["code"]) == (413, "RESULT_TOO_LARGE")
    assert response.json()["detail"] == (
        "1,048,576 rows are more than the 1,048,575 that xlsx holds; csv, parquet and arrow hold any number"
    )
    assert engine.asked(pb.ExportRowsRequest) == []


async def test_rows_are_counted_under_the_same_filters(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    await http.get(f"{EXPORT}&hold_type=all")

    [counted] = engine.asked(pb.ReadViewRequest)
    [exported] = engine.asked(pb.ExportRowsRequest)
    assert isinstance(counted, pb.ReadViewRequest)
    assert isinstance(exported, pb.ExportRowsRequest)
    assert ([*counted.views], counted.page_size, counted.filters) == ([exported.view], 1, exported.filters)


async def test_exactly_as_many_rows_as_a_sheet_holds_are_fine(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.list_count = 1_048_575

    response = await http.get(EXPORT)

    assert response.status_code == 200


async def test_a_text_no_cell_holds_is_413_with_its_column(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    engine.tables["list"] = pa.table({"comment": ["x" * 40_000]})

    response = await http.get(EXPORT)

    assert (response.status_code, response.json()["metadata"]["column"]) == (413, "comment")


async def test_an_engine_that_breaks_midway_is_a_problem_and_no_file(
    http: httpx.AsyncClient, engine: FakeQueryService, folder: Path
) -> None:
    engine.tables["list"] = pa.concat_tables([LIST] * 100_000).combine_chunks()
    engine.breaks_after_piece = Unavailable("gone")

    response = await http.get(EXPORT)

    assert (response.status_code, response.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert list(folder.iterdir()) == []


async def test_a_client_that_leaves_while_it_is_written_leaves_nothing(
    gateway: Gateway, engine: FakeQueryService, folder: Path, client: Client
) -> None:
    engine.tables["list"] = pa.concat_tables([LIST] * 100_000).combine_chunks()
    engine.stalls_after_piece = True
    asking = asyncio.create_task(client.ask(gateway))
    await asyncio.to_thread(poll_until, lambda: [*folder.iterdir()], 10, "the file")

    client.leaving.set()
    await asking

    assert await asyncio.to_thread(engine.left.wait, 10)
    await asyncio.to_thread(poll_until, lambda: not [*folder.iterdir()], 10, "the empty folder")
    assert client.messages[0]["status"] == 499


async def test_a_client_that_leaves_while_it_is_sent_leaves_nothing(
    gateway: Gateway, folder: Path, client: Client
) -> None:
    asking = asyncio.create_task(client.ask(gateway))
    await asyncio.wait_for(client.receiving.wait(), 10)
    held = _held_files(folder)

    client.leaving.set()
    await asking

    assert (len(held), _held_files(folder), list(folder.iterdir())) == (1, [], [])


async def test_the_next_spreadsheet_waits_for_its_turn_and_comes(http: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(http.get(EXPORT) for _ in range(3)))

    assert [len(read(response.content)["rows"].rows) for response in responses] == [3, 3, 3]


async def test_other_calls_are_answered_while_a_spreadsheet_is_written(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.tables["list"] = pa.concat_tables([LIST] * 20_000).combine_chunks()
    writing = asyncio.create_task(http.get(EXPORT))
    await asyncio.to_thread(poll_until, lambda: engine.asked(pb.ExportRowsRequest), 10, "the export")

    response = await http.get("/health/live")

    assert (response.status_code, writing.done()) == (200, False)
    assert (await writing).status_code == 200


def _held_files(folder: Path) -> list[str]:
    """Files of the folder that this process has open, though they have no name any more."""
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [str(target) for target in links if target.is_relative_to(folder)]
