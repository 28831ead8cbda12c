"""What was resolved is given again: no statement, the same answer, its age told; and never more than is true."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from sluice.table.v1 import table_pb2
from sluice_client.ports import take_free
from sluice_lineage.containers.kept import KeptResolutions, Lifetimes
from sluice_lineage.containers.kinds import load_kinds
from sluice_lineage.containers.resolve import ROWS_SCHEMA, Resolution
from sluice_lineage.frames_memory import MemoryFrames
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import FakeClock
from sluice_twin import plant_of

from tests.cache_process import Started, started
from tests.unit.lineage.test_resolve_containers import COMBINED, CONTAINERS, LOT, ORDER, SERIAL, Resolver, opened, pairs

KINDS = load_kinds()
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def rows_of(*positions: int) -> pa.Table:
    """Return a row for each position; the lot's number is that of the row."""
    numbers = range(len(positions))
    return pa.Table.from_pylist(
        [
            {"position": position, "container_id": f"{number:016x}", "lot_id": f"L{number}", "match_source": "x"}
            for number, position in zip(numbers, positions, strict=True)
        ],
        schema=ROWS_SCHEMA,
    )


class Kept:
    """Kept resolutions over frames in memory."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOON)
        self.frames = MemoryFrames(self.clock)
        self.resolutions = KeptResolutions(self.frames, self.clock, Lifetimes(60, 900), max_bytes=1 << 20)

    def keep(self, *names: str, rows: pa.Table | None = None, unsearched_count: int = 0) -> bool:
        """Keep what lots with these names were resolved to."""
        resolution = Resolution(names, rows_of() if rows is None else rows, unsearched_count=unsearched_count)
        return self.resolutions.keep(KINDS[LOT], resolution, self.clock.now())

    def find(self, *names: str) -> list[tuple[int, str]] | None:
        """Return positions and lots, None where nothing is kept."""
        found = self.resolutions.find(KINDS[LOT], names)
        if found is None:
            return None
        columns = found.resolution.rows.select(["position", "lot_id"]).to_pydict()
        return list(zip(columns["position"], columns["lot_id"], strict=True))


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_what_was_kept_is_found_with_the_time_it_was_read(kept: Kept) -> None:
    kept.keep("A", "B", rows=rows_of(0, 1, 1))
    kept.clock.advance(59)
    assert kept.find("A", "B") == [(0, "L0"), (1, "L1"), (1, "L2")]
    found = kept.resolutions.find(KINDS[LOT], ["A", "B"])
    assert found is not None and found.read_time == NOON


def test_values_in_another_order_find_the_same_rows_in_theirs(kept: Kept) -> None:
    kept.keep("A", "B", rows=rows_of(0, 1, 1))
    assert kept.find("B", "A") == [(0, "L1"), (0, "L2"), (1, "L0")]


def test_values_that_mean_nothing_are_kept_too(kept: Kept) -> None:
    assert (kept.keep("A"), kept.find("A")) == (True, [])


@pytest.mark.parametrize("names", [["A"], ["A", "B", "C"], ["A", "b"]])
def test_other_values_find_nothing(kept: Kept, names: list[str]) -> None:
    kept.keep("A", "B")
    assert kept.find(*names) is None


def test_another_kind_finds_nothing(kept: Kept) -> None:
    kept.keep("A")
    assert kept.resolutions.find(KINDS[SERIAL], ["A"]) is None


@pytest.mark.parametrize(
    ("names", "ttl_s"), [(["A"], 60), (["AB*"], 900), ([f"A{number}" for number in range(1001)], 900)]
)
def test_heavy_requests_are_kept_longer(kept: Kept, names: list[str], ttl_s: int) -> None:
    kept.keep(*names)
    kept.clock.advance(ttl_s - 1)
    assert kept.find(*names) == []
    kept.clock.advance(1)
    assert kept.find(*names) is None


def test_values_that_were_not_looked_for_in_any_case_are_not_kept(kept: Kept) -> None:
    assert (kept.keep("A", unsearched_count=1), kept.find("A")) == (False, None)


def test_a_cache_that_is_away_finds_and_keeps_nothing(kept: Kept) -> None:
    kept.keep("A")
    kept.frames.away = True
    assert (kept.find("A"), kept.keep("B")) == (None, False)


@pytest.fixture
def over_a_cache(tmp_path: Path) -> Iterator[tuple[Resolver, Started]]:
    """The process over a plant's file with a log of statements, beside a real cache process."""
    tables = {"DW_MES_CONTAINER": CONTAINERS, "DW_MES_PJ_COMBINEDASSYLOTS": COMBINED}
    plant = plant_of(tables, tmp_path / "twin.duckdb", datetime(2025, 12, 31, 7, 30))
    port = take_free(1)[0]
    with ExitStack() as closing:
        cache = closing.enter_context(started(tmp_path / "cache", port))
        log, target = tmp_path / "statements.jsonl", f"127.0.0.1:{port}"
        yield (
            opened(
                closing,
                f"duckdb://{plant}",
                statement_log=log,
                fault_file=tmp_path / "faults.json",
                cache_target=target,
            ),
            cache,
        )


def test_a_hit_takes_no_statement_and_answers_the_same(over_a_cache: tuple[Resolver, Started]) -> None:
    resolver, _ = over_a_cache
    first = resolver.ask(SERIAL, "FN5", "FN6", "nope", "FN*")
    count = len(resolver.lineage.started())
    second = resolver.ask(SERIAL, "FN*", "nope", "FN5", "FN6")
    assert len(resolver.lineage.started()) == count
    assert (sorted(pairs(second)), list(second.not_found)) == (sorted(pairs(first)), ["nope"])
    assert (second.receipt.warehouse_statement_count, second.receipt.warehouse_row_count) == (0, 0)
    assert second.receipt.tier != table_pb2.TIER_UNSPECIFIED
    assert abs(second.receipt.read_time.seconds - first.receipt.read_time.seconds) <= 1


def test_a_hit_answers_in_the_spelling_of_who_asks(over_a_cache: tuple[Resolver, Started]) -> None:
    resolver, _ = over_a_cache
    resolver.ask(LOT, "GA1-001")
    assert pairs(resolver.ask(LOT, "ga1-001")) == [("ga1-001", "GA1-001")]


def test_refresh_reads_again(over_a_cache: tuple[Resolver, Started]) -> None:
    resolver, _ = over_a_cache
    counts = [
        resolver.ask(LOT, "GA1-001", refresh=refresh).receipt.warehouse_statement_count for refresh in (False, True)
    ]
    assert counts == [1, 1]


def test_a_cache_that_died_costs_nothing_but_statements(over_a_cache: tuple[Resolver, Started]) -> None:
    resolver, cache = over_a_cache
    resolver.ask(ORDER, "GA1")
    cache.process.kill()
    cache.process.wait()
    answer = resolver.ask(ORDER, "GA1")
    assert (answer.total, answer.receipt.warehouse_statement_count) == (3, 1)


def test_a_call_that_failed_half_way_keeps_nothing(over_a_cache: tuple[Resolver, Started], tmp_path: Path) -> None:
    resolver, _ = over_a_cache
    faults = tmp_path / "faults.json"
    faults.write_text('[{"statement": "first_names", "code": "WAREHOUSE_ERROR"}]', encoding="utf-8")
    with pytest.raises(ServiceError, match="600"):
        resolver.ask(SERIAL, "FN5")
    faults.unlink()
    assert resolver.ask(SERIAL, "FN5").receipt.warehouse_statement_count == 3
