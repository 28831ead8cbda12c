"""What a process says to the ledger when it stops, and that it says so last."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import sluice_lineage.bootstrap as lineage
import sluice_lineage.settings as lineage_settings
import sluice_query_engine.bootstrap as engine
import sluice_query_engine.settings as engine_settings
from sluice_rpc.ports import SystemClock
from sluice_warehouse import outlives_process
from sluice_warehouse.duckdb import DuckDBWarehouse
from sluice_warehouse.permit_leases import MemoryLedger
from sluice_warehouse.permits import ProcessPermits
from sluice_warehouse.permits_redis import RedisLedger

from tests.engine_rig import DATASET, REPOSITORY
from tests.leased_permits import TERMS, end_grace, open_permits, requests
from tests.polling import poll_until

NAME: Final = "closing:"


@pytest.fixture
def ledger() -> MemoryLedger:
    made = MemoryLedger(SystemClock())
    end_grace(lambda asked, now_ms: made.ledger.answer(asked, now_ms, made.run), TERMS)
    return made


def leases_in(ledger: MemoryLedger) -> int:
    """Return how many leases the ledger counts."""
    return len(ledger.ledger.book.leases) if ledger.ledger.book is not None else 0


def opened(ledger: MemoryLedger) -> ProcessPermits:
    """Return permits whose share is in use, so that the next one is a lease."""
    permits = open_permits(ledger, replace(TERMS), 1)
    permits.acquire(1, "share").release(confirmed=False)
    return permits


def test_a_lease_in_quarantine_outlives_a_clean_stop(ledger: MemoryLedger) -> None:
    permits = opened(ledger)
    permits.acquire(5, "lost statement").release(confirmed=False)
    permits.close()
    assert leases_in(ledger) == 1


def test_a_lease_whose_statement_runs_outlives_a_clean_stop(ledger: MemoryLedger) -> None:
    permits = opened(ledger)
    held = permits.acquire(5, "running statement")
    permits.close()
    assert (leases_in(ledger), held.until > 0) == (1, True)


def test_a_lease_given_back_is_free_at_the_stop(ledger: MemoryLedger) -> None:
    permits = opened(ledger)
    permits.acquire(5, "ended statement").release()
    permits.close()
    assert leases_in(ledger) == 0


@pytest.mark.parametrize(("outlived", "free"), [(True, 1), (False, 2)])
def test_after_a_kill_the_share_is_free_but_for_what_may_still_run(
    ledger: MemoryLedger, outlived: bool, free: int
) -> None:
    killed = requests("one", incarnation="killed")
    ledger.ask(killed(share=("walk that sorts",)))
    permits = open_permits(ledger, TERMS, 2, outlived=outlived)
    assert permits.available_count - TERMS.lease_count == free
    permits.close()


@pytest.mark.parametrize(("outlived", "left"), [(True, 1), (False, 0)])
def test_a_share_in_quarantine_at_a_clean_stop_counts_against_the_next_run(
    ledger: MemoryLedger, outlived: bool, left: int
) -> None:
    first = open_permits(ledger, TERMS, 2, outlived=outlived)
    first.acquire(1, "lost statement").release(confirmed=False)
    first.close()
    assert ledger.ask(requests("one", incarnation="next")()).left_behind_count == left


def test_the_ledger_hears_of_a_statement_under_the_share_before_the_next_beat(ledger: MemoryLedger) -> None:
    permits = open_permits(ledger, replace(TERMS, margin_ms=600_000), 1, outlived=True)
    with permits.acquire(1, "walk"):
        poll_until(lambda: ledger.ledger.book and ledger.ledger.book.processes["one"].share == ("walk",), 60)
    permits.close()


def test_an_embedded_warehouse_does_not_outlive_its_process() -> None:
    urls = ("oracle://reader@db.plant:1521/MES", "duckdb:////plant.duckdb")
    assert [outlives_process(url) for url in urls] == [True, False]


class LastWarehouse(DuckDBWarehouse):
    """Notes whether the process had left the ledger when its warehouse was closed."""

    def __init__(self, ledger: RedisLedger) -> None:
        super().__init__(Path("/nowhere.duckdb"))
        self.here: list[str] = []
        self._ledger = ledger

    def close(self) -> None:
        self.here = [row.process for row in self._ledger.read().processes]
        super().close()


@pytest.fixture
def shared_ledger(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> RedisLedger:
    monkeypatch.setenv("SLUICE_PERMIT_SHARES", "query-engine=1,lineage=1")
    monkeypatch.setenv("SLUICE_PERMIT_REDIS_URL", redis_url)
    monkeypatch.setenv("SLUICE_PERMIT_REDIS_PREFIX", NAME)
    return RedisLedger(redis_url, prefix=NAME)


def test_lineage_leaves_the_ledger_after_its_warehouse_has_ended_what_ran(shared_ledger: RedisLedger) -> None:
    warehouse = LastWarehouse(shared_ledger)
    process = lineage.build(lineage_settings.Settings(warehouse_url="duckdb:///nowhere.duckdb"), warehouse)
    poll_until(lambda: shared_ledger.read().processes, 60)
    process.closing.close()
    assert (warehouse.here, shared_ledger.read().processes) == (["lineage"], ())


def test_the_engine_leaves_the_ledger_after_its_warehouse_has_ended_what_ran(
    shared_ledger: RedisLedger, tmp_path: Path
) -> None:
    warehouse = LastWarehouse(shared_ledger)
    # One dataset is soon compiled.
    shutil.copytree(REPOSITORY / "services" / "query-engine" / "datasets" / DATASET, tmp_path / DATASET)
    settings = engine_settings.Settings(warehouse_url="duckdb:///nowhere.duckdb", datasets_dir=tmp_path)
    process = engine.build(settings, engine.World(warehouse=warehouse))
    poll_until(lambda: shared_ledger.read().processes, 60)
    process.closing.close()
    assert (warehouse.here, shared_ledger.read().processes) == (["query-engine"], ())
