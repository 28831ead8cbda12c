"""Genealogy of 1, 1,000 and 50,000 seeds in a plant of 1 M containers.

(a) In process, edges as arrays: against DuckDB's recursive WITH and against rustworkx, both giving the same ancestors.
(b) Cold, end to end over gRPC: against the same statements run bare. (c) Warm, beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import rustworkx as rx
from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.lineage.v1 import lineage_service_pb2_grpc as pb_grpc
from sluice_client.ports import take_free
from sluice_lineage import graph
from sluice_lineage.ancestry import ancestry
from sluice_lineage.callers import Caller
from sluice_lineage.edge_memory import Lifetimes, MemoryEdges
from sluice_lineage.edge_reader import MAX_DEPTH, Sources, load_statements
from sluice_lineage.edges import Relation
from sluice_lineage.genealogy import Genealogy, Wanted
from sluice_lineage.kinship import full_genealogy
from sluice_lineage.shared_lists import Lists
from sluice_lineage.upward import Upward
from sluice_lineage.withdrawal import Withdrawal
from sluice_rpc.client import open_channel
from sluice_rpc.healthcheck import problem_of
from sluice_rpc.ports import SystemClock
from sluice_warehouse import Bind, Reading, Statement
from sluice_warehouse.duckdb import DuckDBWarehouse
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.permits import LocalPermits
from sluice_warehouse.statements import to_duckdb

from bench.family_plant import CONTAINERS, MERGES, family_plant, flat_plant
from bench.measure import Comparison, alternate
from tests.polling import poll_until

SIZES: Final = (1, 1_000, 50_000)
ROUNDS: Final = 5
STEPS, HOPS = 60, 20
"""More than any way has, since neither anchor knows limits."""
_BUFFER_BYTES: Final = 1 << 30
"""Buffers of the twin, whoever runs statements in it: the plant's own warehouse is no part of lineage's memory."""
_SQL: Final = Path(__file__).parent / "every_ancestor.sql"
_Ran = list[tuple[Statement, Mapping[str, Bind]]]


def run() -> tuple[list[Comparison], list[str]]:
    """Return the comparisons and lines of absolute figures."""
    plant = family_plant()
    seeds = _lots_of_weeks(plant)
    compared, lines = _walks(plant, seeds)
    _, flat_lines = _walks(flat_plant(), _lots_of_weeks(flat_plant()))
    lines += [f"the twin as it is: {line}" for line in flat_lines]
    for wanted in seeds:
        cold, warm = _end_to_end(plant, wanted)
        compared.append(cold)
        lines.append(warm)
    return compared, lines


def _lots_of_weeks(plant: Path) -> list[list[str]]:
    """Seeds as an analysis has them: the lots that start within some weeks, all 50,000 of them, or some."""
    with duckdb.connect(str(plant), read_only=True) as connection:
        table = connection.sql(f"select CONTAINERID from DWH.{CONTAINERS} order by rowid").to_arrow_table()
    ids = table.column(0).slice(table.num_rows // 2, SIZES[-1])
    shuffled = np.random.default_rng(7).permutation(len(ids))
    return [ids.take(shuffled[:size]).to_pylist() for size in SIZES]


class _Edges:
    """The plant's splits and merges as arrays, as a table, and as a graph."""

    def __init__(self, plant: Path) -> None:
        store = MemoryEdges(Lifetimes(1, 1))
        with duckdb.connect(str(plant), read_only=True) as connection:
            split = connection.sql(f"select CONTAINERID, SPLITFROMID from DWH.{CONTAINERS} order by rowid")
            merge = connection.sql(f"select LOTID, CONTAINERID from DWH.{MERGES}")
            children, parents, targets, sources = (
                store.number(table.column(position).combine_chunks())
                for table in (split.to_arrow_table(), merge.to_arrow_table())
                for position in (0, 1)
            )
        size = int(max(each.max() for each in (children, parents, targets, sources))) + 1
        self.store = store
        of_child = np.full(size, graph.NO_NODE, np.int32)
        of_child[children] = parents
        start = time.perf_counter()
        self.upward = Upward.of(of_child, graph.arcs_of(targets, sources, size))
        _ = self.upward.stretches
        self.arranged_s = time.perf_counter() - start
        has_parent = parents >= 0
        younger = np.concatenate([children[has_parent], targets])
        older = np.concatenate([parents[has_parent], sources])
        self.table = pa.table({"child": younger, "parent": older})
        self.graph: Any = rx.PyDiGraph()
        self.graph.add_nodes_from(range(size))
        start = time.perf_counter()
        self.graph.add_edges_from_no_data(list(zip(older.tolist(), younger.tolist(), strict=True)))
        self.graph_s = time.perf_counter() - start

    def walk(self, seeds: graph.Nodes) -> Lists:
        return ancestry(self.upward, seeds, STEPS, HOPS).lists


def _walks(plant: Path, seeds: list[list[str]]) -> tuple[list[Comparison], list[str]]:
    edges = _Edges(plant)
    compared = []
    lines = [f"edges arranged once in {edges.arranged_s:.2f} s, rustworkx's graph built in {edges.graph_s:.2f} s"]
    with duckdb.connect() as connection:
        connection.register("edge_rows", edges.table)
        connection.execute("create table edges as from edge_rows")
        lone = np.split(edges.store.number(pa.array(seeds[1])), len(seeds[1]))
        for wanted in seeds:
            nodes = edges.store.number(pa.array(wanted))
            connection.register("seeds", pa.table({"node": nodes}))
            plain = [int(node) for node in nodes]
            sql = _SQL.read_text(encoding="utf-8")

            def ours(_: int, nodes: graph.Nodes = nodes) -> Lists:
                return edges.walk(nodes)

            def by_sql(_: int, sql: str = sql) -> Any:
                return connection.execute(sql).fetchnumpy()

            def by_graph(_: int, plain: list[int] = plain) -> list[set[int]]:
                return [rx.ancestors(edges.graph, node) for node in plain]

            found = ours(0).pairs()
            _same(nodes, found, by_sql(0), by_graph(0))
            name = f"(a) {len(found):,} ancestors of {len(wanted):,} seeds as arrays"
            sql_s = alternate(ours, by_sql, rounds=ROUNDS)
            at_least = 20.0 if len(wanted) == SIZES[-1] else 1.0
            against_sql = Comparison(f"{name}, against recursive WITH", *sql_s, at_least=at_least)
            if len(wanted) == 1:
                # One takes microseconds: many are asked for, each in a call of its own.
                name = f"(a) ancestors of one seed, {len(lone):,} times"
                graph_s = alternate(
                    lambda _: [edges.walk(node) for node in lone],
                    lambda _: [rx.ancestors(edges.graph, int(node[0])) for node in lone],
                    rounds=ROUNDS,
                )
            else:
                graph_s = alternate(ours, by_graph, rounds=ROUNDS)
            against_graph = Comparison(f"{name}, against rustworkx", *graph_s, at_most=1.5)
            compared += [against_sql, against_graph]
            lines.append(f"{name}: {1 / against_graph.ratio:.1f}× rustworkx, {against_sql.ratio:.1f}× recursive WITH")
    return compared, lines


def _same(nodes: graph.Nodes, ours: graph.Pairs, by_sql: Any, by_graph: list[set[int]]) -> None:
    mine = np.sort(nodes[ours.owners].astype(np.int64) << 32 | ours.nodes)
    theirs = np.sort(by_sql["seed"].astype(np.int64) << 32 | by_sql["node"])
    if not np.array_equal(mine, theirs) or sum(map(len, by_graph)) != len(mine):
        raise AssertionError("the three do not give the same ancestors")


def _end_to_end(plant: Path, wanted: list[str]) -> tuple[Comparison, str]:
    statements = _recorded(plant, wanted)
    warm_s: list[float] = []
    with ExitStack() as closing:
        stub: list[Callable[[], int]] = []

        def fresh() -> None:
            closing.close()
            stub[:] = [closing.enter_context(_process(plant, wanted))]

        def ours(_: int) -> None:
            stub[0]()

        def bare(_: int) -> None:
            # As cold as ours: what an open connection has read it still holds.
            with duckdb.connect(str(plant), read_only=True) as connection:
                connection.execute("set threads = 2")
                connection.execute(f"set memory_limit = '{_BUFFER_BYTES}B'")
                for text, binds in statements:
                    connection.sql(text, params=binds).to_arrow_table()

        # The largest takes minutes and repeats the same statement a hundred times, so one round is a series.
        rounds = 1 if len(wanted) == SIZES[-1] else 3
        cold = alternate(ours, bare, rounds=rounds, warm_ups=0, settle=fresh)
        fresh()
        pair_count = stub[0]()
        for _ in range(ROUNDS):
            start = time.perf_counter()
            stub[0]()
            warm_s.append(time.perf_counter() - start)
    size = f"{len(wanted):,} seeds"
    compared = Comparison(f"(b) {size} cold over gRPC, against {len(statements)} bare statements", *cold, at_most=1.5)
    line = f"(c) {size} warm over gRPC: {_median(tuple(warm_s)) * 1000:,.1f} ms for {pair_count:,} pairs"
    return compared, line


class _RecordingLane(SlowLane):
    """A lane that remembers what ran."""

    ran: _Ran

    @contextmanager
    def read(self, statement: Statement, binds: Mapping[str, Bind], **given: Any) -> Iterator[Reading]:
        self.ran.append((statement, dict(binds)))
        with super().read(statement, binds, **given) as reading:
            yield reading


def _recorded(plant: Path, wanted: list[str]) -> list[tuple[str, Mapping[str, Bind]]]:
    """The statements that lineage runs for these seeds, as DuckDB reads them."""
    warehouse = DuckDBWarehouse(plant)
    lane = _RecordingLane(warehouse, LocalPermits(1))
    lane.ran = []
    store = MemoryEdges(Lifetimes(3600, 3600))
    sources = Sources(lane, load_statements("recursive_with"), lambda: store, SystemClock(), shared_batch_count=3)
    caller = Caller(time.monotonic() + 300, "bench", Withdrawal())
    full_genealogy(Genealogy(sources, max_node_count=1 << 30), Wanted(wanted, MAX_DEPTH, 1 << 30), caller)
    warehouse.close()
    assert not store.unknown(Relation.LOTS, store.number(pa.array(wanted)), time.time()).any()
    return [(to_duckdb(statement), binds) for statement, binds in lane.ran]


@contextmanager
def _process(plant: Path, wanted: list[str]) -> Iterator[Callable[[], int]]:
    """A lineage process that has read nothing yet, and a call of it that ends when all tables are there."""
    address = f"127.0.0.1:{take_free(1)[0]}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    own = {
        "LISTEN": address,
        "LOG_LEVEL": "warning",
        "WAREHOUSE_MEMORY_LIMIT_BYTES": str(_BUFFER_BYTES),
        "WAREHOUSE_URL": f"duckdb://{plant.absolute()}",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "sluice_lineage"],
        env={**inherited, **{f"SLUICE_LINEAGE_{key}": value for key, value in own.items()}},
    )
    try:
        poll_until(lambda: not problem_of(address), 60)
        with open_channel(address, "lineage") as channel:
            stub = pb_grpc.LineageServiceStub(channel)
            yield lambda: _read(stub, wanted)
    finally:
        process.terminate()
        process.wait(30)


def _read(stub: pb_grpc.LineageServiceStub, wanted: list[str]) -> int:
    request = pb.ReadGenealogyRequest(kind=pb.GENEALOGY_KIND_FULL, container_ids=wanted)
    pieces: dict[int, list[bytes]] = {}
    table = 0
    for part in stub.ReadGenealogy(request, timeout=300):
        if part.WhichOneof("part") == "header":
            table = part.header.table
            pieces[table] = []
        elif part.WhichOneof("part") == "chunk":
            pieces[table].append(part.chunk.ipc)
    tables = {name: pa.ipc.open_stream(b"".join(parts)).read_all() for name, parts in pieces.items()}
    return int(tables[pb.GENEALOGY_TABLE_ANCESTORS].num_rows)


def _median(seconds: tuple[float, ...]) -> float:
    return sorted(seconds)[len(seconds) // 2]
