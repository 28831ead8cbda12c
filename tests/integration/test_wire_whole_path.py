"""The whole suite over the stand-in through the real Oracle driver: from HTTP to statements, and what a break becomes.

Wire tests: they prove transport, cancels and faults from the browser to the server, nothing of Oracle's SQL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sluice_client.ports import LOOPBACK, take_free
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_SERVICE, DEFAULT_USER, FaultRule, OracleWireServer

from tests.engine_rig import REPOSITORY
from tests.polling import poll_until
from tests.running_suite import RunningSuite, open_http, running_suite

Json = dict[str, Any]

YEAR = {"start_date": "2024-06-01", "end_date": "2025-05-31"}
SPRING = {"start_date": "2024-01-01", "end_date": "2024-05-30"}
SECOND_CHUNK = "2024-01-31T07:30:00"
"""The first starts at 2023-12-31 07:30 and is 31 days wide."""
HANGING = {"start_date": "2025-08-01", "end_date": "2025-08-10"}
AUTUMN = {"start_date": "2025-09-01", "end_date": "2025-12-20"}
KNOWN = {"start_date": "2025-06-20", "end_date": "2025-06-29"}
PARTLY_KNOWN = {"start_date": "2025-06-20", "end_date": "2025-07-10"}
RULES = REPOSITORY / "deploy" / "prometheus" / "sluice.rules.yml"
CAP = 3
RECOVERY_S = 2.0
HANGING_ACTION = "hold-history slice 2025-07-31T07:30:00"
pytestmark = pytest.mark.timeout(300)
TYPED = {"WAREHOUSE_UNAVAILABLE", "CIRCUIT_OPEN"}
WAREHOUSE = {
    "SLUICE_WAREHOUSE_PASSWORD": DEFAULT_PASSWORD,
    "SLUICE_WAREHOUSE_CONNECT_RETRY_COUNT": "0",
    "SLUICE_WAREHOUSE_LOGON_TIMEOUT_S": "3",
    "SLUICE_WAREHOUSE_CANCEL_GRACE_S": "1",
    "SLUICE_WAREHOUSE_BATCH_ROW_COUNT": "8",
    "SLUICE_WAREHOUSE_BREAKER_RECOVERY_S": str(RECOVERY_S),
}


@pytest.fixture(scope="module")
def server(twin_path: Path) -> Iterator[OracleWireServer]:
    with OracleWireServer(twin_path) as running:
        yield running


@pytest.fixture(scope="module")
def metrics_ports() -> dict[str, int]:
    """Where processes behind the gateway show their metrics."""
    return dict(zip(("query-engine", "cache"), take_free(2), strict=True))


@pytest.fixture(scope="module")
def wired(
    server: OracleWireServer,
    twin_path: Path,
    redis_program: Path,
    metrics_ports: dict[str, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningSuite]:
    """A suite that reads the stand-in."""
    url = f"oracle://{DEFAULT_USER}@127.0.0.1:{server.port}/{DEFAULT_SERVICE}"
    extra = {
        "query-engine": {
            **WAREHOUSE,
            "SLUICE_QUERY_ENGINE_WAREHOUSE_URL": url,
            "SLUICE_PERMIT_CAP": str(CAP + 1),
            "SLUICE_QUERY_ENGINE_METRICS_LISTEN": f"{LOOPBACK}:{metrics_ports['query-engine']}",
        },
        "cache": {"SLUICE_CACHE_METRICS_LISTEN": f"{LOOPBACK}:{metrics_ports['cache']}"},
        "lineage": {**WAREHOUSE, "SLUICE_LINEAGE_WAREHOUSE_URL": url},
    }
    with running_suite(tmp_path_factory.mktemp("wired"), twin_path, redis_program, extra) as suite:
        yield suite


@pytest.fixture
def wired_http(wired: RunningSuite, server: OracleWireServer) -> Iterator[httpx.Client]:
    with open_http(wired.url) as client:
        yield client
    server.faults.clear()
    poll_until(lambda: server.statements_in_flight == 0, 60, "no statement")


def post(http: httpx.Client, body: Json, wait_s: int = 50) -> httpx.Response:
    return http.post("/api/hold-history/query", json=body, headers={"Prefer": f"wait={wait_s}"})


def trend(http: httpx.Client, query_id: str) -> Json:
    answer = http.get("/api/hold-history/view", params={"query_id": query_id, "view": "trend", "hold_type": "all"})
    views: Json = answer.json()["views"]
    return views


def test_wire_a_year_of_holds_is_what_it_is_without_oracle(wired_http: httpx.Client, http: httpx.Client) -> None:
    whole, expected = post(wired_http, YEAR).json(), post(http, YEAR).json()
    assert (whole["receipt"]["status"], whole["receipt"]["row_count"]) == ("complete", expected["receipt"]["row_count"])
    assert trend(wired_http, whole["query_id"]) == trend(http, expected["query_id"])


def test_every_metric_that_an_alarm_watches_is_shown(wired_http: httpx.Client, metrics_ports: dict[str, int]) -> None:
    pages = [f"http://{LOOPBACK}:{port}/metrics" for port in metrics_ports.values()]
    shown = wired_http.get("/metrics").text + "".join(
        httpx.get(page, trust_env=False, verify=False).text for page in pages
    )
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    watched = {name for rule in rules for name in re.findall(r"\bsluice_[a-z_]+", rule["expr"])}
    assert {name for name in watched if f"# TYPE {name} " not in shown} == set()
    assert {"sluice_warehouse_pool_busy", "sluice_warehouse_breaker_state", "sluice_cache_tier_available"} <= watched


def test_wire_a_chunk_that_breaks_off_in_mid_fetch_is_named_and_a_retry_fills_it(
    wired_http: httpx.Client, server: OracleWireServer
) -> None:
    # The first attempt and the one retry.
    rule = FaultRule(
        phase="fetch", action=f"hold-history slice {SECOND_CHUNK}", batch=1, do="error", code=3113, times=2
    )
    server.faults.set([rule])
    partial = post(wired_http, SPRING).json()
    retried = wired_http.post(f"/api/queries/{partial['query_id']}/retry")
    # Somebody must want what is read again.
    with wired_http.stream("GET", f"/api/queries/{partial['query_id']}/events") as watched:
        assert list(watched.iter_lines())
    refilled = wired_http.get(f"/api/queries/{partial['query_id']}").json()
    whole = post(wired_http, SPRING).json()
    gaps = [(gap["part"], gap["start"], gap["code"]) for gap in partial["receipt"]["failed_ranges"]]
    assert (len(server.faults.fired), gaps) == (2, [("slice", SECOND_CHUNK, "WAREHOUSE_UNAVAILABLE")])
    assert (retried.is_success, refilled["status"]) == (True, "completed")
    assert (whole["receipt"]["status"], whole["receipt"]["failed_ranges"]) == ("complete", [])
    assert whole["receipt"]["row_count"] > partial["receipt"]["row_count"]


def test_wire_the_browser_leaves_and_the_statement_is_cancelled_at_the_server(
    wired_http: httpx.Client, server: OracleWireServer
) -> None:
    server.faults.set([FaultRule(phase="fetch", action=HANGING_ACTION, do="stall", seconds=120)])
    query_id = post(wired_http, HANGING, wait_s=0).json()["query_id"]
    with wired_http.stream("GET", f"/api/queries/{query_id}/events") as watched:
        next(watched.iter_lines())
        poll_until(lambda: server.faults.fired and server.statements_in_flight, 60, "a statement that hangs")
    poll_until(lambda: server.statements_in_flight == 0, 60, "the statement's end at the server")
    assert wired_http.get(f"/api/queries/{query_id}").json()["status"] == "cancelled"


def test_wire_a_server_that_dies_in_mid_query_is_told_opens_the_breaker_and_is_found_again(
    wired_http: httpx.Client, wired: RunningSuite, server: OracleWireServer
) -> None:
    assert post(wired_http, KNOWN).json()["receipt"]["status"] == "complete"
    server.faults.set([FaultRule(phase="fetch", do="stall", seconds=120)])
    query_id = post(wired_http, AUTUMN, wait_s=0).json()["query_id"]
    # The engine leaves one permit to others.
    poll_until(lambda: server.statements_in_flight == CAP - 1, 60, "statements that run")
    server.stop_listening()
    server.drop_connections()
    server.faults.clear()
    poll_until(lambda: ended_query(wired_http, query_id), 90, "the end of the query")
    poll_until(lambda: asked_code(wired_http) == "CIRCUIT_OPEN", 90, "a breaker that is open")
    poll_until(lambda: "CIRCUIT_OPEN" in gap_codes(wired_http), 90, "a receipt that says so")
    ended = wired_http.get(f"/api/queries/{query_id}").json()
    server.listen()
    poll_until(lambda: asked_code(wired_http) == "", 90, "a warehouse that was found again")
    states = breaker_states(wired)
    assert (ended["status"], ended["error"]["code"] in TYPED) == ("failed", True), ended
    assert (states[0], states[-2:]) == ("open", ["half_open", "closed"])


def ended_query(http: httpx.Client, query_id: str) -> str:
    """Return how a query ended; empty while it runs."""
    status: str = http.get(f"/api/queries/{query_id}").json()["status"]
    return status if status in ("failed", "partial", "completed") else ""


def asked_code(http: httpx.Client) -> str:
    """Ask for rows and return the code of the error, empty where there is none."""
    answer = post(http, AUTUMN, wait_s=20)
    return "" if answer.status_code == 200 else str(answer.json().get("code"))


def gap_codes(http: httpx.Client) -> set[str]:
    """Ask for rows of which some are there, and return why the others are missing."""
    receipt = post(http, PARTLY_KNOWN, wait_s=20).json().get("receipt") or {}
    return {gap["code"] for gap in receipt.get("failed_ranges", [])}


def breaker_states(suite: RunningSuite) -> list[str]:
    """Return the states that the engine's breaker entered, in order."""
    text = "".join(path.read_text(encoding="utf-8") for path in (suite.data_dir / "logs").glob("query-engine*"))
    lines = [json.loads(line) for line in text.splitlines() if "breaker changed" in line]
    return [line["state"] for line in lines]
