"""The real engine and the real lineage live by one plan, show themselves in one ledger, and refuse a wrong one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sluice_client.redis_server import RedisServer
from sluice_lineage.bootstrap import build
from sluice_lineage.settings import Settings
from sluice_query_engine.bootstrap import build as build_engine
from sluice_query_engine.settings import Settings as EngineSettings
from sluice_rpc.settings import SettingsError
from sluice_warehouse.permits_redis import RedisLedger

from tests.polling import poll_until
from tests.running_suite import RunningSuite, open_http, running_suite

PLAN = {
    "DB_SLOW_MAX_CONCURRENT": "4",
    "SLUICE_PERMIT_SHARES": "query-engine=1,lineage=1",
    "SLUICE_PERMIT_HOLD_S": "6",
    "SLUICE_PERMIT_MARGIN_S": "3",
}
BODY = {"start_date": "2025-01-01", "end_date": "2025-12-31"}


@pytest.fixture(scope="module")
def ledger(redis_server: RedisServer) -> Iterator[RedisLedger]:
    made = RedisLedger(redis_server.url, prefix="services:")
    yield made
    made.close()


@pytest.fixture(scope="module")
def leased_suite(
    twin_path: Path, redis_program: Path, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSuite]:
    """A suite of which engine and lineage have a share of one each and two leases between them."""
    plan = {**PLAN, "SLUICE_PERMIT_REDIS_URL": redis_server.url, "SLUICE_PERMIT_REDIS_PREFIX": "services:"}
    folder = tmp_path_factory.mktemp("leased")
    with running_suite(folder, twin_path, redis_program, {"query-engine": plan, "lineage": plan}) as running:
        yield running


def test_engine_and_lineage_show_themselves_in_the_ledger(leased_suite: RunningSuite, ledger: RedisLedger) -> None:
    names = poll_until(lambda: [row.process for row in ledger.read().processes if row.silent_s < 1][:2], 20)
    assert names == ["lineage", "query-engine"]


def test_a_query_of_many_chunks_runs_under_the_share_and_leases(
    leased_suite: RunningSuite, ledger: RedisLedger
) -> None:
    poll_until(lambda: ledger.read().grace_left_s == 0 and ledger.read().processes, 30, "the end of grace")
    with open_http(leased_suite.url) as http:
        answer = http.post("/api/hold-history/query", json=BODY, headers={"Prefer": "wait=30"})
    assert (answer.status_code, answer.json().get("receipt", {}).get("status")) == (200, "complete"), answer.text
    assert ledger.read().granted_count > 0
    poll_until(lambda: ledger.read().leases == (), 10, "every lease given back")


def test_a_plan_that_does_not_fit_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_SLOW_MAX_CONCURRENT", "2")
    monkeypatch.setenv("SLUICE_PERMIT_SHARES", "query-engine=2,lineage=1")
    with pytest.raises(SettingsError, match="DB_SLOW_MAX_CONCURRENT"):
        build(Settings(warehouse_url="duckdb:///plant.duckdb"))


def test_the_cap_without_shares_is_what_engine_and_lineage_may_use_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_PERMIT_CAP", "2")
    process = build_engine(EngineSettings(warehouse_url="duckdb:///plant.duckdb"))
    permits = process.permits.snapshot()
    process.closing.close()
    assert permits.total_count == 1
