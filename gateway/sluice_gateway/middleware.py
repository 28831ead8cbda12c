"""What surrounds every request: its id, one log line, one observation, the headers of every answer."""

from __future__ import annotations

import re
import time

import structlog
from sluice_rpc.ports import Ids
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice_gateway.metrics import HttpMetrics

log = structlog.get_logger()

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET_PREFIXES = ("/health", "/metrics")
"""Asked every few seconds by machines; their lines stay at DEBUG."""


class RequestScope:
    """Gives a request its id, taken from `X-Request-Id` when that is well-formed, and reports how it ended."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics, ids: Ids, root_path: str) -> None:
        self._app = app
        self._metrics = metrics
        self._ids = ids
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = self._under_root(scope)
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else self._ids.new()
        status = 0
        started = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _set_headers(MutableHeaders(scope=message), request_id, time.perf_counter() - started)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            finally:
                self._report(scope, status, time.perf_counter() - started)

    def _under_root(self, scope: Scope) -> Scope:
        """The scope as ASGI wants it, with the prefix in front of its path, whether or not the proxy cut it off."""
        path = scope["path"]
        if not path.startswith(f"{self._root_path}/"):
            path = self._root_path + path
        return {**scope, "root_path": self._root_path, "path": path, "state": {**scope.get("state", {})}}

    def _report(self, scope: Scope, status: int, elapsed_s: float) -> None:
        # The template, never the path: a label and a log field from a closed set.
        path = getattr(scope.get("route"), "path", "")
        self._metrics.observe(scope["method"], path, status, elapsed_s)
        write = log.debug if path.startswith(_QUIET_PREFIXES) else log.info
        reason = scope["state"].get("reason", "")
        elapsed_ms = round(elapsed_s * 1000, 1)
        write("http", method=scope["method"], path=path, status=status, reason=reason, elapsed_ms=elapsed_ms)


def _set_headers(headers: MutableHeaders, request_id: str, until_answer_s: float) -> None:
    headers["X-Request-Id"] = request_id
    # Browsers show it beside their own times, so that the way and the waiting are told apart.
    headers["Server-Timing"] = f"gateway;dur={until_answer_s * 1000:.1f}"
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers.setdefault("Cache-Control", "no-store")
