"""Views under a name and short links: who sees which, what is refused, and how long they last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_gateway.bootstrap import Gateway, build
from sluice_gateway.saved.address import checked_address
from sluice_rpc.errors import InvalidParameter
from sluice_rpc.ports import FakeClock

from tests.unit.gateway.conftest import Behind, opened

pytestmark = pytest.mark.anyio

PATH = "/d/hold-history?r=-30d&f.lots=GA1%2CGA2&x.reason=!R%2501"
DAY_S = 86_400.0
ANN = {"X-User": "ann"}
BOB = {"X-User": "bob"}


@pytest.fixture
def changed_settings(tmp_path: Path) -> dict[str, object]:
    return {
        "identity_header": "X-User",
        "saved_file": tmp_path / "of" / "gateway" / "saved.sqlite",
        "keep_links_days": 30,
        "most_saved_views": 3,
        "most_links": 2,
        "saved_per_minute": 8,
    }


@pytest.fixture
async def other_http(behind: Behind, changed_settings: dict[str, object]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a second gateway that shares the file, or of the first after a restart."""
    gateway = await build(behind.settings(**changed_settings))
    async with gateway.closing, opened(gateway) as client:
        yield client


async def saved(http: httpx.AsyncClient, user: dict[str, str], **fields: object) -> httpx.Response:
    return await http.post("/api/saved", json={"path": PATH, "name": "Holds", **fields}, headers=user)


async def listed(http: httpx.AsyncClient, user: dict[str, str]) -> list[tuple[str, bool]]:
    views = (await http.get("/api/saved", headers=user)).json()["views"]
    return [(view["name"], view["mine"]) for view in views]


async def test_a_saved_view_is_there_after_a_restart(http: httpx.AsyncClient, other_http: httpx.AsyncClient) -> None:
    made = await saved(http, ANN, note=" of my \n line ")

    again = await other_http.get(f"/api/saved/{made.json()['id']}", headers=ANN)
    assert (made.status_code, again.json()) == (201, made.json())
    assert (again.json()["path"], again.json()["note"]) == (PATH, "of my line")


async def test_others_see_what_is_shared_and_nothing_else(http: httpx.AsyncClient, clock: FakeClock) -> None:
    await saved(http, ANN, name="ours")
    clock.advance(1)
    own = (await saved(http, ANN, name="mine", shared=False)).json()["id"]

    assert await listed(http, ANN) == [("mine", True), ("ours", True)]
    assert await listed(http, BOB) == [("ours", False)]
    assert (await http.get(f"/api/saved/{own}", headers=BOB)).status_code == 404


async def test_what_is_kept_under_an_id_changes_and_its_links_stay(http: httpx.AsyncClient) -> None:
    made = (await saved(http, ANN, name="last month")).json()
    wanted = {"path": "/d/wip", "name": "floor", "note": "now", "shared": False}

    changed = await http.put(f"/api/saved/{made['id']}", json=wanted, headers=ANN)

    assert (changed.status_code, changed.json()) == (200, {**made, **wanted})
    assert (await http.get(f"/api/saved/{made['id']}", headers=ANN)).json() == {**made, **wanted}
    assert await listed(http, BOB) == []


async def test_only_its_owner_changes_a_view(http: httpx.AsyncClient) -> None:
    view = (await saved(http, ANN)).json()["id"]
    answers = [
        await http.put(f"/api/saved/{saved_id}", json={"path": path, "name": "x"}, headers=user)
        for saved_id, path, user in ((view, PATH, BOB), ("0" * 16, PATH, ANN), (view, "/elsewhere", ANN))
    ]

    assert [answer.status_code for answer in answers] == [403, 404, 400]
    assert await listed(http, ANN) == [("Holds", True)]


async def test_only_its_owner_forgets_a_view(http: httpx.AsyncClient) -> None:
    view = (await saved(http, ANN)).json()["id"]

    refused = await http.delete(f"/api/saved/{view}", headers=BOB)
    forgotten = await http.delete(f"/api/saved/{view}", headers=ANN)

    assert (refused.status_code, refused.json()["code"], forgotten.status_code) == (403, "FORBIDDEN", 204)
    assert await listed(http, ANN) == []


async def test_one_person_keeps_so_many_views(http: httpx.AsyncClient) -> None:
    for _ in range(3):
        assert (await saved(http, ANN)).status_code == 201

    assert (await saved(http, ANN)).status_code == 409
    assert (await saved(http, BOB)).status_code == 201


async def test_who_writes_too_often_waits_and_others_do_not(http: httpx.AsyncClient, clock: FakeClock) -> None:
    for _ in range(8):
        await http.post("/api/permalinks", json={"path": PATH}, headers=ANN)
    clock.advance(20)

    refused = await http.post("/api/permalinks", json={"path": PATH}, headers=ANN)
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (429, "RATE_LIMITED", "40")
    assert (await http.post("/api/permalinks", json={"path": PATH}, headers=BOB)).status_code == 201
    clock.advance(40)
    assert (await http.post("/api/permalinks", json={"path": PATH}, headers=ANN)).status_code == 201


async def test_one_address_has_one_link(http: httpx.AsyncClient) -> None:
    long = f"/d/hold-history?f.lots={','.join(f'GA{number:012}' for number in range(1000))}"
    first = await http.post("/api/permalinks", json={"path": long}, headers=ANN)
    again = await http.post("/api/permalinks", json={"path": long}, headers=BOB)

    assert first.json()["id"] == again.json()["id"]
    assert (await http.get(f"/api/permalinks/{first.json()['id']}")).json()["path"] == long


async def test_a_link_that_is_opened_lives_on_and_one_that_is_not_ends(
    http: httpx.AsyncClient, clock: FakeClock
) -> None:
    link = (await http.post("/api/permalinks", json={"path": PATH})).json()["id"]
    clock.advance(20 * DAY_S)
    assert (await http.get(f"/api/permalinks/{link}")).status_code == 200
    clock.advance(20 * DAY_S)
    assert (await http.get(f"/api/permalinks/{link}")).status_code == 200
    clock.advance(31 * DAY_S)

    assert (await http.get(f"/api/permalinks/{link}")).status_code == 404


async def test_past_the_limit_the_link_that_nobody_opened_goes(http: httpx.AsyncClient, clock: FakeClock) -> None:
    links = []
    for days in (7, 30, 90):
        links.append((await http.post("/api/permalinks", json={"path": f"/d/wip?r=-{days}d"})).json()["id"])
        clock.advance(1)

    found = [(await http.get(f"/api/permalinks/{link}")).status_code for link in links]
    assert found == [404, 200, 200]


@pytest.mark.parametrize(
    "path",
    [
        "https://elsewhere.example/d/hold-history",
        "//elsewhere.example/d/wip",
        "/d/../api/me",
        "/d/hold-history?token=abc",
        "/d/hold-history?password=abc",
        "/d/hold-history?r=-7d&r=-8d",
        "/d/hold-history?r=-7d#x",
        '/d/hold-history?x.reason="><script>',
        "/d/hold-history?x.reason=\u200b",
        "/trace?seed=GA1&of=anything",
        "/trace?seed=GA1&of=hold-history,200,612,hold_time,sideways",
        "/trace?seed=GA1&of=hold-history,200,612,hold_time,desc,2025-03-01..soon",
        "/saved/1",
        "javascript:alert(1)",
        "/trace?",
        "",
    ],
)
async def test_only_addresses_of_the_page_are_kept(http: httpx.AsyncClient, path: str) -> None:
    answer = await saved(http, ANN, path=path)

    assert (answer.status_code, [item["field"] for item in answer.json()["errors"]]) == (400, ["path"])


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"),
        ({"name": " \n "}, "name"),
        ({"name": "n" * 121}, "name"),
        ({"name": "\u202egnp.exe"}, "name"),
        ({"name": 1}, "name"),
        ({"note": "n" * 501}, "note"),
        ({"shared": "yes"}, "shared"),
        ({"path": f"/trace?seed={'x' * 16_000}"}, "path"),
        ({"owner": "bob"}, "owner"),
    ],
)
async def test_what_is_wrong_with_a_view_is_named(
    http: httpx.AsyncClient, fields: dict[str, object], wrong: str
) -> None:
    answer = await saved(http, ANN, **fields)

    assert (answer.status_code, [item["field"] for item in answer.json()["errors"]]) == (400, [wrong])


async def test_a_file_that_cannot_be_had_is_said_and_the_rest_goes_on(
    gateway: Gateway, changed_settings: dict[str, object]
) -> None:
    file = Path(str(changed_settings["saved_file"]))
    file.parent.parent.mkdir()
    file.parent.write_text("no folder", encoding="utf-8")
    async with opened(gateway) as client:
        answer = await client.get("/api/saved")
        alive = await client.get("/health/live")

    assert (answer.status_code, answer.json()["code"], alive.status_code) == (503, "SERVICE_UNAVAILABLE", 200)


@pytest.mark.parametrize(
    "said",
    [
        "hold-history,200,612,hold_time,desc",
        "hold-history,200,600%2B,hold_time,asc,2025-03-01..2025-03-31",
        "hold-history,200,1234,hold_time,desc,2025-03-01..2025-03-31,reason:yield%252C%2520low%2B3,hold_type:!~%7Call",
        "wip,3,3,lot_id,asc,reason:x",
    ],
)
def test_an_address_that_says_where_its_lots_come_from_is_kept(said: str) -> None:
    path = f"/trace?kind=lot_id&seed=GA1&of={said}"
    assert checked_address(path) == path


@given(st.text(max_size=200))
def test_no_text_is_kept_but_an_address(text: str) -> None:
    for candidate in (text, f"/d/{text}", f"/d/wip?x.reason={text}"):
        try:
            kept = checked_address(candidate)
        except InvalidParameter:
            continue
        assert kept.isascii() and not set(kept) & set(' "<>\\#')
        assert kept.startswith(("/d/", "/trace", "/timeline"))
