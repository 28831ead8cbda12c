"""Events that were read are given again: which, for how long, and what happens when that is not possible."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sluice.table.v1 import table_pb2
from sluice_lineage.events.domain import load_domains
from sluice_lineage.events.identity import answer_hash
from sluice_lineage.events.pointers import MemoryPointers
from sluice_lineage.frames_memory import MemoryFrames
from sluice_lineage.settings import Settings
from sluice_warehouse import Bind, Statement
from sluice_warehouse.errors import WarehouseUnavailable
from sluice_warehouse.faults import Fault
from structlog.testing import capture_logs

from tests.event_rig import EventRig, event_rig
from tests.unit.lineage.event_plants import container, held_plant

IDS = [container(number) for number in range(5)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A plant of five containers with three holds each."""
    return held_plant(tmp_path_factory.mktemp("plant") / "twin.duckdb", len(IDS), each=3)


@pytest.fixture
def rig(url: str) -> Iterator[EventRig]:
    with event_rig(url) as started:
        yield started


def frames_of(rig: EventRig) -> MemoryFrames:
    assert isinstance(rig.frames, MemoryFrames)
    return rig.frames


def pointers_of(rig: EventRig) -> MemoryPointers:
    assert isinstance(rig.pointers, MemoryPointers)
    return rig.pointers


def test_a_hit_does_not_touch_the_warehouse(rig: EventRig) -> None:
    rig.ask("holds", IDS)
    before = dict(rig.warehouse.calls)
    rig.ask("holds", IDS)
    assert (before, dict(rig.warehouse.calls)) == ({"open": 1, "plant_time": 1}, before)


def test_a_hit_answers_the_same_rows(rig: EventRig) -> None:
    assert rig.ask("holds", IDS).records == rig.ask("holds", IDS).records


def test_a_hit_says_how_old_it_is_and_that_nothing_was_read(rig: EventRig) -> None:
    first = rig.ask("holds", IDS).receipt
    rig.clock.advance(60)
    again = rig.ask("holds", IDS).receipt
    assert again.read_time == first.read_time
    assert (again.chunks.reused, again.chunks.run, again.warehouse_statement_count) == (1, 0, 0)


def test_a_kept_answer_is_named_by_its_domain_in_redis(rig: EventRig) -> None:
    rig.ask("holds", IDS)
    domain = load_domains(Settings(warehouse_url="duckdb:///x").domains_dir)["holds"]
    assert pointers_of(rig).get(f"evt:holds:{answer_hash(domain, IDS)}") is not None


def test_reordered_and_repeated_ids_hit_the_same_key(rig: EventRig) -> None:
    rig.ask("holds", IDS)
    assert rig.ask("holds", [*reversed(IDS), f" {IDS[0]} "]).receipt.warehouse_statement_count == 0


def test_other_ids_miss(rig: EventRig) -> None:
    rig.ask("holds", IDS)
    assert rig.ask("holds", IDS[:4]).receipt.warehouse_statement_count == 1


def test_another_domain_misses(rig: EventRig) -> None:
    rig.ask("holds", IDS)
    assert rig.ask("history", IDS).receipt.warehouse_statement_count == 1


def test_an_added_column_bumps_the_key(tmp_path: Path) -> None:
    folder = Settings(warehouse_url="duckdb:///x").domains_dir
    shutil.copytree(folder, tmp_path / "domains")
    declared = tmp_path / "domains" / "holds" / "domain.toml"
    declared.write_text(
        declared.read_text(encoding="utf-8") + 'QTY = { type = "int64", about = "Pieces" }\n', encoding="utf-8"
    )
    before, after = load_domains(folder)["holds"], load_domains(tmp_path / "domains")["holds"]
    assert answer_hash(before, IDS) != answer_hash(after, IDS)


@pytest.mark.parametrize(("domain", "ttl_s"), [("holds", 180), ("jobs", 180), ("history", 300), ("rejects", 300)])
def test_an_answer_is_kept_for_its_domains_time(rig: EventRig, domain: str, ttl_s: int) -> None:
    rig.ask(domain, IDS)
    rig.clock.advance(ttl_s - 1)
    assert rig.ask(domain, IDS).receipt.warehouse_statement_count == 0
    rig.clock.advance(2)
    assert rig.ask(domain, IDS).receipt.warehouse_statement_count == 1


def test_a_refresh_reads_again(rig: EventRig) -> None:
    rig.ask("holds", IDS)
    assert rig.ask("holds", IDS, refresh=True).receipt.warehouse_statement_count == 1


def test_records_and_arrow_share_what_is_kept(rig: EventRig) -> None:
    rig.ask("holds", IDS)
    answer = rig.read("holds", IDS)
    assert (answer.table.num_rows, answer.receipt.warehouse_statement_count) == (15, 0)


def test_10000_ids_are_kept(rig: EventRig) -> None:
    ids = [container(number) for number in range(10_000)]
    first, again = rig.ask("holds", ids), rig.ask("holds", ids)
    assert (first.end.kept, again.receipt.warehouse_statement_count) == (True, 0)


def test_10001_ids_are_answered_and_not_kept_with_a_warning(rig: EventRig) -> None:
    ids = [container(number) for number in range(10_001)]
    with capture_logs() as logged:
        first = rig.ask("holds", ids)
    again = rig.ask("holds", ids)
    assert (first.end.kept, len(first.records), again.receipt.warehouse_statement_count) == (False, 5, 11)
    assert [warning.code for warning in first.end.warnings] == ["CACHE_SKIPPED"]
    assert {"event": "events are not kept", "domain": "holds", "id_count": 10_001, "threshold": 10_000} in [
        {key: line.get(key) for key in ("event", "domain", "id_count", "threshold")}
        for line in logged
        if line["log_level"] == "warning"
    ]


def test_the_threshold_can_be_set(url: str) -> None:
    with event_rig(url, event_cache_skip_id_count=4) as rig:
        assert not rig.ask("holds", IDS).end.kept
        assert rig.ask("holds", IDS[:4]).end.kept


def test_a_truncated_answer_is_kept_with_its_flag(url: str) -> None:
    with event_rig(url, event_max_total_rows=7) as rig:
        first, again = rig.ask("holds", IDS), rig.ask("holds", IDS)
    assert again.receipt.warehouse_statement_count == 0
    assert (first.receipt.status, again.receipt.status) == (table_pb2.COMPLETENESS_TRUNCATED,) * 2
    assert list(again.end.reasons) == ["max_total_rows_exceeded"]


def test_a_stream_is_never_answered_by_what_was_cut(url: str) -> None:
    with event_rig(url, event_max_total_rows=7) as rig:
        rig.ask("holds", IDS)
        answer = rig.read("holds", IDS)
    assert (answer.table.num_rows, answer.receipt.status) == (15, table_pb2.COMPLETENESS_COMPLETE)


def test_records_of_a_kept_stream_stop_at_their_limit(url: str) -> None:
    with event_rig(url, event_max_total_rows=7) as rig:
        rig.read("holds", IDS)
        answer = rig.ask("holds", IDS)
    assert sum(map(len, answer.records.values())) == answer.receipt.row_count == 7
    assert answer.receipt.status == table_pb2.COMPLETENESS_TRUNCATED


def failing_second_batch(statement: Statement, binds: dict[str, Bind]) -> Fault | None:
    """The batch that begins with container 1000 fails."""
    return Fault(WarehouseUnavailable()) if binds.get("ids_1") == container(1000) else None


def test_a_partial_answer_is_never_kept(tmp_path: Path) -> None:
    ids = [container(number) for number in range(2_500)]
    url = held_plant(tmp_path / "twin.duckdb", 3)
    with event_rig(url, fault=failing_second_batch) as rig:  # type: ignore[arg-type]  # a dict is a mapping
        first = rig.ask("holds", ids, allow_partial=True)
        again = rig.ask("holds", ids, allow_partial=True)
    assert (first.end.kept, again.receipt.warehouse_statement_count) == (False, 3)
    assert again.receipt.status == table_pb2.COMPLETENESS_PARTIAL


def test_with_redis_away_what_is_kept_is_still_found_and_flagged(rig: EventRig) -> None:
    rig.ask("holds", IDS)
    pointers_of(rig).away = True
    answer = rig.ask("holds", IDS)
    assert answer.receipt.warehouse_statement_count == 0
    assert [warning.code for warning in answer.end.warnings] == ["CACHE_UNAVAILABLE"]


def test_with_the_cache_away_events_are_read_and_flagged(rig: EventRig) -> None:
    rig.ask("holds", IDS)
    frames_of(rig).away = True
    answer = rig.ask("holds", IDS)
    assert (len(answer.records), answer.receipt.warehouse_statement_count, answer.end.kept) == (5, 1, False)
    assert {warning.code for warning in answer.end.warnings} == {"CACHE_UNAVAILABLE"}


def test_with_the_warehouse_away_what_is_kept_is_still_answered(tmp_path: Path) -> None:
    path = tmp_path / "twin.duckdb"
    away: list[bool] = []
    with event_rig(
        held_plant(path, 5), fault=lambda statement, binds: Fault(WarehouseUnavailable()) if away else None
    ) as rig:
        rig.ask("holds", IDS)
        away.append(True)
        assert rig.ask("holds", IDS).receipt.status == table_pb2.COMPLETENESS_COMPLETE


def test_hours_of_a_kept_hold_are_counted_to_when_it_was_read(rig: EventRig) -> None:
    first, again = rig.ask("holds", IDS), rig.ask("holds", IDS)
    assert (again.receipt.as_of_time, first.receipt.as_of_time) == ("2025-06-02T07:30:00",) * 2
    assert again.records[IDS[0]][0]["HOLD_HOURS"] == 19.5
