"""Pages for people: the landing page, the API documentation, the types of problems. All from our own files."""

from __future__ import annotations

from pathlib import Path

from sluice_rpc.errors import ServiceError
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from sluice_gateway import openapi, problems, render
from sluice_gateway.definitions import Definitions
from sluice_gateway.errors import NoSuchPath
from sluice_gateway.identity import ANONYMOUS, Identity

STATIC_DIR = Path(__file__).parent.parent / "static"


class PageRoutes:
    """`/`, `/docs`, `/openapi.json`, `/problems/{reason}` and `/api/me`."""

    def __init__(self, definitions: Definitions, identity: Identity, root_path: str) -> None:
        self._definitions = definitions
        self._identity = identity
        self._root_path = root_path

    async def landing(self) -> Response:
        """Show the datasets and where to go from here."""
        return FileResponse(STATIC_DIR / "index.html")

    async def docs(self) -> Response:
        """Show the API documentation."""
        return FileResponse(STATIC_DIR / "docs.html")

    async def openapi(self) -> Response:
        """Describe every call, for each dataset that is there; without datasets while the query-engine is away."""
        try:
            definitions = await self._definitions.all()
        except ServiceError:
            definitions = []
        return Response(render.dumps(openapi.document(definitions, self._root_path)), media_type="application/json")

    async def problem(self, reason: str) -> Response:
        """Describe one type of problem."""
        page = problems.type_page(reason)
        if page is None:
            raise NoSuchPath
        return HTMLResponse(page)

    async def me(self, request: Request) -> Response:
        """Say who asks."""
        user = self._identity.of(request).user
        content = {"user": user, "anonymous": user == ANONYMOUS}
        return Response(render.dumps(content), media_type="application/json")
