"""Errors as RFC 9457 problems: one shape for every origin. What a code means stands in `sluice_rpc.codes`."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import grpc
from sluice_rpc.codes import CODES
from sluice_rpc.errors import ServiceError
from starlette.requests import Request
from starlette.responses import Response

from sluice_gateway.errors import MethodNotAllowed, RequestRefused

MEDIA_TYPE = "application/problem+json"

_INSTANCE_CHARS = 256
_RETRY_STATUSES = (429, 503)
_DEFAULT_RETRY_S = 2.0


# Only for errors whose reason is not ours.
_BY_GRPC_STATUS: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.CANCELLED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 413,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


def http_status(error: ServiceError) -> int:
    """Return the HTTP status of an error: by its code, else by its gRPC status."""
    if isinstance(error, RequestRefused):
        return error.http_status
    known = CODES.get(error.reason)
    return known.http_status if known else _BY_GRPC_STATUS.get(error.status, 500)


def retry_after_s(error: ServiceError) -> float | None:
    """Return the seconds after which trying again makes sense; None when it never does."""
    if error.retry_after_s is None and http_status(error) in _RETRY_STATUSES:
        return _DEFAULT_RETRY_S
    return error.retry_after_s


def to_json(error: ServiceError, path: str) -> dict[str, object]:
    """Return the members of the problem; `path` is that of the request."""
    known = CODES.get(error.reason)
    body: dict[str, object] = {
        "type": f"/problems/{error.reason}",
        "title": known.title if known else "Unknown problem",
        "status": http_status(error),
        "detail": error.message,
        "instance": quote(path)[:_INSTANCE_CHARS],
        "code": error.reason,
        "metadata": error.metadata,
        "retry_after_s": retry_after_s(error),
    }
    if error.violations:
        body["errors"] = [{"field": item.field, "description": item.description} for item in error.violations]
    return body


def to_response(error: ServiceError, request: Request) -> Response:
    """Return the problem in the form the client asked for: a small page for browsers, JSON for everybody else.

    The code is left in the request's state, for the one line of the log.
    """
    body = to_json(error, request.url.path)
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    wait_s = retry_after_s(error)
    if wait_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allowed
    status = http_status(error)
    request.state.reason = error.reason
    if wants_html(request):
        return Response(_page(body), status, headers, media_type="text/html")
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(text, status, headers, media_type=MEDIA_TYPE)


def wants_html(request: Request) -> bool:
    """Say whether the client is a browser that shows pages: it takes text/html and names no JSON."""
    accept = request.headers.get("accept", "")
    return "text/html" in accept and "json" not in accept


def type_page(reason: str) -> str | None:
    """Return the page behind `/problems/<reason>`; None for an unknown reason."""
    known = CODES.get(reason)
    if known is None:
        return None
    return _page({"title": known.title, "status": known.http_status, "code": reason})


def _page(body: Mapping[str, object]) -> str:
    title = html.escape(str(body["title"]))
    rows = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value if isinstance(value, str) else json.dumps(value))}</dd>"
        for name, value in body.items()
        if name != "title" and value not in (None, {})
    )
    text = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1><dl>{rows}</dl>'
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
