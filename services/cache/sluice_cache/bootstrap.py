"""How the cache is put together, in one readable pass."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from sluice.cache.v1 import frame_service_pb2_grpc, sql_service_pb2_grpc
from sluice_rpc.ports import Clock, Memory, SystemClock, SystemMemory
from sluice_rpc.server import RpcServer, Service

from sluice_cache import files
from sluice_cache.catalogue import Catalogue
from sluice_cache.index import NoIndex
from sluice_cache.manifests import Manifests
from sluice_cache.servicer import FrameServicer, SqlServicer
from sluice_cache.settings import Settings
from sluice_cache.sql.database import Database
from sluice_cache.sql.native import NativeTables
from sluice_cache.sql.runner import Runner
from sluice_cache.tiers.memory import MemoryTier
from sluice_cache.tiers.read_through import FrameStore
from sluice_cache.tiers.spool import SpoolTier

PROCESS = "cache"


@dataclass(frozen=True)
class Process:
    """The built cache: its server, and what must be closed after it."""

    server: RpcServer
    closing: ExitStack


def build(settings: Settings, clock: Clock | None = None, memory: Memory | None = None) -> Process:
    """Return the process, built and not yet serving.

    Raises:
        FolderTaken: another process works in the data folder.
    """
    clock = clock or SystemClock()
    closing = ExitStack()
    folders = {name: settings.data_dir / name for name in ("frames", "manifests", "hot", "spool", "tmp")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    closing.enter_context(files.owned(settings.data_dir))
    index = NoIndex()
    database = Database(
        folders["spool"],
        folders["tmp"],
        memory_limit_bytes=settings.duckdb_memory_limit_bytes,
        temp_max_bytes=settings.duckdb_temp_max_bytes,
        thread_count=settings.duckdb_threads,
        connection_count=settings.worker_thread_count,
    )
    closing.callback(database.close)
    behind = ThreadPoolExecutor(1, thread_name_prefix="behind")
    closing.callback(behind.shutdown, cancel_futures=True)
    catalogue = Catalogue(folders["frames"], index, clock)
    hot = MemoryTier(folders["hot"], settings.memory_max_bytes - settings.native_max_bytes)
    spool = SpoolTier(folders["spool"], settings.spool_max_bytes)
    store = FrameStore(
        catalogue,
        hot,
        spool,
        None,
        behind,
        clock,
        spill_row_count=settings.spill_row_count,
        spill_bytes=settings.spill_bytes,
        shared_max_bytes=settings.redis_max_frame_bytes,
        default_keep_s=settings.default_keep_s,
    )
    native = NativeTables(database, behind, settings.native_max_bytes)
    store.on_drop(native.drop)
    manifests = Manifests(folders["manifests"], catalogue, index, database.parse, clock)
    store.load()
    manifests.load()
    runner = Runner(database, store, native, clock, settings.max_result_row_count)
    frame_servicer = FrameServicer(store, manifests, [hot, spool], memory or SystemMemory())
    sql_servicer = SqlServicer(runner, manifests, clock, settings.statement_timeout_s)
    services = [
        Service(
            "sluice.cache.v1.FrameService",
            lambda server: frame_service_pb2_grpc.add_FrameServiceServicer_to_server(frame_servicer, server),
        ),
        Service(
            "sluice.cache.v1.SqlService",
            lambda server: sql_service_pb2_grpc.add_SqlServiceServicer_to_server(sql_servicer, server),
        ),
    ]
    return Process(RpcServer(PROCESS, settings, services, CollectorRegistry()), closing)
