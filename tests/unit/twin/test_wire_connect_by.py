"""CONNECT BY through the real driver, judged by networkx on random graphs with cycles; and shapes written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import networkx as nx
import oracledb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sluice_twin import PLANT_TIME
from sluice_twin.oracle_wire import OracleWireServer
from sluice_twin.oracle_wire.database import opened
from sluice_twin.oracle_wire.errors import OraError

from tests.stand_in import connected, rows_of

TREE = [("a", None, 1), ("b", "a", 2), ("c", "b", 3), ("d", "b", 4), ("e", "e", 5)]
RING = [("a", "c", 1), ("b", "a", 2), ("c", "b", 3)]

WALK_DOWN = """select sys_connect_by_path(ID, '/') as path, level
from DWH.EDGES start with ID in ({roots}) connect by nocycle prior ID = PARENT_ID and level <= :depth"""
WALK_UP = """select sys_connect_by_path(e.ID, '/') as path, level as hops
from DWH.EDGES e start with e.ID in ({roots}) connect by nocycle e.ID = prior e.PARENT_ID and level <= :depth"""

EXAMPLE_COUNT = settings.default.max_examples // 4 if settings.default else 25
"""Each example has a database of its own."""

# At most one row per node and parent, so that a path of rows is a path of nodes.
NODES = st.integers(0, 5)
GRAPHS = st.dictionaries(NODES, NODES, min_size=1, max_size=6)


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    return pa.table(dict(zip(("ID", "PARENT_ID", "AMOUNT"), map(list, zip(*rows, strict=True)), strict=True)))


@pytest.fixture(scope="module")
def connection() -> Iterator[oracledb.Connection]:
    tables = {"TREE": table(TREE), "RING": table(RING)}
    with OracleWireServer(None, tables=tables) as server, connected(server) as connection:
        yield connection


def expected_paths(graph: nx.DiGraph[int], roots: list[int], depth: int) -> list[tuple[str, int]]:
    """Every simple path from a root, of `depth` nodes at most."""
    found = []
    for root in roots:
        found.append([root])
        for node in set(graph) - {root}:
            found += nx.all_simple_paths(graph, root, node, cutoff=depth - 1)
    return sorted(("".join(f"/{node}" for node in path), len(path)) for path in found)


def evaluated(sql: str, tables: dict[str, pa.Table], *values: int) -> list[tuple[Any, ...]]:
    """Rows of a statement without the wire, which takes longer than the statement."""
    with opened(None, tables) as database:
        query = database.open(sql, values, PLANT_TIME)
        rows = [tuple(row.values()) for batch in query.batches() for row in batch.to_pylist()]
        query.close()
        return rows


@pytest.mark.parametrize("upwards", [False, True])
@settings(max_examples=EXAMPLE_COUNT)
@given(parents=GRAPHS, roots=st.sets(NODES, min_size=1, max_size=3), depth=st.integers(1, 7))
def test_wire_nocycle_walks_every_simple_path_once(
    upwards: bool, parents: dict[int, int], roots: set[int], depth: int
) -> None:
    here = sorted(root for root in roots if root in parents)
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(parents)
    graph.add_edges_from(
        (node, parent) if upwards else (parent, node) for node, parent in parents.items() if parent in parents
    )
    rows = table([(node, parent, 0) for node, parent in parents.items()])
    marks = ", ".join(f":root{place}" for place in range(len(roots)))
    statement = (WALK_UP if upwards else WALK_DOWN).format(roots=marks)
    got = evaluated(statement, {"EDGES": rows}, *sorted(roots), depth)
    assert sorted(got) == expected_paths(graph, here, depth)


@pytest.mark.parametrize("nocycle", [True, False])
@settings(max_examples=EXAMPLE_COUNT)
@given(edges=st.sets(st.tuples(NODES, NODES), min_size=1, max_size=9))
def test_wire_every_loop_is_left_out_or_refused(nocycle: bool, edges: set[tuple[int, int]]) -> None:
    """Rows are edges here, and a row follows one that ends where it begins."""
    rows = sorted(edges)
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(rows)))
    graph.add_edges_from((i, j) for i, one in enumerate(rows) for j, two in enumerate(rows) if one[1] == two[0])
    statement = f"""select connect_by_root AMOUNT, AMOUNT, level from DWH.EDGES
        connect by {"nocycle" if nocycle else ""} prior PARENT_ID = ID"""
    tables = {"EDGES": table([(*edge, place) for place, edge in enumerate(rows)])}
    if not nocycle and not nx.is_directed_acyclic_graph(graph):
        with pytest.raises(OraError, match="ORA-01436"):
            evaluated(statement, tables)
        return
    got = evaluated(statement, tables)
    paths = [[root] for root in graph]
    for root in graph:
        for node in set(graph) - {root}:
            paths += nx.all_simple_paths(graph, root, node)
    assert sorted(got) == sorted((path[0], path[-1], len(path)) for path in paths)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select level from dual connect by level <= 3", [(1,), (2,), (3,)]),
        (
            "select ID, prior ID, level from DWH.TREE start with PARENT_ID is null connect by prior ID = PARENT_ID",
            [("a", None, 1), ("b", "a", 2), ("c", "b", 3), ("d", "b", 3)],
        ),
        (
            "select ID from DWH.TREE start with ID = 'a' connect by PARENT_ID = prior ID order siblings by AMOUNT desc",
            [("a",), ("b",), ("d",), ("c",)],
        ),
        (
            "select ID, connect_by_isleaf from DWH.TREE start with ID = 'b' connect by prior ID = PARENT_ID",
            [("b", 0), ("c", 1), ("d", 1)],
        ),
        (
            "select t.* from DWH.TREE t start with t.ID = 'c' connect by nocycle t.ID = prior t.PARENT_ID",
            [("c", "b", 3), ("b", "a", 2), ("a", None, 1)],
        ),
        (
            "select level, count(*), sum(AMOUNT) from DWH.TREE where AMOUNT > 1 start with ID = 'a' "
            "connect by prior ID = PARENT_ID group by level order by level",
            [(2, 1, 2), (3, 2, 7)],
        ),
        (
            "with down as (select ID, level as depth from DWH.TREE start with ID = 'a' "
            "connect by prior ID = PARENT_ID) select max(depth) from down",
            [(3,)],
        ),
        (
            "select t.ID, r.PARENT_ID from DWH.TREE t left join DWH.RING r on r.ID = t.ID "
            "start with t.ID = 'a' connect by prior t.ID = t.PARENT_ID and prior r.ID is not null",
            [("a", "c"), ("b", "a"), ("c", "b"), ("d", None)],
        ),
        ("select count(*) from DWH.RING start with ID = 'a' connect by prior ID = PARENT_ID and level <= 3", [(3,)]),
    ],
)
def test_wire_hierarchy_has_these_rows(
    connection: oracledb.Connection, sql: str, rows: list[tuple[object, ...]]
) -> None:
    assert rows_of(connection, sql) == rows


def test_wire_hierarchy_of_a_shape_that_is_not_evaluated_is_refused(connection: oracledb.Connection) -> None:
    with pytest.raises(oracledb.DatabaseError, match="ORA-03001"):
        rows_of(connection, "select t.ID from DWH.TREE t, DWH.RING r connect by prior t.ID = r.PARENT_ID")
