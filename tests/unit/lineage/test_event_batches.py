"""Events of many containers: batches of a thousand, few at once, limits, failures, and callers that walk away."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from sluice.lineage.v1 import event_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_rpc import errors
from sluice_rpc.errors import ServiceError
from sluice_warehouse import Bind, Statement
from sluice_warehouse.errors import PermitsExhausted, WarehouseError, WarehouseUnavailable
from sluice_warehouse.faults import Fault

from tests.event_rig import EventRig, event_rig
from tests.polling import poll_until
from tests.unit.lineage.event_plants import container, held_plant

MANY = [container(number) for number in range(2_500)]
Failing = Callable[[Statement, Mapping[str, Bind]], Fault | None]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A plant of 2,500 containers with two holds each."""
    return held_plant(tmp_path_factory.mktemp("plant") / "twin.duckdb", len(MANY), each=2)


@pytest.fixture(scope="module")
def tall_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A plant of 2,500 containers, of which each has two hundred holds."""
    return held_plant(tmp_path_factory.mktemp("plant") / "tall.duckdb", len(MANY), each=200)


def failing(*first_ids: str, error: Callable[[], ServiceError] = WarehouseUnavailable) -> Failing:
    """Let the batches fail that begin with these ids."""
    return lambda statement, binds: Fault(error()) if binds.get("ids_1") in first_ids else None


def returned(rig: EventRig, count: int = 3) -> bool:
    """Whether every permit is free and no batch waits for one."""
    seen = rig.permits.snapshot()
    return (seen.available_count, seen.waiting_count, seen.held) == (count, 0, ())


def test_2500_ids_are_three_statements_whose_union_is_the_single_run(url: str) -> None:
    with event_rig(url) as rig:
        together = rig.ask("holds", MANY)
        singly: dict[str, list[dict[str, object]]] = {}
        for start in range(0, len(MANY), 500):
            singly |= rig.ask("holds", MANY[start : start + 500]).records
    assert (together.receipt.warehouse_statement_count, together.receipt.chunks.run) == (3, 3)
    assert together.records == singly


def test_a_statement_binds_at_most_a_thousand_ids(url: str) -> None:
    with event_rig(url) as rig:
        rig.ask("holds", MANY)
        assert sorted(map(len, rig.warehouse.binds)) == [500, 1_000, 1_000]


def test_ids_are_padded_to_the_column(url: str) -> None:
    with event_rig(url) as rig:
        rig.ask("holds", ["abc"])
        assert rig.warehouse.binds == [{"ids_1": "abc".ljust(16)}]


def test_no_ids_answer_empty_without_a_statement(url: str) -> None:
    with event_rig(url) as rig:
        answer = rig.ask("holds", ["", "  "])
        assert (answer.receipt.status, answer.records) == (table_pb2.COMPLETENESS_COMPLETE, {})
        assert dict(rig.warehouse.calls) == {}


@pytest.mark.parametrize(("permit_count", "at_once"), [(1, 1), (2, 1), (3, 2), (6, 2)])
def test_a_request_takes_two_permits_and_leaves_one_to_others(tall_url: str, permit_count: int, at_once: int) -> None:
    with event_rig(tall_url, permit_count=permit_count) as rig:
        with rig.stream("holds", MANY, format=pb.EVENT_FORMAT_ARROW) as stream:
            next(iter(stream))
            poll_until(lambda: len(rig.permits.snapshot().held) == at_once, 20)
            held = [len(rig.permits.snapshot().held) for _ in stream]
        assert max(held) <= at_once
        poll_until(lambda: returned(rig, permit_count), 20)


def test_the_number_of_workers_can_be_set(tall_url: str) -> None:
    with event_rig(tall_url, permit_count=8, event_max_workers=1) as rig:
        with rig.stream("holds", MANY, format=pb.EVENT_FORMAT_ARROW) as stream:
            held = [len(rig.permits.snapshot().held) for _ in stream]
        assert max(held) <= 1


def test_one_failing_batch_of_three_fails_the_call_with_its_counts(url: str) -> None:
    with event_rig(url, fault=failing(container(1_000))) as rig:
        with pytest.raises(errors.Unavailable) as raised:
            rig.ask("holds", MANY)
        found = raised.value
        assert (found.reason, found.metadata) == (
            "WAREHOUSE_UNAVAILABLE",
            {"domain": "holds", "failed_batch_count": "1", "failed_id_count": "1000"},
        )
        poll_until(lambda: returned(rig), 20)


def test_one_failing_batch_of_three_is_named_where_partial_answers_are_allowed(url: str) -> None:
    with event_rig(url, fault=failing(container(1_000))) as rig:
        answer = rig.ask("holds", MANY, allow_partial=True)
    batch = pb.FailedBatch(
        first_id=container(1_000), last_id=container(1_999), id_count=1_000, code="WAREHOUSE_UNAVAILABLE"
    )
    assert list(answer.end.failed_batches) == [batch]
    assert (answer.receipt.status, list(answer.end.reasons)) == (table_pb2.COMPLETENESS_PARTIAL, ["chunk_failure"])
    assert (len(answer.records), answer.receipt.chunks.run, answer.receipt.chunks.failed) == (1_500, 2, 1)


def test_whether_partial_answers_are_allowed_can_be_set(url: str) -> None:
    with event_rig(url, fault=failing(container(1_000)), event_allow_partial=True) as rig:
        assert rig.ask("holds", MANY).receipt.status == table_pb2.COMPLETENESS_PARTIAL
        with pytest.raises(errors.Unavailable):
            rig.ask("holds", MANY, allow_partial=False)


def test_a_single_batch_fails_with_its_own_error_even_where_partial_answers_are_allowed(url: str) -> None:
    refused = failing(container(0), error=lambda: WarehouseError(942))
    with event_rig(url, fault=refused) as rig, pytest.raises(errors.Internal) as raised:
        rig.ask("holds", MANY[:1_000], allow_partial=True)
    assert (raised.value.reason, raised.value.metadata) == ("WAREHOUSE_ERROR", {"ora": "942"})


def test_nothing_is_answered_when_every_batch_fails(url: str) -> None:
    every = failing(*(container(number) for number in (0, 1_000, 2_000)))
    with event_rig(url, fault=every) as rig, pytest.raises(errors.Unavailable) as raised:
        rig.ask("holds", MANY, allow_partial=True)
    assert raised.value.metadata["failed_batch_count"] == "3"


def test_the_worst_failure_is_told(url: str) -> None:
    def two(statement: Statement, binds: Mapping[str, Bind]) -> Fault | None:
        by_id: dict[Bind, ServiceError] = {
            container(0): PermitsExhausted(1, 1.0),
            container(1_000): WarehouseError(600),
            container(2_000): WarehouseUnavailable(),
        }
        return Fault(by_id[binds["ids_1"]])

    with event_rig(url, fault=two) as rig, pytest.raises(errors.Internal) as raised:
        rig.ask("holds", MANY, allow_partial=True)
    assert raised.value.reason == "WAREHOUSE_ERROR"


def test_records_stop_at_the_limit_and_every_permit_comes_back_while_the_stream_is_still_held(tall_url: str) -> None:
    with event_rig(tall_url, event_max_total_rows=20_000) as rig:
        stream = rig.stream("holds", MANY)
        responses = list(stream)
        poll_until(lambda: returned(rig), 20)
        end = responses[-1].end
    assert (end.receipt.row_count, end.receipt.status) == (20_000, table_pb2.COMPLETENESS_TRUNCATED)
    assert (list(end.reasons), responses[0].header.max_row_count) == (["max_total_rows_exceeded"], 20_000)


def test_an_answer_of_exactly_the_limit_is_complete(url: str) -> None:
    with event_rig(url, event_max_total_rows=5_000) as rig:
        assert rig.ask("holds", MANY).receipt.status == table_pb2.COMPLETENESS_COMPLETE


def test_a_stream_has_no_limit_of_rows(tall_url: str) -> None:
    with event_rig(tall_url, event_max_total_rows=20_000) as rig:
        answer = rig.read("holds", MANY)
    assert (answer.table.num_rows, answer.header.max_row_count) == (500_000, 0)


def test_cut_and_failed_is_partial_and_keeps_both_reasons(tall_url: str) -> None:
    with event_rig(tall_url, fault=failing(container(0)), event_max_total_rows=300_000 - 1, permit_count=1) as rig:
        answer = rig.ask("holds", MANY, allow_partial=True)
    assert answer.receipt.status == table_pb2.COMPLETENESS_PARTIAL
    assert list(answer.end.reasons) == ["chunk_failure", "max_total_rows_exceeded"]


@pytest.mark.parametrize("pulled", [1, 3])
def test_a_caller_that_walks_away_leaves_no_permit_behind(tall_url: str, pulled: int) -> None:
    with event_rig(tall_url) as rig:
        with rig.stream("holds", MANY, format=pb.EVENT_FORMAT_ARROW) as stream:
            for _ in range(pulled):
                next(stream)
        poll_until(lambda: returned(rig), 20)
        assert rig.ask("holds", MANY[:10]).receipt.row_count == 2_000


def test_a_caller_that_walks_away_before_the_first_row_ends_the_statement(url: str) -> None:
    with event_rig(url, fault=lambda statement, binds: Fault(delay_s=60)) as rig:
        with rig.stream("holds", MANY) as stream:
            next(stream)
            poll_until(lambda: len(rig.permits.snapshot().held) == 2, 20)
        poll_until(lambda: returned(rig), 20)


def test_a_caller_that_walks_away_ends_the_wait_for_a_permit(url: str) -> None:
    with event_rig(url, permit_count=1) as rig, rig.permits.acquire(1, "somebody else"):
        with rig.stream("holds", MANY) as stream:
            next(stream)
            poll_until(lambda: rig.permits.snapshot().waiting_count == 1, 20)
        poll_until(lambda: rig.permits.snapshot().waiting_count == 0, 20)


def test_a_batch_has_a_wall_clock_of_its_own(url: str) -> None:
    def slow(statement: Statement, binds: Mapping[str, Bind]) -> Fault | None:
        return Fault(delay_s=60) if binds["ids_1"] == container(1_000) else None

    start = time.monotonic()
    with event_rig(url, fault=slow, event_batch_timeout_s=0.5) as rig:
        answer = rig.ask("holds", MANY, allow_partial=True)
    assert [batch.code for batch in answer.end.failed_batches] == ["QUERY_TIMEOUT"]
    assert (len(answer.records), time.monotonic() - start < 30) == (1_500, True)


def test_rows_that_nobody_takes_end_with_the_wall_clock_too(tall_url: str) -> None:
    arrow = pb.EVENT_FORMAT_ARROW
    with event_rig(tall_url, event_batch_timeout_s=1) as rig, rig.stream("holds", MANY, format=arrow) as stream:
        next(stream)
        poll_until(lambda: len(rig.permits.snapshot().held) == 2, 20)
        # Flow control fills up, the workers stand, and still each permit is back in time.
        poll_until(lambda: returned(rig), 20)


def test_without_a_permit_the_call_says_so(url: str) -> None:
    with (
        event_rig(url, permit_count=1, permit_wait_s=0.2) as rig,
        rig.permits.acquire(1, "somebody else"),
        pytest.raises(errors.Unavailable) as raised,
    ):
        rig.ask("holds", MANY[:5])
    assert raised.value.reason == "PERMITS_EXHAUSTED"


def test_a_warehouse_that_is_away_is_said(tmp_path: Path) -> None:
    with event_rig(f"duckdb://{tmp_path}/none.duckdb") as rig, pytest.raises(errors.Unavailable) as raised:
        rig.ask("history", MANY[:5])
    assert raised.value.reason == "WAREHOUSE_UNAVAILABLE"
