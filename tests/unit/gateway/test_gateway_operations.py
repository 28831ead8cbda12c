"""Definitions, lineage, health, identity, pages and the process itself."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import swagger_ui_bundle
from sluice.query.v1 import query_service_pb2 as pb
from sluice_gateway.bootstrap import Gateway, build
from sluice_gateway.preference import wait_s
from sluice_rpc.errors import Unavailable
from sluice_rpc.ports import FakeClock

from tests.polling import poll_until
from tests.unit.gateway.conftest import Behind, opened
from tests.unit.gateway.stand_ins import QUERY_ID, FakeQueryService

pytestmark = pytest.mark.anyio

DATES = {"start_date": "2025-01-01", "end_date": "2025-12-31"}
CHILD = "00000000000000aa"


async def test_datasets_are_listed_with_the_plants_clock(http: httpx.AsyncClient) -> None:
    body = (await http.get("/api/datasets")).json()

    assert body["plant_time"] == "2025-12-31T12:00:00"
    assert [dataset["name"] for dataset in body["datasets"]] == ["hold-history", "resource-history"]


async def test_a_dataset_shows_its_schemas_and_the_columns_of_its_views(http: httpx.AsyncClient) -> None:
    body = (await http.get("/api/datasets/hold-history")).json()

    assert body["parameters"]["required"] == ["start_date", "end_date"]
    assert body["filters"]["properties"]["hold_type"]["enum"] == ["quality", "non-quality", "all"]
    [day] = body["views"][0]["columns"]
    assert (day["name"], day["type"], day["role"], day["unit"]) == ("day", "date32[day]", None, None)


async def test_the_fields_of_a_dataset_come_in_the_order_it_declares(http: httpx.AsyncClient) -> None:
    filters = (await http.get("/api/datasets/hold-history")).json()["filters"]

    assert (
        [*filters["properties"]]
        == filters["x-order"]
        == ["reason", "hold_type", "record_type", "min_qty", "day_filter"]
    )


async def test_a_route_may_hold_slashes(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    await http.post("/api/resource/history/query", json={})

    [started] = engine.asked(pb.StartQueryRequest)
    assert isinstance(started, pb.StartQueryRequest)
    assert started.dataset == "resource-history"


async def test_definitions_are_asked_for_once(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    await http.post("/api/hold-history/query", json=DATES)
    await http.post("/api/hold-history/query", json=DATES)

    assert len(engine.asked(pb.ListDatasetsRequest)) == 2  # one call per page


async def test_definitions_are_refreshed_after_their_time(
    http: httpx.AsyncClient, engine: FakeQueryService, clock: FakeClock
) -> None:
    await http.post("/api/hold-history/query", json=DATES)
    clock.advance(31)
    await http.post("/api/hold-history/query", json=DATES)

    assert len(engine.asked(pb.ListDatasetsRequest)) == 4


async def test_unknown_names_cost_one_refresh_a_second(
    http: httpx.AsyncClient, engine: FakeQueryService, clock: FakeClock
) -> None:
    await http.post("/api/moon/query", json={})
    clock.advance(1.5)
    await http.post("/api/moon/query", json={})
    await http.post("/api/mars/query", json={})

    assert len(engine.asked(pb.ListDatasetsRequest)) == 4


async def test_ancestors_are_a_graph_with_a_receipt(http: httpx.AsyncClient) -> None:
    body = (await http.post("/api/lineage/ancestors", json={"container_ids": [CHILD]})).json()

    assert body["child_to_parent"] == {CHILD: "parent"}
    assert body["receipt"]["status"] == "complete"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "container_ids"),
        ({"container_ids": "x"}, "container_ids"),
        ({"container_ids": [1]}, "container_ids"),
        ({"container_ids": ["x" * 65]}, "container_ids[0]"),
        ({"container_ids": [], "max_depth": 21}, "max_depth"),
        ({"container_ids": [], "max_depth": "3"}, "max_depth"),
        ({"container_ids": [], "moon": 1}, "moon"),
    ],
)
async def test_wrong_lineage_input_names_its_field(
    http: httpx.AsyncClient, body: dict[str, object], field: str
) -> None:
    response = await http.post("/api/lineage/ancestors", json=body)

    assert (response.status_code, response.json()["metadata"]["field"]) == (400, field)


async def test_ready_when_every_process_serves(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health/ready")).status_code == 200


async def test_not_ready_names_who_does_not_serve(http: httpx.AsyncClient, behind: Behind) -> None:
    behind.cache.report(serving=False)

    response = await http.get("/health/ready")

    assert (response.status_code, response.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert response.json()["metadata"] == {"cache": "reports NOT_SERVING"}
    assert response.headers["retry-after"] == "2"


async def test_health_tells_each_process_apart(behind: Behind) -> None:
    gateway = await build(behind.settings(lineage_target="127.0.0.1:1"))
    async with gateway.closing, opened(gateway) as client:
        response = await client.get("/health")

    body = response.json()
    assert response.status_code == 200
    assert (body["status"], body["degraded_reason"]) == ("degraded", "lineage_unreachable")
    assert body["processes"]["lineage"] == {"status": "not_serving", "reason": "lineage cannot be reached"}
    assert body["processes"]["cache"] == {"status": "serving", "reason": None}


async def test_live_needs_nobody(behind: Behind) -> None:
    gateway = await build(behind.settings(query_engine_target="127.0.0.1:1"))
    async with gateway.closing, opened(gateway) as client:
        assert (await client.get("/health/live")).status_code == 200


async def test_metrics_count_requests_by_route_template(http: httpx.AsyncClient) -> None:
    await http.get(f"/api/queries/{QUERY_ID}")

    text = (await http.get("/metrics")).text
    assert 'sluice_gateway_requests_total{method="GET",path="/api/queries/{query_id}",status="200"} 1.0' in text


async def test_a_request_id_goes_through_to_the_engine_and_back(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    response = await http.get(f"/api/queries/{QUERY_ID}", headers={"X-Request-Id": "abc-1"})

    assert (response.headers["x-request-id"], engine.metadata["x-request-id"]) == ("abc-1", "abc-1")


async def test_a_malformed_request_id_is_replaced(http: httpx.AsyncClient) -> None:
    response = await http.get("/health/live", headers={"X-Request-Id": "a b\tc"})

    assert response.headers["x-request-id"] == "0001"


async def test_a_trusted_proxy_names_the_user(http: httpx.AsyncClient, engine: FakeQueryService) -> None:
    await http.get(f"/api/queries/{QUERY_ID}", headers={b"X-User": "王小明".encode()})

    assert engine.metadata["x-sluice-user"] == "%E7%8E%8B%E5%B0%8F%E6%98%8E"


async def test_anybody_else_is_anonymous(gateway: Gateway) -> None:
    async with opened(gateway, peer="10.0.0.7") as client:
        response = await client.get("/api/me", headers={"X-User": "admin"})

    assert response.json() == {"user": "anonymous", "anonymous": True}


async def test_pages_load_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    response = await http.get("/")

    assert response.status_code == 200
    assert "//" not in response.text.replace("<!doctype", "")
    assert response.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")


@pytest.mark.parametrize(
    ("path", "base"), [("/", "./"), ("/trace", "./"), ("/d/hold-history", "../"), ("/ops/x", "../")]
)
async def test_the_page_finds_its_files_from_each_of_its_addresses(
    http: httpx.AsyncClient, path: str, base: str
) -> None:
    page = await http.get(path)

    assert (f'<base href="{base}">' in page.text, page.headers["cache-control"]) == (True, "no-cache")


async def test_a_file_of_the_page_is_kept_for_ever_and_sent_in_gzip(http: httpx.AsyncClient) -> None:
    page = (await http.get("/")).text
    (script,) = re.findall(r'src="\./(assets/[^"]+\.js)"', page)

    packed = await http.get(f"/{script}")
    plain = await http.get(f"/{script}", headers={"Accept-Encoding": "identity"})

    assert (packed.headers["content-encoding"], "immutable" in packed.headers["cache-control"]) == ("gzip", True)
    assert (packed.content, "content-encoding" in plain.headers) == (plain.content, False)


@pytest.mark.parametrize("path", ["/assets/none.js", "/assets/..%2Findex.html", "/elsewhere", "/d/a/b"])
async def test_what_the_page_does_not_have_stays_a_problem(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


async def test_the_documentation_is_served_from_our_own_files(http: httpx.AsyncClient) -> None:
    page = (await http.get("/docs")).text
    script = await http.get("/docs/files/swagger-ui-bundle.js")

    assert 'src="docs/files/swagger-ui-bundle.js"' in page
    assert len(script.content) == (Path(swagger_ui_bundle.swagger_ui_path) / "swagger-ui-bundle.js").stat().st_size


async def test_the_openapi_document_spells_out_each_dataset(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()

    call = document["paths"]["/api/hold-history/query"]["post"]
    members = call["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert {"start_date", "hold_type", "page"} <= set(members)
    assert "/api/resource/history/view" in document["paths"]


async def test_the_openapi_document_survives_an_absent_engine(
    http: httpx.AsyncClient, engine: FakeQueryService
) -> None:
    engine.failures["ListDatasets"] = Unavailable("away")

    response = await http.get("/openapi.json")

    assert (response.status_code, "/api/datasets" in response.json()["paths"]) == (200, True)


@pytest.mark.parametrize(
    "path",
    [
        "/static/docs.js",
        "/sluice/static/docs.js",
        "/d/hold-history",
        "/sluice/d/hold-history",
        "/sluice/",
        "/",
        "/sluice/api/me",
    ],
)
async def test_a_prefix_may_arrive_or_be_cut_off(behind: Behind, path: str) -> None:
    gateway = await build(behind.settings(root_path="/sluice"))
    async with gateway.closing, opened(gateway) as client:
        assert (await client.get(path)).status_code == 200


async def test_under_a_prefix_locations_carry_it(behind: Behind) -> None:
    gateway = await build(behind.settings(root_path="/sluice"))
    async with gateway.closing, opened(gateway) as client:
        response = await client.post(f"/api/queries/{QUERY_ID}/retry")

    assert response.headers["location"] == f"/sluice/api/queries/{QUERY_ID}"


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ([], 30),
        (["wait=10"], 10),
        (["respond-async, wait=10"], 10),
        (["respond-async"], 0),
        (["wait=999"], 300),
        (["wait=-1"], 30),
        (["wait=1.5", "wait=7"], 7),
        (['WAIT = "5"'], 5),
        (["wait"], 30),
    ],
)
def test_prefer_is_read_as_rfc_7240_says(prefer: list[str], expected: int) -> None:
    assert wait_s(prefer) == expected


def run_gateway(environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start the process as an operator would."""
    return subprocess.Popen(
        [sys.executable, "-m", "sluice_gateway"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"SLUICE_GATEWAY_LISTEN": "nowhere"},
        {"SLUICE_GATEWAY_LISTEM": "127.0.0.1:0"},
        {"SLUICE_GATEWAY_ROOT_PATH": "sluice"},
        {"SLUICE_GATEWAY_LISTEN": "203.0.113.1:80"},
    ],
)
def test_misconfiguration_is_one_line_and_status_2(environment: dict[str, str]) -> None:
    process = run_gateway(environment)
    _, stderr = process.communicate(timeout=60)

    assert (process.returncode, len(stderr.splitlines())) == (2, 1)
    assert stderr.startswith("gateway: ")


def test_a_taken_port_is_one_line_and_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = run_gateway({"SLUICE_GATEWAY_LISTEN": f"127.0.0.1:{taken.getsockname()[1]}"})
        _, stderr = process.communicate(timeout=60)

    assert (process.returncode, len(stderr.splitlines())) == (2, 1)


def test_sigterm_stops_at_once_although_somebody_waits(behind: Behind, engine: FakeQueryService) -> None:
    engine.started = pb.Query(query_id=QUERY_ID, state=pb.QUERY_STATE_RUNNING)
    settings = behind.settings()
    process = run_gateway(
        {
            "SLUICE_GATEWAY_LISTEN": "127.0.0.1:0",
            "SLUICE_GATEWAY_QUERY_ENGINE_TARGET": settings.query_engine_target,
            "SLUICE_GATEWAY_LOG_STYLE": "json",
        }
    )
    assert process.stdout is not None
    port = json.loads(process.stdout.readline())["port"]
    address = f"http://127.0.0.1:{port}/api/queries/{QUERY_ID}/events"
    with httpx.Client() as client, client.stream("GET", address) as events:
        poll_until(engine.watched.is_set, 10)
        process.send_signal(signal.SIGTERM)
        events.read()
    process.communicate(timeout=10)

    assert (events.status_code, process.returncode) == (200, 0)
