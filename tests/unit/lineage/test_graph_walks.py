"""Walks over arrays, judged by networkx."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_lineage.ancestry import Ancestry, ancestry
from sluice_lineage.graph import NO_NODE, Nodes, Pairs, arcs_of, climb, reach
from sluice_lineage.upward import Upward

Graph = tuple[list[int], list[tuple[int, int]]]


def forests() -> st.SearchStrategy[list[int]]:
    """Parents of up to 30 nodes, -1 for none; cycles and self-parents included."""
    return st.integers(1, 30).flatmap(
        lambda count: st.lists(st.integers(NO_NODE, count - 1), min_size=count, max_size=count)
    )


def families() -> st.SearchStrategy[Graph]:
    """A forest and merges `(source, target)` between any of its nodes."""
    return forests().flatmap(
        lambda parents: st.tuples(
            st.just(parents),
            st.lists(st.tuples(*[st.integers(0, len(parents) - 1)] * 2), max_size=30),
        )
    )


def orderly_families() -> st.SearchStrategy[Graph]:
    """Families in which everything comes from earlier nodes, with more to share than random ones have."""
    return st.integers(6, 40).flatmap(
        lambda count: st.tuples(
            st.tuples(*[st.integers(max(NO_NODE, node - 9), node - 1) for node in range(count)]).map(list),
            st.lists(
                st.integers(1, count - 1).flatmap(
                    lambda target: st.tuples(st.integers(0, target - 1), st.just(target))
                ),
                max_size=count // 2,
            ),
        )
    )


def slender_families() -> st.SearchStrategy[Graph]:
    """Orderly families with long ways up and few places where they meet."""
    return st.integers(30, 60).flatmap(
        lambda count: st.tuples(
            st.tuples(*[st.integers(max(NO_NODE, node - 2), node - 1) for node in range(count)]).map(list),
            st.lists(st.integers(1, count - 1).map(lambda target: (target // 2, target)), max_size=4),
        )
    )


def graph_of(parents: list[int]) -> nx.DiGraph[int]:
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(parents)))
    graph.add_edges_from((child, parent) for child, parent in enumerate(parents) if parent != NO_NODE)
    return graph


def array(numbers: list[int]) -> Nodes:
    return np.array(numbers, dtype=np.int32)


def grouped(pairs: Pairs, count: int) -> list[set[int]]:
    return [set(pairs.nodes[pairs.owners == owner].tolist()) for owner in range(count)]


def came_from(family: Graph, seeds: list[int], steps: int, hops: int) -> Ancestry:
    parents, merges = family
    sources = arcs_of(array([target for _, target in merges]), array([source for source, _ in merges]), len(parents))
    return ancestry(Upward.of(array(parents), sources), array(seeds), steps, hops)


def back(parents: list[int], merges: list[tuple[int, int]], seed: int, steps: int, hops: int) -> set[int]:
    """What a seed came from, as slowly as the rule says it: splits, and again from what was merged on the way."""
    splits = graph_of(parents)
    reached = set(nx.single_source_shortest_path_length(splits, seed, steps))
    for _ in range(hops):
        sources = {source for source, target in merges if target in reached and source != target}
        for source in sources:
            reached |= set(nx.single_source_shortest_path_length(splits, source, steps))
    return reached - {seed}


@given(forests(), st.integers(1, 20))
def test_a_climb_meets_exactly_what_networkx_reaches(parents: list[int], steps: int) -> None:
    pairs, _ = climb(array(parents), array(list(range(len(parents)))), steps)
    graph = graph_of(parents)
    assert grouped(pairs, len(parents)) == [
        set(nx.single_source_shortest_path_length(graph, seed, steps)) - {seed} for seed in graph
    ]


@given(forests(), st.integers(1, 20))
def test_a_climb_is_cut_where_networkx_reaches_further(parents: list[int], steps: int) -> None:
    _, cut = climb(array(parents), array(list(range(len(parents)))), steps)
    graph = graph_of(parents)
    assert cut.tolist() == sorted({last for seed in graph for last in last_before_depth(graph, seed, steps + 1)})


def last_before_depth(graph: nx.DiGraph[int], seed: int, max_depth: int) -> list[int]:
    """The node, if any, from which one step further than allowed leads to a node not met before."""
    reached = nx.single_source_shortest_path(graph, seed, max_depth)
    return [path[-2] for path in reached.values() if len(path) == max_depth + 1]


@given(forests())
def test_no_climb_meets_a_node_twice(parents: list[int]) -> None:
    pairs, _ = climb(array(parents), array(list(range(len(parents)))), 40)
    assert len(pairs) == len(set(zip(pairs.owners.tolist(), pairs.nodes.tolist(), strict=True)))


@given(families(), st.integers(1, 6), st.integers(1, 4))
def test_ancestry_is_what_the_rule_reaches(family: Graph, steps: int, hops: int) -> None:
    parents, merges = family
    count = len(parents)
    found = came_from(family, list(range(count)), steps, hops)
    assert grouped(found.pairs, count) == [back(parents, merges, seed, steps, hops) for seed in range(count)]


@given(families())
def test_ancestry_without_limits_is_every_ancestor_that_networkx_finds(family: Graph) -> None:
    parents, merges = family
    count = len(parents)
    found = came_from(family, list(range(count)), count, count)
    graph = graph_of(parents)
    graph.add_edges_from((target, source) for source, target in merges)
    assert grouped(found.pairs, count) == [nx.descendants(graph, seed) for seed in range(count)]


@given(orderly_families() | slender_families())
def test_lists_put_together_from_one_another_are_every_ancestor_that_networkx_finds(family: Graph) -> None:
    parents, merges = family
    # No limit is near: a slender family may be as many steps long as it has members.
    found = came_from(family, list(range(len(parents))), len(parents), 24)
    graph = graph_of(parents)
    graph.add_edges_from((target, source) for source, target in merges)
    assert [sorted(found.lists[seed].tolist()) for seed in range(len(parents))] == [
        sorted(nx.descendants(graph, seed)) for seed in range(len(parents))
    ]


@given(orderly_families(), st.integers(1, 12), st.integers(1, 4))
def test_limits_hold_for_some_seeds_and_do_not_touch_the_others(family: Graph, steps: int, hops: int) -> None:
    parents, merges = family
    count = len(parents)
    found = came_from(family, list(range(count)), steps, hops)
    assert grouped(found.pairs, count) == [back(parents, merges, seed, steps, hops) for seed in range(count)]


@given(orderly_families() | families(), st.integers(1, 12), st.integers(1, 4), st.data())
def test_a_lone_seed_has_what_it_has_among_all(family: Graph, steps: int, hops: int, data: st.DataObject) -> None:
    count = len(family[0])
    seed = data.draw(st.integers(0, count - 1))
    alone = came_from(family, [seed], steps, hops).pairs
    among_all = came_from(family, list(range(count)) + [0] * 5, steps, hops).pairs
    assert grouped(alone, 1)[0] == grouped(among_all, count)[seed]


@given(families(), st.integers(1, 6), st.integers(1, 3))
def test_what_is_not_cut_is_whole(family: Graph, steps: int, hops: int) -> None:
    count = len(family[0])
    everything = came_from(family, [0], count, count)
    found = came_from(family, [0], steps, hops)
    assert len(found.cut) > 0 or grouped(found.pairs, 1) == grouped(everything.pairs, 1)


@given(families(), st.data())
def test_what_a_seed_came_from_does_not_depend_on_the_others(family: Graph, data: st.DataObject) -> None:
    count = len(family[0])
    seed = data.draw(st.integers(0, count - 1))
    alone = came_from(family, [seed], 3, 1)
    together = came_from(family, list(range(count)), 3, 1)
    assert grouped(alone.pairs, 1)[0] == grouped(together.pairs, count)[seed]


@given(families(), st.integers(0, 5))
def test_reach_meets_what_networkx_reaches_with_its_distance(family: Graph, steps: int) -> None:
    parents, edges = family
    arcs = arcs_of(array([tail for tail, _ in edges]), array([head for _, head in edges]), len(parents))
    met, distance = reach(arcs, array([0]), steps)
    graph: nx.DiGraph[int] = nx.DiGraph(edges)
    graph.add_node(0)
    judged = nx.single_source_shortest_path_length(graph, 0, steps)
    assert dict(zip(met.tolist(), distance.tolist(), strict=True)) == judged


def test_a_way_of_thousands_of_splits_is_walked_to_its_top() -> None:
    count = 3_000
    parents = [node - 1 for node in range(count)]
    found = came_from((parents, [(0, 1)]), [count - 1] * 6, count, 1)
    assert [len(found.lists[seed]) for seed in range(6)] == [count - 1] * 6


def test_a_chain_of_merges_longer_than_is_counted_is_walked_to_its_top() -> None:
    merges = [(node, node + 1) for node in range(60)]
    found = came_from(([NO_NODE] * 61, merges), [60] * 6, 1, 60)
    assert len(found.lists[0]) == 60


@pytest.mark.parametrize("seeds", [[], [0, 0]])
def test_no_seed_and_a_seed_asked_for_twice_are_no_trouble(seeds: list[int]) -> None:
    pairs, _ = climb(array([1, NO_NODE]), array(seeds), 3)
    assert grouped(pairs, len(seeds)) == [{1}] * len(seeds)


def test_no_seeds_have_no_lists() -> None:
    found = came_from(([NO_NODE, 0], [(0, 1)]), [], 3, 1)
    assert (len(found.lists), len(found.pairs)) == (0, 0)


def test_an_empty_forest_has_no_walks() -> None:
    assert climb(array([]), array([]), 5)[1].tolist() == []
