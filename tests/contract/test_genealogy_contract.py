"""What genealogy answers, whichever text of its walks the warehouse runs: DuckDB's file, and Oracle by both.

Every scenario of the plant's people has a test of its own, on a plant of small families.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.table.v1 import table_pb2

from tests.unit.lineage.conftest import ORACLE_WALKS, serve
from tests.unit.lineage.stub import Lineage
from tests.unit.lineage.zoo import PARENTS, cid, cids, write_zoo
from tests.warehouse_urls import stand_in_url

SPLIT, MERGE, WAFER, REWORK = (
    pb.EDGE_TYPE_SPLIT_FROM,
    pb.EDGE_TYPE_MERGE_SOURCE,
    pb.EDGE_TYPE_WAFER_ORIGIN,
    pb.EDGE_TYPE_GD_REWORK_SOURCE,
)
Triple = tuple[str, str, int]


@pytest.fixture(scope="module", params=["duckdb", *ORACLE_WALKS])
def zoo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineage]:
    """Lineage over the zoo, through each door."""
    path = write_zoo(tmp_path_factory.mktemp("zoo") / "twin.duckdb")
    with ExitStack() as closing:
        if request.param == "duckdb":
            yield serve(closing, warehouse_url=f"duckdb://{path}")
            return
        url = closing.enter_context(stand_in_url(path))
        yield serve(closing, warehouse_url=url, ancestor_walk=request.param)


def genealogy(zoo: Lineage, *names: str, depth: int = 0, hops: int = 0) -> pb.ResolveFullGenealogyResponse:
    request = pb.ResolveFullGenealogyRequest(
        container_ids=cids(*names), max_depth=depth, max_merge_hop_count=hops, max_node_count=0
    )
    return zoo.stub.ResolveFullGenealogy(request, timeout=30)


def tree(zoo: Lineage, *names: str, depth: int = 0, nodes: int = 0) -> pb.ResolveForwardTreeResponse:
    request = pb.ResolveForwardTreeRequest(container_ids=cids(*names), max_depth=depth, max_node_count=nodes)
    return zoo.stub.ResolveForwardTree(request, timeout=30)


def descendants(zoo: Lineage, *names: str, depth: int = 0) -> pb.ResolveSplitDescendantsResponse:
    request = pb.ResolveSplitDescendantsRequest(container_ids=cids(*names), max_depth=depth)
    return zoo.stub.ResolveSplitDescendants(request, timeout=30)


def ancestors(answer: pb.ResolveFullGenealogyResponse, name: str) -> list[str]:
    return list(answer.ancestors[cid(name)].container_ids)


def triples(edges: object) -> set[Triple]:
    return {(edge.from_cid, edge.to_cid, edge.edge_type) for edge in edges}  # type: ignore[attr-defined]


def edge(older: str, newer: str, kind: int) -> Triple:
    return cid(older), cid(newer), kind


def test_scenario_1_a_chain_has_its_ancestors_its_parent_map_and_the_name_of_its_root(zoo: Lineage) -> None:
    answer = genealogy(zoo, "c")
    assert ancestors(answer, "c") == cids("a", "b")
    assert {child: list(parents.container_ids) for child, parents in answer.parent_map.items()} == {
        cid("c"): cids("b"),
        cid("b"): cids("a"),
    }
    assert dict(answer.seed_roots) == {cid("c"): "lot a"}


def test_scenario_2_two_seeds_that_share_ancestors_have_each_all_and_edges_once(zoo: Lineage) -> None:
    answer = genealogy(zoo, "c", "c2")
    assert (ancestors(answer, "c"), ancestors(answer, "c2")) == (cids("a", "b"), cids("a", "b"))
    assert sorted(triples(answer.edges)) == sorted(
        [edge("a", "b", SPLIT), edge("b", "c", SPLIT), edge("b", "c2", SPLIT)]
    )
    assert len(answer.edges) == 3


def test_scenario_3_a_cycle_ends_and_no_seed_is_its_own_ancestor(zoo: Lineage) -> None:
    answer = genealogy(zoo, "x1", "x2", "self")
    assert [ancestors(answer, name) for name in ("x1", "x2", "self")] == [cids("x2"), cids("x1"), []]
    assert list(answer.truncated_ids) == []


def test_scenario_4_a_chain_longer_than_twenty_is_cut_and_says_so(zoo: Lineage) -> None:
    answer = genealogy(zoo, "k24")
    assert ancestors(answer, "k24") == sorted(cids(*(f"k{number}" for number in range(4, 24))))
    assert list(answer.truncated_ids) == cids("k4")
    assert answer.receipt.status == table_pb2.COMPLETENESS_TRUNCATED


def test_a_chain_of_exactly_twenty_is_whole(zoo: Lineage) -> None:
    answer = genealogy(zoo, "k20")
    assert (len(ancestors(answer, "k20")), list(answer.truncated_ids)) == (20, [])


def test_scenario_5_a_lot_split_from_a_combined_one_came_from_all_its_sources(zoo: Lineage) -> None:
    answer = genealogy(zoo, "l")
    assert ancestors(answer, "l") == sorted(cids("t", "x", "y", "xp", "yp"))
    assert list(answer.merge_edges[cid("t")].container_ids) == cids("x", "y")


def test_scenario_6_one_merge_is_followed_and_the_next_is_listed_as_cut(zoo: Lineage) -> None:
    answer = genealogy(zoo, "n3")
    assert (ancestors(answer, "n3"), answer.merge_hop_count) == (cids("n2"), 1)
    assert list(answer.truncated_ids) == cids("n2")


@pytest.mark.parametrize(("hops", "reached"), [(2, ("n1", "n2")), (3, ("m1", "m2", "n1", "n2"))])
def test_scenario_6_more_merges_are_followed_where_the_caller_says_how_many(
    zoo: Lineage, hops: int, reached: tuple[str, ...]
) -> None:
    assert ancestors(genealogy(zoo, "n3", hops=hops), "n3") == cids(*reached)


def test_scenario_8_unknown_ids_are_seeds_without_ancestors(zoo: Lineage) -> None:
    answer = genealogy(zoo, "c", "who")
    assert (ancestors(answer, "who"), list(answer.not_found_ids)) == ([], cids("who"))
    assert answer.seed_roots[cid("who")] == cid("who")


def test_a_parent_that_is_not_there_is_an_ancestor_without_a_name(zoo: Lineage) -> None:
    answer = genealogy(zoo, "orphan")
    assert (ancestors(answer, "orphan"), cid("nobody") in answer.container_names) == (cids("nobody"), False)
    assert answer.nodes[cid("nobody")].node_type == "UNKNOWN"


def test_scenario_13_a_rework_came_from_its_original_and_is_a_gd(zoo: Lineage) -> None:
    answer = genealogy(zoo, "gd")
    assert triples(answer.edges) == {edge("s", "gd", REWORK)}
    assert (ancestors(answer, "gd"), answer.nodes[cid("gd")].node_type) == (cids("s"), "GD")


def test_a_rework_without_original_came_from_what_it_was_split_from_by_two_edges(zoo: Lineage) -> None:
    assert triples(genealogy(zoo, "gs").edges) == {edge("s", "gs", REWORK), edge("s", "gs", SPLIT)}


def test_scenario_14_lots_of_one_wafer_lot_share_their_origin(zoo: Lineage) -> None:
    answer = genealogy(zoo, "w1", "w2")
    assert {edge("w", "w1", WAFER), edge("w", "w2", WAFER)} <= triples(answer.edges)
    assert (answer.nodes[cid("w")].node_type, answer.seed_roots[cid("w2")]) == ("WAFER", "lot w")


@pytest.mark.parametrize(("name", "kind"), [("a", "GA"), ("b", "GC"), ("c", "LOT")])
def test_node_types_follow_work_order_and_kind(zoo: Lineage, name: str, kind: str) -> None:
    assert genealogy(zoo, "c").nodes[cid(name)].node_type == kind


def test_a_diamond_has_each_edge_once(zoo: Lineage) -> None:
    answer = genealogy(zoo, "d3")
    assert ancestors(answer, "d3") == cids("d0", "d1", "d2")
    assert len(answer.edges) == len(triples(answer.edges)) == 4


def test_no_seed_asks_nothing(zoo: Lineage) -> None:
    answer = genealogy(zoo)
    assert (dict(answer.ancestors), answer.receipt.warehouse_statement_count) == ({}, 0)


def test_a_depth_limits_each_walk(zoo: Lineage) -> None:
    answer = genealogy(zoo, "c", depth=1)
    assert (ancestors(answer, "c"), list(answer.truncated_ids)) == (cids("b"), cids("b"))


def test_descendants_are_strictly_below(zoo: Lineage) -> None:
    answer = descendants(zoo, "b")
    assert {key: list(children.container_ids) for key, children in answer.children_map.items()} == {
        cid("b"): cids("c", "c2")
    }
    assert set(answer.container_names.values()) == {"lot b", "lot c", "lot c2"}


def test_descendants_of_a_cycle_end(zoo: Lineage) -> None:
    answer = descendants(zoo, "x1", "self")
    assert {key: list(children.container_ids) for key, children in answer.children_map.items()} == {
        cid("x1"): cids("x2"),
        cid("x2"): cids("x1"),
    }


def test_descendants_beyond_twenty_rows_are_cut_and_say_where(zoo: Lineage) -> None:
    answer = descendants(zoo, "k0")
    assert (len(answer.container_names), list(answer.truncated_ids)) == (20, cids("k19"))


def test_unknown_ids_have_no_descendants(zoo: Lineage) -> None:
    answer = descendants(zoo, "who", "c")
    assert (list(answer.not_found_ids), list(answer.truncated_ids)) == (cids("who"), [])


def test_merge_sources_come_once_in_id_order_and_never_themselves(zoo: Lineage) -> None:
    request = pb.ResolveMergeSourcesRequest(container_ids=cids("t", "n3", "a"))
    answer = zoo.stub.ResolveMergeSources(request, timeout=30)
    assert {key: list(sources.container_ids) for key, sources in answer.merge_sources.items()} == {
        cid("t"): cids("x", "y"),
        cid("n3"): cids("n2"),
    }


def test_merge_targets_are_the_reverse(zoo: Lineage) -> None:
    request = pb.ResolveMergeTargetsRequest(container_ids=cids("x", "n1", "t"))
    answer = zoo.stub.ResolveMergeTargets(request, timeout=30)
    assert {key: list(targets.container_ids) for key, targets in answer.merge_targets.items()} == {
        cid("x"): cids("t"),
        cid("n1"): cids("n2"),
    }


def test_serials_come_once_in_text_order(zoo: Lineage) -> None:
    answer = zoo.stub.ResolveLeafSerials(pb.ResolveLeafSerialsRequest(container_ids=cids("y", "c2", "m1")), timeout=30)
    assert {key: list(serials.serial_numbers) for key, serials in answer.leaf_serials.items()} == {
        cid("y"): ["FN-T"],
        cid("c2"): ["FN-C2", "Unknown"],
    }


def test_scenario_15_only_leaves_have_serials_and_those_without_are_absent(zoo: Lineage) -> None:
    answer = tree(zoo, "b", "k23")
    assert {key: list(serials.serial_numbers) for key, serials in answer.leaf_serials.items()} == {
        cid("c"): ["FN-C"],
        cid("c2"): ["FN-C2", "Unknown"],
    }


def test_a_forward_tree_is_the_whole_family(zoo: Lineage) -> None:
    answer = tree(zoo, "c")
    assert list(answer.roots) == cids("a")
    assert {key: list(children.container_ids) for key, children in answer.children_map.items()} == {
        cid("a"): cids("b"),
        cid("b"): cids("c", "c2"),
    }


def test_a_forward_tree_tells_what_its_lots_were_merged_into_without_making_it_a_child(zoo: Lineage) -> None:
    answer = tree(zoo, "x")
    assert edge("x", "t", MERGE) in triples(answer.edges)
    assert (list(answer.roots), cid("x") in answer.children_map) == (cids("xp"), False)


def test_a_forward_tree_of_a_combined_lot_tells_its_sources(zoo: Lineage) -> None:
    answer = tree(zoo, "l")
    assert {edge("x", "t", MERGE), edge("y", "t", MERGE), edge("t", "l", SPLIT)} == triples(answer.edges)


def test_wafers_and_reworks_are_parents_in_a_forward_tree(zoo: Lineage) -> None:
    answer = tree(zoo, "w1", "gd")
    assert list(answer.children_map[cid("w")].container_ids) == cids("w1", "w2")
    assert list(answer.roots) == cids("s", "w")


def test_a_forward_tree_of_a_cycle_ends(zoo: Lineage) -> None:
    answer = tree(zoo, "x1")
    assert (answer.total_nodes, list(answer.roots)) == (2, [])


def test_a_node_limit_cuts_and_says_where(zoo: Lineage) -> None:
    answer = tree(zoo, "c", nodes=3)
    assert (answer.total_nodes, list(answer.truncated_ids)) == (3, cids("b"))


def test_every_container_of_the_zoo_at_once_is_as_each_alone(zoo: Lineage) -> None:
    together = genealogy(zoo, *PARENTS)
    assert {name: ancestors(together, name) for name in PARENTS} == {
        name: ancestors(genealogy(zoo, name), name) for name in PARENTS
    }
