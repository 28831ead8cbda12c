"""How the cache is put together, in one readable pass."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from pyarrow import fs
from sluice.cache.v1 import frame_service_pb2_grpc, sql_service_pb2_grpc
from sluice_rpc.ports import Clock, SystemClock
from sluice_rpc.server import RpcServer, Service

from sluice_cache import files, seals
from sluice_cache.catalogue import Catalogue
from sluice_cache.frames import TierKind
from sluice_cache.index import NoIndex, SharedIndex
from sluice_cache.manifests import Manifests
from sluice_cache.memory_readings import MemoryReadings, SystemReadings
from sluice_cache.metrics import CacheMetrics
from sluice_cache.pressure import Thresholds
from sluice_cache.pressure_watch import PressureWatch
from sluice_cache.redis_index import RedisIndex
from sluice_cache.redis_link import RedisLink
from sluice_cache.servicer import FrameServicer
from sluice_cache.settings import Settings
from sluice_cache.sql.answer import Limits
from sluice_cache.sql.apart import Apart, Room
from sluice_cache.sql.call import Watch
from sluice_cache.sql.database import Database
from sluice_cache.sql.deriver import Deriver, DerivingRoom
from sluice_cache.sql.lane import Places
from sluice_cache.sql.native import NativeTables
from sluice_cache.sql.relations import Shelf
from sluice_cache.sql.results import Results
from sluice_cache.sql.runner import Runner
from sluice_cache.sql.servicer import SqlServicer
from sluice_cache.sql.unpacked import Unpacked
from sluice_cache.sweep import Pace, Sweeper
from sluice_cache.sweep_lease import FileLease, RedisLease, SweepLease
from sluice_cache.tiers import Counted, SwitchedOff
from sluice_cache.tiers.landing import StoreLimits, Tiers
from sluice_cache.tiers.memory import MemoryTier
from sluice_cache.tiers.on_disk import OnDisk
from sluice_cache.tiers.read_through import FrameStore
from sluice_cache.tiers.redis import RedisTier
from sluice_cache.tiers.spool import SpoolTier
from sluice_cache.tiers.spool_folder import SpoolFolder

PROCESS = "cache"


_FOLDERS = ("frames", "manifests", "hot", "unpacked", "tmp")


@dataclass(frozen=True)
class Process:
    """The built cache: its server, what must be closed after it, and its parts for those who look inside."""

    server: RpcServer
    closing: ExitStack
    store: FrameStore
    manifests: Manifests
    sweeper: Sweeper
    registry: CollectorRegistry
    database: Database


def build(
    settings: Settings,
    clock: Clock | None = None,
    disk: fs.FileSystem | None = None,
    readings: MemoryReadings | None = None,
) -> Process:
    """Return the process, built and not yet serving; what an earlier process left on the disk is there again.

    Args:
        settings: of the process.
        clock, readings: the machine's unless given.
        disk: file system of the spool; this machine's unless given, which must show the same files.

    Raises:
        FolderTaken: another process works in the data folder.
    """
    clock = clock or SystemClock()
    with ExitStack() as closing:
        folders = _folders(settings, closing)
        kept = _kept(settings, folders, clock, disk, closing)
        sweeper = Sweeper(kept.store, kept.manifests, kept.index, folders["hot"], kept.lease, pace=_pace(settings))
        kept.store.on_full(sweeper.wake)
        sweeper.start()
        closing.callback(sweeper.stop)
        evict = [kept.native.clear, kept.results.clear, kept.store.memory.unmap]
        pressure = _pressure(settings, readings, clock, evict)
        closing.callback(pressure.stop)
        kept.store.admit_by(pressure.admit)
        registry = CollectorRegistry()
        CacheMetrics(kept.tiers, kept.native, kept.results, pressure, registry)
        frames = FrameServicer(kept.store, kept.manifests, kept.tiers, pressure)
        unpacked = _unpacked(settings, folders["unpacked"], kept.store, closing)
        shelf = Shelf(kept.database, kept.store, kept.native, folders["hot"], unpacked)
        narrow = _database(settings, folders["spool"], folders["narrow"], settings.statement_memory_bytes, closing)
        _warm_up([narrow, kept.database], closing)
        places = Places(shelf, narrow, _apart(settings, folders, closing), pressure.admit)
        watch = Watch()
        closing.callback(watch.close)
        deriver = Deriver(places, clock, _deriving_room(settings, folders["tmp"]))
        limits = Limits(settings.max_result_row_count, settings.max_result_bytes)
        runner = Runner(places, kept.results, deriver, limits)
        sql = SqlServicer(runner, kept.manifests, watch, clock, settings.statement_timeout_s)
        server = RpcServer(PROCESS, settings, _services(frames, sql), registry)
        return Process(server, closing.pop_all(), kept.store, kept.manifests, sweeper, registry, kept.database)


@dataclass(frozen=True)
class _Kept:
    """What is kept between calls, loaded and ready."""

    store: FrameStore
    manifests: Manifests
    index: SharedIndex
    lease: SweepLease
    tiers: list[Counted]
    database: Database
    native: NativeTables
    results: Results


def _kept(
    settings: Settings, folders: dict[str, Path], clock: Clock, disk: fs.FileSystem | None, closing: ExitStack
) -> _Kept:
    link = RedisLink(settings.redis_url, settings.redis_prefix, clock) if settings.redis_url else None
    if link is not None:
        closing.callback(link.close)
    index: SharedIndex = RedisIndex(link, clock) if link is not None else NoIndex()
    shared = RedisTier(link, settings.redis_max_bytes) if link is not None else None
    if shared is not None:
        closing.callback(shared.close)
    database = _database(settings, folders["spool"], folders["tmp"], settings.duckdb_memory_limit_bytes, closing)
    native = NativeTables(database, _behind("native", closing), settings.native_max_bytes)
    results = Results(settings.result_max_bytes)
    hot = MemoryTier(folders["hot"], settings.memory_max_bytes, lambda: native.bytes + results.bytes)
    spool = SpoolTier(_spool_folder(settings, folders, disk), settings.spool_max_bytes)
    catalogue = Catalogue(folders["frames"], index, clock, spool)
    behind = _behind("share", closing)
    places = Tiers(hot, shared, spool)
    store = FrameStore(catalogue, places, behind=behind, clock=clock, limits=_store_limits(settings))
    store.on_drop(native.drop)
    store.on_drop(results.drop)
    manifests = Manifests(folders["manifests"], catalogue, index, database.parse, clock)
    store.load()
    manifests.load()
    lease = RedisLease(link, spool.folder.identity()) if link is not None else FileLease(folders["spool"])
    absent = SwitchedOff(TierKind.REDIS, "no Redis is configured")
    tiers: list[Counted] = [OnDisk(hot, folders["hot"]), shared or absent, OnDisk(spool, folders["spool"])]
    return _Kept(store, manifests, index, lease, tiers, database, native, results)


def _unpacked(settings: Settings, folder: Path, store: FrameStore, closing: ExitStack) -> Unpacked:
    unpacked = Unpacked(folder, _behind("unpack", closing), settings.unpacked_max_bytes, store.open)
    closing.callback(unpacked.close)
    store.on_drop(unpacked.drop)
    return unpacked


def _pace(settings: Settings) -> Pace:
    return Pace(settings.sweep_interval_s, settings.orphan_grace_s)


def _pressure(
    settings: Settings, readings: MemoryReadings | None, clock: Clock, evict: Sequence[Callable[[], object]]
) -> PressureWatch:
    thresholds = Thresholds(
        warn_ratio=settings.rss_warn_ratio,
        evict_ratio=settings.rss_evict_ratio,
        refuse_ratio=settings.rss_refuse_ratio,
        system_evict_ratio=settings.system_evict_ratio,
        system_refuse_ratio=settings.system_refuse_ratio,
        relief_ratio=settings.rss_relief_ratio,
    )
    watch = PressureWatch(
        readings or SystemReadings(settings.rss_limit_bytes),
        thresholds,
        evict,
        clock,
        interval_s=settings.rss_check_interval_s,
        evict_pause_s=settings.rss_evict_pause_s,
    )
    watch.start()
    return watch


def _store_limits(settings: Settings) -> StoreLimits:
    return StoreLimits(
        spill_row_count=settings.spill_row_count,
        spill_bytes=settings.spill_bytes,
        shared_max_bytes=settings.redis_max_frame_bytes,
        hot_max_bytes=settings.memory_max_bytes // 2,
        default_keep_s=settings.default_keep_s,
    )


def _folders(settings: Settings, closing: ExitStack) -> dict[str, Path]:
    """Return the folders of the process, there and cleared of what it was writing when it died."""
    root = settings.data_dir
    folders = {name: root / name for name in _FOLDERS} | {"spool": settings.spool_dir or root / "spool"}
    folders["narrow"] = folders["tmp"] / "narrow"
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    closing.enter_context(files.owned(root))
    for path in root.rglob(f"*{files.TEMP_SUFFIX}"):
        # The folder is ours alone and nothing is being written yet.
        path.unlink(missing_ok=True)
    if files.restarted(root):
        # Hot files are not synced: what the machine had not written when it stopped is missing in them.
        seals.doubt(folders["hot"].iterdir())
    return folders


def _spool_folder(settings: Settings, folders: dict[str, Path], disk: fs.FileSystem | None) -> SpoolFolder:
    owner = files.identity(settings.data_dir) if settings.spool_dir is not None else "one"
    root = folders["spool"]
    folder = SpoolFolder(disk or fs.LocalFileSystem(), str(root), local=root, owner=owner)
    folder.clear_own()
    return folder


def _database(settings: Settings, spool_dir: Path, temp_dir: Path, memory_bytes: int, closing: ExitStack) -> Database:
    database = Database(
        spool_dir,
        temp_dir,
        memory_limit_bytes=memory_bytes,
        temp_max_bytes=settings.duckdb_temp_max_bytes,
        thread_count=settings.duckdb_threads,
        connection_count=settings.worker_thread_count,
    )
    closing.callback(database.close)
    return database


def _apart(settings: Settings, folders: dict[str, Path], closing: ExitStack) -> Apart:
    threads = settings.duckdb_threads or os.cpu_count() or 1
    room = Room(settings.apart_memory_bytes, settings.duckdb_temp_max_bytes, threads)
    apart = Apart(folders["spool"], folders["tmp"], count=settings.apart_count, room=room)
    closing.callback(apart.close)
    return apart


def _deriving_room(settings: Settings, folder: Path) -> DerivingRoom:
    left_bytes = settings.duckdb_memory_limit_bytes - settings.native_max_bytes
    return DerivingRoom(settings.derive_memory_bytes or left_bytes, folder, settings.duckdb_temp_max_bytes)


def _behind(name: str, closing: ExitStack) -> ThreadPoolExecutor:
    """Return a thread for work that no caller waits for; what has not begun at the end is dropped."""
    executor = ThreadPoolExecutor(1, thread_name_prefix=name)
    closing.callback(executor.shutdown, cancel_futures=True)
    return executor


def _warm_up(databases: Sequence[Database], closing: ExitStack) -> None:
    executor = _behind("warm-up", closing)
    for database in databases:
        executor.submit(database.warm_up)


def _services(frames: FrameServicer, sql: SqlServicer) -> list[Service]:
    return [
        Service(
            "sluice.cache.v1.FrameService",
            lambda server: frame_service_pb2_grpc.add_FrameServiceServicer_to_server(frames, server),
            taking_pieces=("PutFrame",),
        ),
        Service(
            "sluice.cache.v1.SqlService",
            lambda server: sql_service_pb2_grpc.add_SqlServiceServicer_to_server(sql, server),
        ),
    ]
