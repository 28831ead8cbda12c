"""Pages for people: the web page, the API documentation, the types of problems. All from our own files."""

from __future__ import annotations

from pathlib import Path

from sluice_rpc.errors import ServiceError
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from sluice_gateway import openapi, problems, render
from sluice_gateway.definitions import Definitions
from sluice_gateway.errors import NoSuchPath
from sluice_gateway.identity import ANONYMOUS, Identity
from sluice_gateway.web_page import WebPage

STATIC_DIR = Path(__file__).parent.parent / "static"


class PageRoutes:
    """The web page under each of its addresses, `/docs`, `/openapi.json`, `/problems/{reason}` and `/api/me`."""

    def __init__(self, definitions: Definitions, identity: Identity, root_path: str, web_page: WebPage) -> None:
        self._definitions = definitions
        self._identity = identity
        self._root_path = root_path
        self._web_page = web_page

    async def page(self, request: Request) -> Response:
        """Show the web page; it reads from its address what to show."""
        path = str(request.scope["path"]).removeprefix(self._root_path)
        return self._web_page.document(depth=path.count("/") - 1)

    async def asset(self, request: Request, name: str) -> Response:
        """Send a file of the web page."""
        found = self._web_page.asset(name, request.headers.getlist("accept-encoding"))
        if found is None:
            raise NoSuchPath
        return found

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
