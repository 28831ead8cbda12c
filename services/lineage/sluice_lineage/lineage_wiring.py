"""How LineageService is put together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Final

from sluice.lineage.v1 import lineage_service_pb2_grpc as pb_grpc
from sluice_rpc.ports import RandomIds, SystemClock
from sluice_rpc.server import Service
from sluice_warehouse.lanes import SlowLane

from sluice_lineage.answers import Answers
from sluice_lineage.asked import AskedIds
from sluice_lineage.edge_frames import EdgeShelf, FrameEdges
from sluice_lineage.edge_memory import Lifetimes, MemoryEdges
from sluice_lineage.edge_reader import Sources, load_statements
from sluice_lineage.edge_shelves import CacheShelf
from sluice_lineage.edge_stores import EdgeStores
from sluice_lineage.frames import CacheFrames
from sluice_lineage.genealogy import Genealogy
from sluice_lineage.servicer import LineageServicer
from sluice_lineage.settings import Settings

LINEAGE_SERVICE_NAME: Final = "sluice.lineage.v1.LineageService"
_SHELF_WAIT_S: Final = 1.0
"""Small reads of one second share a frame; a crash loses what was read in it, which is then read again."""


def lineage_service(
    settings: Settings, lane: SlowLane, closing: ExitStack, frames: CacheFrames | None, asked: AskedIds
) -> Service:
    """Return the service; its statements run on `lane`, edges are kept in `frames`, what it starts `closing` ends."""
    clock = SystemClock()
    lifetimes = Lifetimes(settings.edge_settled_ttl_s, settings.edge_ttl_s)
    make: Callable[[], MemoryEdges] = partial(MemoryEdges, lifetimes)
    if frames is not None:
        shelf = EdgeShelf(CacheShelf(frames, settings.warehouse_url), RandomIds(), lifetimes, wait_s=_SHELF_WAIT_S)
        shelf.start()
        closing.callback(shelf.close)
        make = partial(FrameEdges, lifetimes, shelf, clock)
    stores = EdgeStores(make, max_bytes=settings.edge_memory_bytes)
    sources = Sources(
        lane,
        load_statements(settings.ancestor_alternative),
        stores.current,
        clock,
        shared_batch_count=settings.edge_shared_batch_count,
    )
    servicer = LineageServicer(
        Genealogy(sources, max_node_count=settings.max_node_count),
        Answers(max_size_bytes=settings.max_response_bytes),
        asked,
        clock,
        statement_timeout_s=settings.statement_timeout_s,
    )
    return Service(LINEAGE_SERVICE_NAME, lambda server: pb_grpc.add_LineageServiceServicer_to_server(servicer, server))
