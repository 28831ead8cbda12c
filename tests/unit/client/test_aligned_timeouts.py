"""Whoever waits waits longer than whoever works for it: a slow answer is told, never cut off on its way. D9."""

from __future__ import annotations

from sluice_cache.settings import Settings as CacheSettings
from sluice_client.gateway import WAIT_S
from sluice_gateway.preference import MAX_WAIT_S
from sluice_gateway.settings import Settings as GatewaySettings
from sluice_lineage.settings import Settings as LineageSettings
from sluice_query_engine.settings import Settings as EngineSettings
from sluice_warehouse.oracle_settings import OracleSettings
from sluice_warehouse.permits import LONGEST_HOLD_S

STATEMENT_S = 300.0
"""What a slow statement has, from its first call to its last row."""


def test_a_slow_statement_has_three_hundred_seconds() -> None:
    assert (LONGEST_HOLD_S, OracleSettings().slow_call_timeout_ms) == (STATEMENT_S, 1000 * STATEMENT_S)


def test_every_process_gives_its_statements_all_of_them() -> None:
    engine, lineage = EngineSettings(warehouse_url="duckdb:///x"), LineageSettings(warehouse_url="duckdb:///x")
    assert {
        engine.chunk_deadline_s,
        lineage.statement_timeout_s,
        CacheSettings().statement_timeout_s,
    } == {STATEMENT_S}


def test_a_table_of_many_statements_has_longer_than_one_and_its_query_longer_still() -> None:
    engine = EngineSettings(warehouse_url="duckdb:///x")
    assert STATEMENT_S < engine.stage_deadline_s < engine.query_deadline_s


def test_the_gateway_waits_longer_than_a_statement_runs_and_a_caller_longer_than_the_gateway() -> None:
    gateway = GatewaySettings()
    assert STATEMENT_S <= MAX_WAIT_S
    assert min(gateway.view_timeout_s, gateway.lineage_timeout_s) > STATEMENT_S
    assert max(gateway.view_timeout_s, gateway.lineage_timeout_s, MAX_WAIT_S) < WAIT_S == 360.0
