"""How the events part of the lineage process is put together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import grpc
from sluice.lineage.v1 import event_service_pb2_grpc as pb_grpc
from sluice_rpc.ports import Clock
from sluice_rpc.server import Service
from sluice_rpc.settings import SettingsError
from sluice_warehouse import Warehouse
from sluice_warehouse.lanes import SlowLane

from sluice_lineage.asked import AskedIds
from sluice_lineage.events.answers import EventAnswers
from sluice_lineage.events.derived import Completion, load_groups
from sluice_lineage.events.domain import DomainError, load_domains
from sluice_lineage.events.kept import KeptEvents
from sluice_lineage.events.pointers import MemoryPointers, Pointers, RedisPointers
from sluice_lineage.events.reading import EventReader
from sluice_lineage.events.servicer import EventLimits, EventServicer
from sluice_lineage.events.turns import Turns
from sluice_lineage.frames import FrameStore
from sluice_lineage.settings import Settings

SERVICE_NAME: Final = "sluice.lineage.v1.EventService"


def event_service(
    settings: Settings,
    lane: SlowLane,
    warehouse: Warehouse,
    clock: Clock,
    closing: ExitStack,
    *,
    frames: FrameStore,
    asked: AskedIds,
    limited: Callable[[EventServicer], pb_grpc.EventServiceServicer],
) -> Service:
    """Return the service; what must be closed after it is added to `closing`. Nothing is connected yet.

    Args:
        settings, lane, warehouse, clock, closing: of the process.
        frames: where answers are kept.
        asked: reads the ids of requests.
        limited: puts what answers behind rate limits.

    Raises:
        SettingsError: a domain folder is wrong, or the Redis URL is none.
    """
    pointers = _pointers(settings, clock)
    closing.callback(pointers.close)
    servicer = event_servicer(
        settings,
        lane,
        warehouse,
        clock,
        KeptEvents(frames, pointers, clock, max_bytes=settings.event_keep_max_bytes, keeps=bool(settings.cache_target)),
        asked=asked,
    )

    def add(server: grpc.Server) -> None:
        pb_grpc.add_EventServiceServicer_to_server(limited(servicer), server)

    return Service(SERVICE_NAME, add)


def event_servicer(
    settings: Settings, lane: SlowLane, warehouse: Warehouse, clock: Clock, kept: KeptEvents, *, asked: AskedIds
) -> EventServicer:
    """Return what answers, over places to keep answers that somebody else opened. Raises as `event_service` does."""
    try:
        domains = load_domains(settings.domains_dir)
        completion = Completion(load_groups(settings.domains_dir / "workcenter_groups.toml"))
    except DomainError as error:
        raise SettingsError(f"domains_dir: {error}") from error
    reader = EventReader(
        lane,
        completion,
        max_worker_count=settings.event_max_workers,
        batch_timeout_s=settings.event_batch_timeout_s,
        permit_wait_s=settings.permit_wait_s,
        turns=Turns(settings.event_max_domains),
    )
    answers = EventAnswers(reader, kept, warehouse, clock, skip_id_count=settings.event_cache_skip_id_count)
    limits = EventLimits(
        max_row_count=settings.event_max_total_rows,
        allow_partial=settings.event_allow_partial,
        timeout_s=settings.event_timeout_s,
    )
    return EventServicer(domains, answers, asked, limits)


def _pointers(settings: Settings, clock: Clock) -> Pointers:
    if not settings.redis_url:
        return MemoryPointers(clock)
    try:
        return RedisPointers(settings.redis_url, clock, prefix=settings.redis_prefix)
    except ValueError as error:
        raise SettingsError(f"redis_url: {error}") from error
