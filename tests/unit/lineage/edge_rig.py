"""Genealogy over a plant file on a clock that a test moves, with faults and a shelf in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sluice_lineage.callers import Caller
from sluice_lineage.edge_frames import EdgeShelf, FrameEdges
from sluice_lineage.edge_memory import Lifetimes
from sluice_lineage.edge_reader import Sources, load_statements
from sluice_lineage.edge_shelves import MemoryShelf
from sluice_lineage.edge_stores import EdgeStores
from sluice_lineage.edges import Relation
from sluice_lineage.genealogy import Genealogy, Neighbours, SplitAncestors, Wanted
from sluice_lineage.kinship import ForwardTree, FullGenealogy, forward_tree, full_genealogy
from sluice_lineage.withdrawal import Withdrawal
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import FakeClock, RandomIds
from sluice_warehouse import Bind, Statement
from sluice_warehouse.duckdb import DuckDBWarehouse
from sluice_warehouse.faults import Fault
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.permits import LocalPermits

LIFETIMES = Lifetimes(settled_s=86_400, moving_s=900)


@dataclass
class EdgeRig:
    """What a test turns and looks at."""

    path: Path
    clock: FakeClock
    shelf: MemoryShelf
    permits: LocalPermits
    genealogy: Genealogy
    keeper: EdgeShelf
    broken: dict[str, ServiceError] = field(default_factory=dict)
    """Statements that fail, by name; the empty name is every statement."""
    ran: list[str] = field(default_factory=list)
    """Statements that were asked for, in order."""

    def fault(self, statement: Statement, _binds: object) -> Fault | None:
        """Note a statement, and say whether it fails."""
        self.ran.append(statement.name)
        error = self.broken.get(statement.name) or self.broken.get("")
        return None if error is None else Fault(error=error)

    def caller(self, *, refresh: bool = False) -> Caller:
        """Return somebody who waits for half a minute."""
        return Caller(time.monotonic() + 30, "test", Withdrawal(), refresh)

    def ancestors(self, ids: Sequence[str]) -> SplitAncestors:
        """Resolve split ancestors."""
        return self.genealogy.split_ancestors(ids, 20, self.caller())

    def full(
        self, ids: Sequence[str], hops: int = 1, nodes: int = 1_000_000, *, refresh: bool = False
    ) -> FullGenealogy:
        """Resolve a full genealogy."""
        return full_genealogy(self.genealogy, Wanted(ids, 20, nodes, hops), self.caller(refresh=refresh))

    def forward(self, ids: Sequence[str]) -> ForwardTree:
        """Resolve a forward tree."""
        return forward_tree(self.genealogy, Wanted(ids, 20, 1_000_000), self.caller())

    def sources(self, ids: Sequence[str]) -> Neighbours:
        """Resolve merge sources."""
        return self.genealogy.merges(Relation.SOURCES, ids, self.caller())


@contextmanager
def edge_rig(path: Path, earlier: EdgeRig | None = None, *, shared_batch_count: int = 3) -> Iterator[EdgeRig]:
    """Give a rig over a plant; with the clock and the shelf of an earlier one it is another process, or a restart."""
    clock = earlier.clock if earlier else FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    shelf = earlier.shelf if earlier else MemoryShelf(clock)
    with ExitStack() as closing:
        keeper = EdgeShelf(shelf, RandomIds(), LIFETIMES, wait_s=0.01)
        keeper.start()
        closing.callback(keeper.close)
        permits = LocalPermits(1)
        rig: EdgeRig

        def fault(statement: Statement, binds: Mapping[str, Bind]) -> Fault | None:
            return rig.fault(statement, binds)

        warehouse = DuckDBWarehouse(path, fault=fault)
        closing.callback(warehouse.close)
        stores = EdgeStores(lambda: FrameEdges(LIFETIMES, keeper, clock), max_bytes=1 << 30)
        sources = Sources(
            SlowLane(warehouse, permits, permit_wait_s=1),
            load_statements("recursive_with"),
            stores.current,
            clock,
            shared_batch_count=shared_batch_count,
        )
        rig = EdgeRig(path, clock, shelf, permits, Genealogy(sources, max_node_count=1_000_000), keeper)
        yield rig
