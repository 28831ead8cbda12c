"""Walks over arrays, judged by networkx."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_lineage.graph import NO_PARENT, cut_ends, walk_up


def forests() -> st.SearchStrategy[list[int]]:
    """Parents of up to 30 nodes, -1 for none; cycles and self-parents included."""
    return st.integers(1, 30).flatmap(
        lambda count: st.lists(st.integers(NO_PARENT, count - 1), min_size=count, max_size=count)
    )


def graph_of(parents: list[int]) -> nx.DiGraph[int]:
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(parents)))
    graph.add_edges_from((child, parent) for child, parent in enumerate(parents) if parent != NO_PARENT)
    return graph


def array(numbers: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(numbers, dtype=np.int32)


@given(forests(), st.integers(1, 20))
def test_a_walk_meets_exactly_what_networkx_reaches(parents: list[int], max_depth: int) -> None:
    walks = walk_up(array(parents), array(list(range(len(parents)))), max_depth)
    met = [set(walk[walk >= 0].tolist()) for walk in walks.T]
    graph = graph_of(parents)
    assert met == [set(nx.single_source_shortest_path_length(graph, seed, max_depth - 1)) for seed in graph]


@given(forests(), st.integers(1, 20))
def test_a_walk_is_cut_where_networkx_reaches_further(parents: list[int], max_depth: int) -> None:
    seeds = array(list(range(len(parents))))
    cut = cut_ends(array(parents), walk_up(array(parents), seeds, max_depth))
    graph = graph_of(parents)
    assert cut.tolist() == sorted({last for seed in graph for last in last_before_depth(graph, seed, max_depth)})


def last_before_depth(graph: nx.DiGraph[int], seed: int, max_depth: int) -> list[int]:
    """The node, if any, from which one step further than allowed leads to a node not met before."""
    reached = nx.single_source_shortest_path(graph, seed, max_depth)
    return [path[-2] for path in reached.values() if len(path) == max_depth + 1]


@given(forests())
def test_no_walk_meets_a_node_twice(parents: list[int]) -> None:
    walks = walk_up(array(parents), array(list(range(len(parents)))), 40)
    lengths = [(len(walk[walk >= 0]), len(set(walk[walk >= 0].tolist()))) for walk in walks.T]
    assert all(length == distinct for length, distinct in lengths)


@pytest.mark.parametrize("seeds", [[], [0, 0]])
def test_no_seed_and_a_seed_asked_for_twice_are_no_trouble(seeds: list[int]) -> None:
    walks = walk_up(array([1, NO_PARENT]), array(seeds), 3)
    assert walks.T.tolist() == [[0, 1, NO_PARENT]] * len(seeds)


def test_an_empty_forest_has_no_walks() -> None:
    assert cut_ends(array([]), walk_up(array([]), array([]), 5)).tolist() == []
