"""The cap and its division as an operator sets them, and what Prometheus shows of the result."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from sluice_rpc.ports import RandomIds, SystemClock
from sluice_rpc.settings import SettingsError
from sluice_warehouse.permit_metrics import PermitMetrics
from sluice_warehouse.permit_plan import PermitPlan, PlanError, parse_shares
from sluice_warehouse.permit_settings import PermitSettings, open_permits
from sluice_warehouse.permits import LocalPermits, ProcessPermits

from tests.polling import poll_until

SHARES = "query-engine=2,lineage=1"


def opened(process: str = "query-engine", **settings: object) -> ProcessPermits:
    return open_permits(PermitSettings.model_validate(settings), process, SystemClock(), RandomIds(), outlived=False)


def sample(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"sluice_permits_{name}", labels)


@pytest.mark.parametrize(
    ("process", "cap", "share"), [("query-engine", 5, 4), ("query-engine", 2, 1), ("lineage", 2, 1)]
)
def test_without_shares_the_engine_has_the_cap_but_one_which_is_lineages(process: str, cap: int, share: int) -> None:
    assert opened(process, cap=cap).snapshot().total_count == share


def test_without_shares_and_settings_the_cap_is_five() -> None:
    assert [opened(process).available_count for process in ("query-engine", "lineage")] == [4, 1]


def test_a_cap_of_one_cannot_be_divided() -> None:
    with pytest.raises(SettingsError, match="DB_SLOW_MAX_CONCURRENT"):
        opened(cap=1)


def test_a_second_process_of_another_name_is_not_in_the_plan_without_shares() -> None:
    with pytest.raises(SettingsError, match="'query-engine-2', which has no share"):
        opened(name="query-engine-2")


def test_without_shares_a_second_engine_has_nothing_where_a_ledger_tells_it(redis_url: str) -> None:
    # Which of them the ledger hears of first is not said; until it has, either goes by its own share.
    engines = [opened(redis_url=redis_url) for _ in range(2)]
    poll_until(lambda: "conflict" in [permits.snapshot().lease_state for permits in engines], 60)
    assert sorted(permits.available_count for permits in engines) == [0, 4]
    for permits in engines:
        permits.close()


@pytest.mark.parametrize(("process", "share"), [("query-engine", 2), ("lineage", 1)])
def test_each_process_has_its_share_without_redis(process: str, share: int) -> None:
    assert opened(process, cap=5, shares=SHARES).available_count == share


def test_what_is_left_of_the_cap_is_leased() -> None:
    assert PermitPlan(5, parse_shares(SHARES)).lease_count == 2


def test_shares_above_the_cap_are_refused_with_the_settings_at_fault() -> None:
    with pytest.raises(SettingsError, match=r"CAP \(or DB_SLOW_MAX_CONCURRENT\) is 2, and SHARES .* are 3"):
        opened(cap=2, shares=SHARES)


def test_a_process_without_a_share_is_refused_with_the_settings_at_fault() -> None:
    with pytest.raises(SettingsError, match="NAME is 'query-engine-2', which has no share in SHARES"):
        opened(cap=5, shares=SHARES, name="query-engine-2")


def test_a_redis_url_of_another_kind_is_refused() -> None:
    with pytest.raises(SettingsError, match="SLUICE_PERMIT_REDIS_URL"):
        opened(cap=5, shares=SHARES, redis_url="http://127.0.0.1:1")


def test_a_hold_longer_than_any_statement_runs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_PERMIT_HOLD_S", "301")
    with pytest.raises(SettingsError, match="SLUICE_PERMIT_HOLD_S"):
        PermitSettings.load()


@pytest.mark.parametrize("text", ["a", "a=0", "a=-1", "=1", "a=1,a=2", "a=1;b=2"])
def test_shares_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(PlanError, match="SHARES"):
        parse_shares(text)


def test_the_name_that_the_owner_of_the_warehouse_knows_sets_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_SLOW_MAX_CONCURRENT", "8")
    assert PermitSettings.load().cap == 8


def test_without_redis_the_share_is_all_there_is() -> None:
    permits = opened(cap=5, shares=SHARES, redis_url="redis://127.0.0.1:1/0")
    poll_until(lambda: permits.snapshot().lease_state == "away", 60)
    assert permits.available_count == 2
    permits.close()


def test_a_redis_that_was_empty_is_in_grace(redis_url: str) -> None:
    permits = opened(cap=5, shares=SHARES, redis_url=redis_url)
    poll_until(lambda: permits.snapshot().lease_state == "grace", 60)
    assert (permits.available_count, permits.snapshot().grace_left_s > 300) == (2, True)
    permits.close()


def test_of_two_processes_of_one_name_the_second_has_nothing(redis_url: str) -> None:
    first = opened(cap=5, shares=SHARES, redis_url=redis_url)
    poll_until(lambda: first.snapshot().lease_state == "grace", 60)
    second = opened(cap=5, shares=SHARES, redis_url=redis_url)
    poll_until(lambda: second.snapshot().lease_state == "conflict", 60)
    assert (first.available_count, second.available_count) == (2, 0)
    first.close()
    poll_until(lambda: second.available_count == 2, 60)
    second.close()


def test_processes_that_differ_about_the_cap_are_granted_nothing(redis_url: str) -> None:
    first = opened(cap=5, shares=SHARES, redis_url=redis_url)
    poll_until(lambda: first.snapshot().lease_state == "grace", 60)
    second = opened("lineage", cap=6, shares=SHARES, redis_url=redis_url)
    poll_until(lambda: second.snapshot().lease_state == "terms", 60)
    assert second.available_count == 1
    for permits in (first, second):
        permits.close()


def test_permits_are_shown_as_they_are_when_asked() -> None:
    permits, registry = LocalPermits(3), CollectorRegistry()
    PermitMetrics(permits, registry)
    with permits.acquire(1, "walk"):
        permits.acquire(1, "lost").release(confirmed=False)
        shown = [sample(registry, name) for name in ("share", "total", "active", "quarantined", "available", "waiting")]
    assert shown == [3, 3, 2, 1, 1, 0]
    assert sample(registry, "available") == 2


def test_one_state_of_the_leases_is_shown() -> None:
    registry = CollectorRegistry()
    PermitMetrics(LocalPermits(1), registry)
    assert (sample(registry, "lease_state", state="none"), sample(registry, "lease_state", state="away")) == (1, 0)
