"""Views that people keep under a name, and short links to long addresses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

from sluice_rpc.errors import FieldViolation, InvalidParameter
from starlette.requests import Request
from starlette.responses import Response

from sluice_gateway import body, render
from sluice_gateway.body import JSON
from sluice_gateway.identity import Caller, Identity
from sluice_gateway.saved.address import MAX_ADDRESS_CHARS, checked_address
from sluice_gateway.saved.rate import WriteRate
from sluice_gateway.saved.store import Permalink, SavedStore, SavedView

_MAX_NAME_CHARS = 120
_MAX_NOTE_CHARS = 500
_MAX_BODY_BYTES = 64 << 10


class SavedRoutes:
    """`/api/saved` and `/api/permalinks`.

    Args:
        store: where they are kept.
        rate: how often one client may write.
        identity: who asks.
    """

    def __init__(self, store: SavedStore, rate: WriteRate, identity: Identity) -> None:
        self._store = store
        self._rate = rate
        self._identity = identity

    async def list(self, request: Request) -> Response:
        """List what the caller keeps and what others share, newest first."""
        caller = self._identity.of(request)
        views = await asyncio.to_thread(self._store.views, caller.user)
        return _json({"views": [_view_json(view, caller) for view in views]})

    async def get(self, request: Request, view_id: str) -> Response:
        """Show a saved view."""
        caller = self._identity.of(request)
        view = await asyncio.to_thread(self._store.view, view_id, caller.user)
        return _json(_view_json(view, caller))

    async def save(self, request: Request) -> Response:
        """Keep a view under a name."""
        kept = await _given_view(request)
        caller = self._counted(request)
        view = await asyncio.to_thread(
            self._store.save, caller.user, kept.name, kept.note, kept.path, shared=kept.shared
        )
        return _json(_view_json(view, caller), HTTPStatus.CREATED)

    async def replace(self, request: Request, view_id: str) -> Response:
        """Keep something else under the id of a view of the caller's own."""
        kept = await _given_view(request)
        caller = self._counted(request)
        view = await asyncio.to_thread(
            self._store.replace, view_id, caller.user, kept.name, kept.note, kept.path, shared=kept.shared
        )
        return _json(_view_json(view, caller))

    async def forget(self, request: Request, view_id: str) -> Response:
        """Forget a view of the caller's own."""
        caller = self._counted(request)
        await asyncio.to_thread(self._store.forget, view_id, caller.user)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def shorten(self, request: Request) -> Response:
        """Give a long address a short one; the same address always gets the same."""
        given = await _fields(request, {"path"}, set())
        path = checked_address(_text(given["path"], "path"))
        self._counted(request)
        return _json(_link_json(await asyncio.to_thread(self._store.shorten, path)), HTTPStatus.CREATED)

    async def link(self, link_id: str) -> Response:
        """Show the address behind a short one."""
        return _json(_link_json(await asyncio.to_thread(self._store.link, link_id)))

    def _counted(self, request: Request) -> Caller:
        caller = self._identity.of(request)
        self._rate.take(caller.client)
        return caller


@dataclass(frozen=True)
class _Given:
    """What is to be kept, checked."""

    name: str
    note: str
    path: str
    shared: bool


async def _given_view(request: Request) -> _Given:
    given = await _fields(request, {"path", "name"}, {"note", "shared"})
    name = _line(given["name"], "name", _MAX_NAME_CHARS)
    note = _line(given.get("note", ""), "note", _MAX_NOTE_CHARS)
    path = checked_address(_text(given["path"], "path"))
    shared = given.get("shared", True)
    if not isinstance(shared, bool):
        raise InvalidParameter("shared", "must be true or false")
    if not name:
        raise InvalidParameter("name", "must not be empty")
    return _Given(name, note, path, shared)


async def _fields(request: Request, required: set[str], optional: set[str]) -> dict[str, JSON]:
    """Return the body, which has every required field and none that is unknown."""
    given = await body.read_object(request, _MAX_BODY_BYTES, MAX_ADDRESS_CHARS)
    wrong = [FieldViolation(name, "is required") for name in sorted(required - given.keys())]
    wrong += [FieldViolation(name[:80], "is not known") for name in sorted(given.keys() - required - optional)]
    if wrong:
        raise InvalidParameter.of(wrong)
    return given


def _text(value: JSON, field: str) -> str:
    if not isinstance(value, str):
        raise InvalidParameter(field, "must be a text")
    return value


def _line(value: JSON, field: str, limit: int) -> str:
    """Return a text for people on one line: no control characters, no blanks around it."""
    text = " ".join(_text(value, field).split())
    if len(text) > limit:
        raise InvalidParameter(field, f"is longer than {limit} characters")
    if not text.isprintable():
        raise InvalidParameter(field, "holds characters that cannot be shown")
    return text


def _view_json(view: SavedView, caller: Caller) -> dict[str, object]:
    return {
        "id": view.id,
        "name": view.name,
        "note": view.note,
        "path": view.path,
        "owner": view.owner,
        "mine": view.owner == caller.user,
        "shared": view.shared,
        "created_time": view.created_time.isoformat(),
    }


def _link_json(link: Permalink) -> dict[str, object]:
    return {"id": link.id, "path": link.path, "expires_time": link.expires_time.isoformat()}


def _json(content: dict[str, object], status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(render.dumps(content), status, media_type="application/json")
