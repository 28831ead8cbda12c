"""Edges once read are kept and reused; what is away, old or missing is told apart and said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sluice_lineage.edge_reader import load_statements
from sluice_lineage.genealogy import Found
from sluice_lineage.kinship import FullGenealogy
from sluice_rpc.errors import Unavailable
from sluice_warehouse.errors import WarehouseError, WarehouseUnavailable

from tests.unit.lineage.edge_rig import EdgeRig, edge_rig
from tests.unit.lineage.zoo import PARENTS, cid, cids, write_family, write_zoo


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[EdgeRig]:
    """A rig over the zoo."""
    with edge_rig(write_zoo(tmp_path / "twin.duckdb")) as made:
        yield made


def pairs(found: FullGenealogy) -> list[tuple[str, str]]:
    ids = found.family.ids().to_pylist()
    owners = found.seeds[found.pairs.owners].tolist()
    return [(ids[owner], ids[node]) for owner, node in zip(owners, found.pairs.nodes.tolist(), strict=True)]


def statements(found: Found) -> int:
    return found.cost.statement_count


def test_the_same_question_again_costs_the_warehouse_nothing(rig: EdgeRig) -> None:
    cold = rig.full(cids(*PARENTS), hops=3)
    warm = rig.full(cids(*PARENTS), hops=3)
    assert (statements(cold) > 0, statements(warm), pairs(cold) == pairs(warm)) == (True, 0, True)


def test_an_overlapping_question_reads_only_what_is_new(rig: EdgeRig) -> None:
    rig.ancestors(cids("c", "k5"))
    assert statements(rig.ancestors(cids("b", "k3"))) == 0
    assert statements(rig.ancestors(cids("b", "c2"))) == 1


def test_what_was_read_for_one_question_answers_another(rig: EdgeRig) -> None:
    rig.forward(cids("c"))
    rig.ran.clear()
    rig.full(cids("c2"))
    assert rig.ran == []


def test_scenario_10_every_statement_takes_one_permit_and_gives_it_back(rig: EdgeRig) -> None:
    rig.full(cids("l", "gd"))
    assert (rig.permits.available_count, len(rig.ran) > 1) == (1, True)


def test_scenario_10_a_statement_that_fails_gives_its_permit_back(rig: EdgeRig) -> None:
    rig.broken[""] = WarehouseError(942)
    with pytest.raises(WarehouseError):
        rig.ancestors(cids("c"))
    assert rig.permits.available_count == 1


def test_upward_edges_outlive_the_others(rig: EdgeRig) -> None:
    rig.full(cids("l"))
    rig.ran.clear()
    rig.clock.advance(901)
    rig.full(cids("l"))
    assert set(rig.ran) == {"merge_sources", "lots_by_name"}


def test_a_container_that_was_not_there_is_looked_for_again_after_a_quarter_of_an_hour(rig: EdgeRig) -> None:
    rig.ancestors(cids("who", "c"))
    assert statements(rig.ancestors(cids("who"))) == 0
    rig.clock.advance(901)
    assert statements(rig.ancestors(cids("who"))) == 1


def test_upward_edges_are_read_again_after_their_life(rig: EdgeRig) -> None:
    rig.ancestors(cids("c"))
    rig.clock.advance(86_401)
    assert statements(rig.ancestors(cids("c"))) == 1


def test_the_oldest_edge_used_gives_the_age(rig: EdgeRig) -> None:
    rig.ancestors(cids("c"))
    first = rig.clock.now().timestamp()
    rig.clock.advance(500)
    assert rig.ancestors(cids("c", "k1")).cost.oldest_s == first


def test_with_the_warehouse_away_old_edges_answer_and_say_that_they_are_stale(rig: EdgeRig) -> None:
    fresh = rig.full(cids("l"))
    rig.clock.advance(1_000)
    rig.broken[""] = WarehouseUnavailable()
    old = rig.full(cids("l"))
    assert (pairs(old), fresh.cost.stale, old.cost.stale) == (pairs(fresh), False, True)


def test_a_refresh_reads_everything_again_once_and_others_use_it(rig: EdgeRig) -> None:
    cold = rig.full(cids("l", "gd", "w1"))
    first = list(rig.ran)
    rig.clock.advance(10)
    rig.ran.clear()
    anew = rig.full(cids("l", "gd", "w1"), refresh=True)
    assert (rig.ran, pairs(anew), anew.cost.reused_count) == (first, pairs(cold), 0)
    assert anew.cost.oldest_s == rig.clock.now().timestamp()
    assert statements(rig.full(cids("l", "gd", "w1"))) == 0


def test_a_refresh_takes_no_frames_of_others(rig: EdgeRig) -> None:
    rig.full(cids("l"))
    rig.keeper.flush()
    rig.clock.advance(10)
    with edge_rig(rig.path, rig) as other:
        assert other.full(cids("l"), refresh=True).cost.oldest_s == rig.clock.now().timestamp()


def test_a_refresh_is_never_answered_by_old_edges(rig: EdgeRig) -> None:
    rig.full(cids("l"))
    rig.clock.advance(10)
    rig.broken[""] = WarehouseUnavailable()
    with pytest.raises(Unavailable):
        rig.full(cids("l"), refresh=True)


def test_with_the_warehouse_away_and_nothing_kept_the_call_fails_by_its_reason(rig: EdgeRig) -> None:
    rig.broken[""] = WarehouseUnavailable()
    with pytest.raises(Unavailable) as caught:
        rig.full(cids("l"))
    assert caught.value.reason == "WAREHOUSE_UNAVAILABLE"


def test_merges_that_cannot_be_read_leave_a_partial_answer(rig: EdgeRig) -> None:
    rig.broken["merge_sources"] = WarehouseError(1555)
    found = rig.full(cids("l"))
    assert [(gap.part, gap.code) for gap in found.cost.gaps] == [("merge_sources", "WAREHOUSE_ERROR")]
    assert pairs(found) == [(cid("l"), cid("t"))]


@pytest.mark.parametrize("statement", ["containers", "lots_by_name"])
def test_scenario_9_a_failed_snapshot_leaves_the_structure_and_is_flagged(rig: EdgeRig, statement: str) -> None:
    rig.broken[statement] = WarehouseError(1555)
    found = rig.full(cids("k24", "w1"))
    assert {gap.code for gap in found.cost.gaps} == {"WAREHOUSE_ERROR"}
    assert len([owner for owner, _ in pairs(found) if owner == cid("k24")]) == 20


def test_with_the_cache_away_answers_are_the_same(rig: EdgeRig) -> None:
    rig.shelf.away = True
    found = rig.full(cids("l"))
    rig.keeper.flush()
    assert (len(pairs(found)), rig.shelf.frames) == (5, {})


def test_another_process_finds_what_this_one_read(rig: EdgeRig) -> None:
    first = rig.full(cids(*PARENTS), hops=3)
    rig.keeper.flush()
    with edge_rig(rig.path, rig) as other:
        second = other.full(cids(*PARENTS), hops=3)
        assert (statements(second), pairs(second)) == (0, pairs(first))


def test_frames_of_others_come_with_their_age(rig: EdgeRig) -> None:
    rig.ancestors(cids("c"))
    rig.keeper.flush()
    read_s = rig.clock.now().timestamp()
    rig.clock.advance(300)
    with edge_rig(rig.path, rig) as other:
        assert other.ancestors(cids("c")).cost.oldest_s == read_s


@pytest.mark.parametrize("shared_batch_count", [0, 1])
def test_beyond_a_few_batches_the_table_is_read_whole_with_the_same_answer(
    tmp_path: Path, shared_batch_count: int
) -> None:
    count = 1_500
    parents = {f"p{number}": None for number in range(count)}
    children = {f"c{number}": f"p{number}" for number in range(count)}
    merges = [(f"c{number}", f"p{(number + 1) % count}", None) for number in range(count)]
    path = write_family(tmp_path / "twin.duckdb", {**parents, **children}, merges)
    asked = cids(*(f"c{number}" for number in range(1_200)))
    with (
        edge_rig(path, shared_batch_count=3) as by_batches,
        edge_rig(path, shared_batch_count=shared_batch_count) as whole,
    ):
        assert pairs(by_batches.full(asked)) == pairs(whole.full(asked))
        assert by_batches.forward(asked).family.ids().equals(whole.forward(asked).family.ids())
    assert ("merge_edges" in whole.ran, "split_edges" in whole.ran) == (True, True)
    assert {"merge_edges", "split_edges"} & set(by_batches.ran) == set()


def test_a_table_read_whole_answers_every_later_question(rig: EdgeRig, tmp_path: Path) -> None:
    with edge_rig(rig.path, shared_batch_count=0) as whole:
        whole.sources(cids("t"))
        whole.ran.clear()
        assert (len(whole.sources(cids("n3", "d3", "who")).pairs), whole.ran) == (3, [])


def test_scenario_7_2500_seeds_take_three_batches_and_answer_as_one(tmp_path: Path) -> None:
    parents = {f"k{number}": f"k{number - 1}" if number % 10 else None for number in range(2_500)}
    path = write_family(tmp_path / "twin.duckdb", parents)
    asked = cids(*parents)
    with edge_rig(path) as rig:
        together = pairs(rig.full(asked))
        batches = rig.ran.count("split_ancestors")
    with edge_rig(path) as rig:
        apart = [pair for start in range(0, 2_500, 700) for pair in pairs(rig.full(asked[start : start + 700]))]
    assert (batches, sorted(together)) == (3, sorted(apart))


@pytest.mark.parametrize("walk", ["connect_by", "recursive_with"])
def test_scenario_11_no_statement_reads_the_48_million_row_table(walk: str) -> None:
    assert not [name for name, statement in load_statements(walk).items() if "LOTMOVEOUT" in statement.text.upper()]


@pytest.mark.parametrize("walk", ["connect_by", "recursive_with"])
def test_scenario_12_no_statement_holds_an_id_but_as_a_bind(walk: str) -> None:
    by_key = [statement for name, statement in load_statements(walk).items() if not name.endswith("_edges")]
    assert all("in (:ids)" in statement.text for statement in by_key)


def test_a_node_limit_keeps_the_same_containers_whatever_was_read_before(rig: EdgeRig) -> None:
    cold = rig.full(cids("l"), nodes=4)
    rig.full(cids("yp", "xp", "y", "t"))
    warm = rig.full(cids("l"), nodes=4)
    assert pairs(cold) == pairs(warm)
    assert (len(cold.family), cold.cut.tolist() == warm.cut.tolist(), len(cold.cut) > 0) == (4, True, True)
