"""The route table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
import swagger_ui_bundle
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sluice_rpc.errors import InternalFault, ServiceError
from sluice_rpc.ports import Ids
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from sluice_gateway import problems
from sluice_gateway.errors import AnswerCut, ClientLeft, MethodNotAllowed, NoSuchPath, RequestBroken
from sluice_gateway.metrics import HttpMetrics
from sluice_gateway.middleware import RequestScope
from sluice_gateway.routes.containers import ContainerRoutes
from sluice_gateway.routes.datasets import DatasetRoutes
from sluice_gateway.routes.events import EventRoutes
from sluice_gateway.routes.health import HealthRoutes
from sluice_gateway.routes.lineage import LineageRoutes
from sluice_gateway.routes.ops import OpsRoutes
from sluice_gateway.routes.pages import STATIC_DIR, PageRoutes
from sluice_gateway.routes.queries import QueryRoutes
from sluice_gateway.routes.saved import SavedRoutes
from sluice_gateway.routes.views import ViewRoutes

log = structlog.get_logger()

WEB_PAGE_PATHS = ("/", "/d/{name}", "/trace", "/timeline", "/saved", "/saved/{id}", "/p/{id}", "/ops", "/ops/{tab}")
"""Addresses of the web page; it is one document, and every other address stays a problem."""

_Route = tuple[str, str, Callable[..., Any]]
"""Methods, path and function."""


@dataclass(frozen=True)
class Routes:
    """Everything that answers."""

    pages: PageRoutes
    health: HealthRoutes
    ops: OpsRoutes
    saved: SavedRoutes
    datasets: DatasetRoutes
    queries: QueryRoutes
    views: ViewRoutes
    lineage: LineageRoutes
    containers: ContainerRoutes
    events: EventRoutes


def build_app(routes: Routes, metrics: HttpMetrics, ids: Ids, root_path: str) -> ASGIApp:
    """Return the application."""
    # A path with a slash too many is not there; a redirect would lose the problem that says so, and a base path.
    app = FastAPI(title="Sluice", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    for methods, path, endpoint in [*_beside_the_api(routes), *_api(routes)]:
        app.add_api_route(path, endpoint, methods=methods.split(), response_model=None)
    app.mount("/docs/files", StaticFiles(directory=swagger_ui_bundle.swagger_ui_path))
    app.mount("/static", StaticFiles(directory=STATIC_DIR))
    _handle_errors(app)
    # Around the framework, its own handler of faults included, so that every answer has its request id.
    return RequestScope(app, metrics, ids, root_path)


def _beside_the_api(routes: Routes) -> list[_Route]:
    return [
        *(("GET", path, routes.pages.page) for path in WEB_PAGE_PATHS),
        ("GET", "/assets/{name}", routes.pages.asset),
        ("GET", "/docs", routes.pages.docs),
        ("GET", "/openapi.json", routes.pages.openapi),
        ("GET", "/problems/{reason}", routes.pages.problem),
        ("GET", "/health", routes.health.health),
        ("GET", "/health/live", routes.health.live),
        ("GET", "/health/ready", routes.health.ready),
        ("GET", "/metrics", routes.health.metrics),
    ]


def _api(routes: Routes) -> list[_Route]:
    """Return the API; first match wins, so datasets, whose routes may hold slashes, come last."""
    return [
        ("GET", "/api/me", routes.pages.me),
        ("GET", "/api/saved", routes.saved.list),
        ("POST", "/api/saved", routes.saved.save),
        ("GET", "/api/saved/{view_id}", routes.saved.get),
        ("PUT", "/api/saved/{view_id}", routes.saved.replace),
        ("DELETE", "/api/saved/{view_id}", routes.saved.forget),
        ("POST", "/api/permalinks", routes.saved.shorten),
        ("GET", "/api/permalinks/{link_id}", routes.saved.link),
        ("GET", "/api/ops/permits", routes.ops.permits),
        ("GET", "/api/ops/queries", routes.ops.queries),
        ("GET", "/api/datasets", routes.datasets.list),
        ("GET", "/api/datasets/{name}", routes.datasets.get),
        ("GET", "/api/datasets/{name}/computation", routes.datasets.computation),
        ("GET", "/api/queries/{query_id}", routes.queries.get),
        ("DELETE", "/api/queries/{query_id}", routes.queries.cancel),
        ("GET", "/api/queries/{query_id}/events", routes.queries.events),
        ("POST", "/api/queries/{query_id}/retry", routes.queries.retry),
        ("POST", "/api/lineage/ancestors", routes.lineage.ancestors),
        ("POST", "/api/lineage/descendants", routes.lineage.descendants),
        ("POST", "/api/lineage/merge-sources", routes.lineage.merge_sources),
        ("POST", "/api/lineage/merge-targets", routes.lineage.merge_targets),
        ("POST", "/api/lineage/leaf-serials", routes.lineage.leaf_serials),
        ("POST", "/api/lineage/genealogy", routes.lineage.genealogy),
        ("POST", "/api/lineage/forward-tree", routes.lineage.forward_tree),
        ("POST", "/api/containers/resolve", routes.containers.resolve),
        ("GET", "/api/events", routes.events.domains),
        ("POST", "/api/events/{domain}", routes.events.read),
        ("POST", "/api/{route:path}/plan", routes.datasets.plan),
        ("POST", "/api/{route:path}/query", routes.queries.start),
        ("GET POST", "/api/{route:path}/view", routes.views.view),
        ("GET POST", "/api/{route:path}/options", routes.views.options),
        ("GET POST", "/api/{route:path}/export", routes.views.export),
        ("GET", "/api/{route:path}/frame", routes.views.frame),
    ]


def _handle_errors(app: FastAPI) -> None:
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ClientLeft, _client_left)
    app.add_exception_handler(Exception, _fault)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return problems.to_response(error, request)


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problems.to_response(NoSuchPath(), request)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "GET, POST")
        return problems.to_response(MethodNotAllowed(request.method, allowed), request)
    return problems.to_response(RequestBroken(error.status_code, str(error.detail)), request)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problems.to_response(RequestBroken(HTTPStatus.BAD_REQUEST, "does not fit its declaration"), request)


async def _client_left(request: Request, error: Exception) -> Response:
    # Nobody reads this; 499 is what the log and the metrics show, as nginx has it.
    return Response(status_code=499)


async def _fault(request: Request, error: Exception) -> Response:
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    if not isinstance(error, AnswerCut):
        log.error("request broke", exc_info=error)
    return problems.to_response(InternalFault(request_id), request)
