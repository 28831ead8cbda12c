"""Puts the gateway together."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import grpc.aio
from prometheus_client import CollectorRegistry
from sluice_rpc.client import open_aio_channel
from sluice_rpc.ports import Clock, Ids, RandomIds, SystemClock
from starlette.types import ASGIApp

from sluice_gateway.app import Routes, build_app
from sluice_gateway.cache_stats import CacheStats
from sluice_gateway.connection import Patience
from sluice_gateway.definitions import Definitions
from sluice_gateway.engine import Health, QueryEngine
from sluice_gateway.events import EventStreams
from sluice_gateway.identity import Identity
from sluice_gateway.lineage import Lineage
from sluice_gateway.metrics import HttpMetrics
from sluice_gateway.process_details import ProcessDetails
from sluice_gateway.routes.containers import ContainerRoutes
from sluice_gateway.routes.datasets import DatasetRoutes
from sluice_gateway.routes.events import EventRoutes
from sluice_gateway.routes.health import Asked, HealthRoutes
from sluice_gateway.routes.lineage import LineageRoutes
from sluice_gateway.routes.ops import OpsRoutes
from sluice_gateway.routes.pages import PageRoutes
from sluice_gateway.routes.queries import QueryRoutes
from sluice_gateway.routes.saved import SavedRoutes
from sluice_gateway.routes.views import ViewRoutes
from sluice_gateway.saved.rate import WriteRate
from sluice_gateway.saved.store import SavedStore
from sluice_gateway.settings import Settings
from sluice_gateway.spreadsheet_exports import SpreadsheetExports
from sluice_gateway.web_page import WebPage


@dataclass(frozen=True)
class Gateway:
    """A gateway that is ready to be served.

    Attributes:
        app: the ASGI application.
        patience: ends whoever waits when the process stops.
        closing: what must be closed at the end.
    """

    app: ASGIApp
    patience: Patience
    closing: AsyncExitStack


async def build(settings: Settings, *, clock: Clock | None = None, ids: Ids | None = None) -> Gateway:
    """Return a gateway for the running event loop; nothing is called yet, so the other processes may come later."""
    closing = AsyncExitStack()
    channels = _channels(settings, closing)
    engine = QueryEngine(channels["query-engine"], settings)
    definitions = Definitions(engine, settings.definitions_ttl_s, clock or SystemClock())
    identity = _identity(settings)
    lineage = Lineage(channels["lineage"], settings)
    patience = Patience()
    registry = CollectorRegistry()
    limit = settings.max_body_bytes
    details = {name: ProcessDetails(channels[name], settings) for name in ("query-engine", "lineage")}
    routes = Routes(
        pages=PageRoutes(definitions, identity, settings.root_path, WebPage()),
        health=HealthRoutes(
            _asked(channels, settings, details), settings.health_ttl_s, clock or SystemClock(), registry
        ),
        ops=OpsRoutes(details, engine),
        saved=_saved(settings, clock or SystemClock(), identity, closing),
        datasets=DatasetRoutes(definitions, engine, identity, limit),
        queries=QueryRoutes(
            definitions=definitions,
            engine=engine,
            identity=identity,
            patience=patience,
            streams=EventStreams(patience, settings.keep_alive_s, settings.events_max_s),
            events_max_s=settings.events_max_s,
            initial_views_min_s=settings.initial_views_min_s,
            max_body_bytes=limit,
            root_path=settings.root_path,
        ),
        views=ViewRoutes(
            definitions=definitions,
            engine=engine,
            identity=identity,
            max_body_bytes=limit,
            export_thread_count=settings.export_thread_count,
            spreadsheets=SpreadsheetExports(engine, settings.spreadsheet_count, settings.spreadsheet_dir),
        ),
        lineage=LineageRoutes(lineage, identity, limit, settings.json_max_row_count),
        containers=ContainerRoutes(lineage, identity, limit, settings.json_max_row_count),
        events=EventRoutes(lineage, identity, limit),
    )
    app = build_app(routes, HttpMetrics(registry), ids or RandomIds(), settings.root_path)
    return Gateway(app, patience, closing)


def _channels(settings: Settings, closing: AsyncExitStack) -> dict[str, grpc.aio.Channel]:
    targets = {
        "query-engine": settings.query_engine_target,
        "cache": settings.cache_target,
        "lineage": settings.lineage_target,
    }
    channels = {name: open_aio_channel(target, name) for name, target in targets.items()}
    for channel in channels.values():
        closing.push_async_callback(channel.close)
    return channels


def _saved(settings: Settings, clock: Clock, identity: Identity, closing: AsyncExitStack) -> SavedRoutes:
    keep_links = timedelta(days=settings.keep_links_days)
    store = SavedStore(settings.saved_file, clock, keep_links, settings.most_saved_views, settings.most_links)
    closing.callback(store.close)
    return SavedRoutes(store, WriteRate(settings.saved_per_minute, clock), identity)


def _identity(settings: Settings) -> Identity:
    trusted = [item.strip() for item in settings.trusted_proxies.split(",")]
    return Identity(settings.identity_header, trusted, settings.client_address_header)


def _asked(
    channels: Mapping[str, grpc.aio.Channel], settings: Settings, details: Mapping[str, ProcessDetails]
) -> Asked:
    processes = {name: Health(channel, settings) for name, channel in channels.items()}
    return Asked(processes, details, CacheStats(channels["cache"], settings))
