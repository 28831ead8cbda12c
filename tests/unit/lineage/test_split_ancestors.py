"""ResolveSplitAncestors on real plants over a real connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_lineage.edge_reader import load_statements
from sluice_rpc import errors

from tests.polling import poll_until
from tests.unit.lineage.conftest import plant, serve
from tests.unit.lineage.stub import Lineage

Start = Callable[..., Lineage]


def container(number: int) -> str:
    return f"{number:016x}"


def chain(length: int) -> dict[str, str | None]:
    """Container n is split from n - 1; 0 is the original."""
    return {container(number): container(number - 1) if number else None for number in range(length)}


ABC = {"a" * 16: None, "b" * 16: "a" * 16, "c" * 16: "b" * 16}


def test_a_chain_is_walked_to_its_top(start: Start) -> None:
    answer = start(ABC).ask(["c" * 16])
    assert dict(answer.child_to_parent) == {"c" * 16: "b" * 16, "b" * 16: "a" * 16}


def test_every_container_found_has_its_name(start: Start) -> None:
    answer = start(ABC).ask(["c" * 16])
    assert dict(answer.container_names) == {one * 16: f"lot {one * 16}" for one in "abc"}


def test_a_lot_that_was_never_split_has_a_name_and_no_parent(start: Start) -> None:
    answer = start(ABC).ask(["a" * 16])
    assert (dict(answer.child_to_parent), list(answer.container_names)) == ({}, ["a" * 16])


def test_siblings_share_their_ancestors(start: Start) -> None:
    answer = start({**ABC, "d" * 16: "b" * 16}).ask(["c" * 16, "d" * 16])
    assert dict(answer.child_to_parent) == {"c" * 16: "b" * 16, "d" * 16: "b" * 16, "b" * 16: "a" * 16}


def test_siblings_that_were_not_asked_for_stay_out(start: Start) -> None:
    assert "d" * 16 not in start({**ABC, "d" * 16: "b" * 16}).ask(["c" * 16]).container_names


@pytest.mark.parametrize("given_ids", [["a" * 16, " " + "a" * 16, "a" * 16 + "  "], ["", "  ", "a" * 16]])
def test_ids_are_trimmed_and_blanks_and_repetitions_dropped(start: Start, given_ids: list[str]) -> None:
    answer = start(ABC).ask(given_ids)
    assert (list(answer.container_names), list(answer.not_found_ids)) == (["a" * 16], [])


def test_ids_shorter_than_their_column_are_found(start: Start) -> None:
    answer = start({"short": "top", "top": None}).ask(["short"])
    assert dict(answer.child_to_parent) == {"short": "top"}


def test_unknown_ids_are_listed_in_the_order_asked(start: Start) -> None:
    answer = start(ABC).ask(["f" * 16, "a" * 16, "e" * 16])
    assert list(answer.not_found_ids) == ["f" * 16, "e" * 16]


@pytest.mark.parametrize("given_ids", [[], ["", "   "]])
def test_nothing_asked_for_answers_empty_without_a_statement(start_on_file: Start, given_ids: list[str]) -> None:
    lineage = start_on_file(ABC)
    answer = lineage.ask(given_ids)
    assert (len(answer.child_to_parent), answer.receipt.warehouse_statement_count, lineage.started()) == (0, 0, [])


def test_a_parent_that_is_no_container_is_still_named(start: Start) -> None:
    answer = start({"b" * 16: "a" * 16}).ask(["b" * 16])
    assert (dict(answer.child_to_parent), list(answer.container_names)) == ({"b" * 16: "a" * 16}, ["b" * 16])


def test_a_lot_split_from_itself_has_no_entry(start: Start) -> None:
    answer = start({"a" * 16: "a" * 16}).ask(["a" * 16])
    assert (dict(answer.child_to_parent), list(answer.truncated_ids)) == ({}, [])


def test_a_cycle_ends_the_walk_and_is_not_a_cut(start: Start) -> None:
    answer = start({"a" * 16: "b" * 16, "b" * 16: "a" * 16}).ask(["a" * 16])
    assert dict(answer.child_to_parent) == {"a" * 16: "b" * 16, "b" * 16: "a" * 16}
    assert (list(answer.truncated_ids), answer.receipt.status) == ([], table_pb2.COMPLETENESS_COMPLETE)


def test_a_chain_of_twenty_rows_is_whole(start: Start) -> None:
    answer = start(chain(20)).ask([container(19)])
    assert (len(answer.child_to_parent), list(answer.truncated_ids)) == (19, [])


def test_a_chain_of_more_than_twenty_rows_is_cut_and_says_where(start: Start) -> None:
    answer = start(chain(25)).ask([container(24)])
    assert (len(answer.child_to_parent), list(answer.truncated_ids)) == (20, [container(5)])
    assert answer.receipt.status == table_pb2.COMPLETENESS_TRUNCATED


def test_the_last_parent_of_a_cut_walk_has_no_name(start: Start) -> None:
    answer = start(chain(25)).ask([container(24)])
    assert set(answer.child_to_parent.values()) - set(answer.container_names) == {container(4)}


@pytest.mark.parametrize(("max_depth", "parents"), [(1, 1), (3, 3), (20, 9), (0, 9)])
def test_the_depth_counts_rows_of_a_walk(start: Start, max_depth: int, parents: int) -> None:
    assert len(start(chain(10)).ask([container(9)], max_depth).child_to_parent) == parents


@pytest.mark.parametrize("max_depth", [-1, 21])
def test_a_depth_outside_its_range_is_refused_by_name(start: Start, max_depth: int) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        start(ABC).ask(["a" * 16], max_depth)
    assert [violation.field for violation in caught.value.violations] == ["max_depth"]


def test_an_id_that_was_never_meant_as_one_is_refused_by_its_place(start_on_file: Start) -> None:
    lineage = start_on_file(ABC)
    with pytest.raises(errors.InvalidArgument) as caught:
        lineage.ask(["a" * 16, "'; drop table lots; --" * 5])
    assert [violation.field for violation in caught.value.violations] == ["container_ids[1]"]
    assert lineage.started() == []


def test_a_hundred_such_ids_make_no_hundred_details(start: Start) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        start(ABC).ask([f"{number:0100d}" for number in range(100)])
    assert len(caught.value.violations) == 20


def test_sql_in_an_id_is_an_unknown_id(start: Start) -> None:
    odd = "x' or '1'='1"
    assert list(start(ABC).ask([odd]).not_found_ids) == [odd]


def test_more_ids_than_allowed_are_refused_without_a_statement(start_on_file: Start) -> None:
    lineage = start_on_file(ABC, max_id_count=3)
    with pytest.raises(errors.OutOfRange) as caught:
        lineage.ask([container(number) for number in range(4)])
    assert (caught.value.reason, caught.value.metadata) == ("TOO_MANY_IDS", {"limit": "3", "observed": "4"})
    assert lineage.started() == []


def test_two_hundred_thousand_ids_fit_into_a_request(start: Start) -> None:
    with pytest.raises(errors.OutOfRange) as caught:
        start(ABC).ask([container(number) for number in range(200_001)])
    assert caught.value.reason == "TOO_MANY_IDS"


def test_an_answer_too_large_for_a_message_is_refused_with_its_reason(start: Start) -> None:
    with pytest.raises(errors.OutOfRange) as caught:
        start(chain(200), max_response_bytes=1024).ask([container(number) for number in range(200)])
    assert caught.value.reason == "RESULT_TOO_LARGE"


def test_an_answer_within_the_limit_is_not_larger_than_counted(start: Start) -> None:
    answer = start(chain(900), max_response_bytes=110_000).ask(
        [container(number) for number in range(900)] + [f"unknown {number}" for number in range(100)]
    )
    assert answer.ByteSize() <= 110_000


def test_2500_ids_take_three_statements_and_give_one_answer(start_on_file: Start) -> None:
    lineage = start_on_file(chain(2500))
    answer = lineage.ask([container(number) for number in range(2500)])
    assert dict(answer.child_to_parent) == {child: parent for child, parent in chain(2500).items() if parent}
    assert [line["bind_count"] for line in lineage.started()] == [1001, 1001, 501]


def test_the_receipt_counts_what_it_cost(start: Start) -> None:
    receipt = start(chain(1500)).ask([container(number) for number in range(1500)]).receipt
    assert (receipt.warehouse_statement_count, receipt.chunks.run, receipt.chunks.total) == (2, 2, 2)
    # The second batch walks 19 rows back into the first.
    assert (receipt.row_count, receipt.warehouse_row_count) == (1500, 1519)


def test_the_receipt_says_when_it_was_read(start: Start) -> None:
    before = datetime.now(UTC)
    read = start(ABC).ask(["a" * 16]).receipt.read_time.ToDatetime(UTC)
    assert before <= read <= datetime.now(UTC)


def test_statements_carry_names_for_the_dba(start_on_file: Start) -> None:
    lineage = start_on_file(ABC)
    lineage.stub.ResolveSplitAncestors(
        pb.ResolveSplitAncestorsRequest(container_ids=["a" * 16]), metadata=(("x-request-id", "request-7"),)
    )
    (line,) = lineage.started()
    assert (line["module"], line["action"], line["client_id"], line["statement"]) == (
        "sluice-lineage",
        "split_ancestors 1/1",
        "request-7",
        "split_ancestors",
    )


@pytest.fixture
def stalled(start_on_file: Start, tmp_path: Path) -> Iterator[Lineage]:
    """A process with one permit whose statements do not start for ten minutes."""
    fault_file = tmp_path / "faults.json"
    fault_file.write_text('[{"statement": "split_ancestors", "delay_s": 600}]', encoding="utf-8")
    lineage = start_on_file(ABC, fault_file=fault_file, permit_wait_s=0.1)
    yield lineage
    fault_file.unlink()


def test_without_a_permit_the_call_fails_and_says_when_to_come_back(stalled: Lineage) -> None:
    # Two questions: one that is asked twice at once is read once.
    requests = [pb.ResolveSplitAncestorsRequest(container_ids=[one * 16]) for one in "ab"]
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(stalled.stub.ResolveSplitAncestors, request, timeout=2) for request in requests]
        failures = [call.exception(timeout=20) for call in calls]
    reasons = {error.reason for error in failures if isinstance(error, errors.ServiceError)}
    assert reasons == {"PERMITS_EXHAUSTED", "QUERY_TIMEOUT"}


def test_a_question_asked_twice_at_once_runs_its_statements_once(start_on_file: Start, tmp_path: Path) -> None:
    fault_file = tmp_path / "faults.json"
    fault_file.write_text('[{"statement": "split_ancestors", "delay_s": 2}]', encoding="utf-8")
    lineage = start_on_file(ABC, fault_file=fault_file, permit_wait_s=60)
    request = pb.ResolveSplitAncestorsRequest(container_ids=["c" * 16])
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(lineage.stub.ResolveSplitAncestors, request, timeout=60) for _ in range(2)]
        counts = sorted(answer.result(60).receipt.warehouse_statement_count for answer in answers)
    assert (len(lineage.started()), counts) == (1, [0, 1])


def test_a_caller_that_leaves_frees_the_permit(start_on_file: Start, tmp_path: Path) -> None:
    fault_file = tmp_path / "faults.json"
    fault_file.write_text('[{"statement": "split_ancestors", "delay_s": 600}]', encoding="utf-8")
    lineage = start_on_file(ABC, fault_file=fault_file, permit_wait_s=20)
    with pytest.raises(errors.DeadlineExceeded):
        lineage.stub.ResolveSplitAncestors(pb.ResolveSplitAncestorsRequest(container_ids=["a" * 16]), timeout=0.3)
    fault_file.unlink()
    assert list(lineage.ask(["a" * 16]).container_names) == ["a" * 16]


@pytest.mark.parametrize(
    ("code", "kind"),
    [("WAREHOUSE_UNAVAILABLE", errors.Unavailable), ("WAREHOUSE_ERROR", errors.Internal)],
)
def test_what_the_warehouse_does_wrong_reaches_the_caller_by_code(
    start_on_file: Start, tmp_path: Path, code: str, kind: type[errors.ServiceError]
) -> None:
    fault_file = tmp_path / "faults.json"
    fault_file.write_text(f'[{{"statement": "split_ancestors", "code": "{code}"}}]', encoding="utf-8")
    with pytest.raises(kind) as caught:
        start_on_file(ABC, fault_file=fault_file).ask(["a" * 16])
    assert caught.value.reason == code


def test_both_texts_of_the_statement_bind_the_same_names() -> None:
    texts = [load_statements(alternative)["split_ancestors"] for alternative in ("connect_by", "recursive_with")]
    assert [set(text.bind_names) for text in texts] == [{"ids", "max_depth"}] * 2


def test_oracles_text_walks_upwards_without_cycles() -> None:
    text = load_statements("connect_by")["split_ancestors"].text
    assert "connect by nocycle c.CONTAINERID = prior c.SPLITFROMID and level <= :max_depth" in text


def test_no_statement_reads_the_48_million_row_table() -> None:
    assert all(
        "LOTMOVEOUT" not in load_statements(alternative)["split_ancestors"].text
        for alternative in ("connect_by", "recursive_with")
    )


def parent_maps() -> st.SearchStrategy[dict[str, str | None]]:
    """Up to 40 containers, each split from any other, itself, a stranger, or none; cycles are likely."""
    numbers = st.integers(1, 40)
    return numbers.flatmap(
        lambda count: st.fixed_dictionaries(
            {container(number): st.none() | st.integers(0, count).map(container) for number in range(count)}
        )
    )


def judged(parents: Mapping[str, str | None], seed: str) -> set[str]:
    graph = nx.DiGraph([(child, parent) for child, parent in parents.items() if parent])
    graph.add_node(seed)
    return set(nx.single_source_shortest_path_length(graph, seed, 20)) - {seed}


@settings(max_examples=15, deadline=None)
@given(parent_maps(), st.data())
def test_ancestors_on_any_parent_map_are_those_networkx_finds(
    parents: dict[str, str | None], data: st.DataObject
) -> None:
    seed = data.draw(st.sampled_from(sorted(parents)))
    with TemporaryDirectory() as folder, ExitStack() as closing:
        path = plant(Path(folder) / "twin.duckdb", parents)
        answer = serve(closing, warehouse_url=f"duckdb://{path}").ask([seed])
    walked = nx.DiGraph(list(answer.child_to_parent.items()))
    walked.add_node(seed)
    assert nx.descendants(walked, seed) == judged(parents, seed)


def test_a_process_whose_warehouse_is_away_says_so_and_recovers(tmp_path: Path) -> None:
    path = tmp_path / "late.duckdb"
    with ExitStack() as closing:
        lineage = serve(closing, warehouse_url=f"duckdb://{path}")
        with pytest.raises(errors.Unavailable) as caught:
            lineage.ask(["a" * 16])
        plant(path, ABC)
        answer = poll_until(lambda: lineage.ask(["a" * 16]), 10)
    assert (caught.value.reason, list(answer.container_names)) == ("WAREHOUSE_UNAVAILABLE", ["a" * 16])
