"""The suite's HTTP face as the `sluice` command uses it: requests out, JSON and Arrow in, problems as exceptions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx
import pyarrow as pa
from sluice_rpc import arrow

ARROW_STREAM = "application/vnd.apache.arrow.stream"

WAIT_S = 360.0
"""How long an answer may take: as long as the suite works on one request, 300 s for a statement, and what comes around
it."""

_TIMEOUT = httpx.Timeout(30.0, connect=5.0, read=WAIT_S)

_SPREADSHEET_TIMEOUT = httpx.Timeout(30.0, connect=5.0, read=960.0)
"""A spreadsheet comes when it is whole: as long as the gateway may write at one, and what comes around it."""

Json = dict[str, Any]
FINISHED_STATES = frozenset({"completed", "partial", "failed", "cancelled"})


class GatewayError(Exception):
    """The gateway gave no answer to use; the text is for people, one or two lines."""


class Unreachable(GatewayError):
    """Nobody answers at the address, or the answer broke off."""

    def __init__(self, url: str, cause: httpx.HTTPError) -> None:
        reason = "does not answer" if isinstance(cause, httpx.ConnectError) else f"broke off ({type(cause).__name__})"
        super().__init__(f"{url} {reason}; is `sluice demo` running, or does --url name another gateway?")


class Unreadable(GatewayError):
    """What came is not what a gateway sends, or its end is missing."""

    def __init__(self, url: str) -> None:
        super().__init__(f"{url} sent no whole answer; if it is a Sluice gateway, ask again")


class Problem(GatewayError):
    """The gateway answered with an error.

    Args:
        status: HTTP status.
        code: stable reason, for example CACHE_EXPIRED; empty where the body was no problem document.
        detail: for people.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{detail} ({code or f'HTTP {status}'})")
        self.status = status
        self.code = code
        self.detail = detail


class Gateway:
    """A connection to a gateway; leaving the context closes it.

    Args:
        url: base URL, for example `http://127.0.0.1:8080`.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # Where nothing is encrypted the certificates of the machine need not be read, which takes 50 ms.
        plain = httpx.URL(self.url).scheme == "http"
        self._http = httpx.Client(base_url=self.url, timeout=_TIMEOUT, trust_env=False, verify=not plain)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def datasets(self) -> list[Json]:
        """Return the definitions of all datasets, in name order."""
        found: list[Json] = self._json("GET", "/api/datasets")["datasets"]
        return found

    def dataset(self, name: str) -> Json:
        """Return the definition of one dataset."""
        return self._json("GET", f"/api/datasets/{name}")

    def health(self) -> Json:
        """Return how the whole is and what the gateway says of each part, well or not."""
        try:
            answer = self._http.get("/health")
        except httpx.HTTPError as error:
            raise Unreachable(self.url, error) from None
        return self._object(answer)

    def start(self, route: str, parameters: Mapping[str, object], view: str, *, no_cache: bool = False) -> Json:
        """Start a query and return at once with its state, or with its answer if that is there already.

        The view to be asked for later goes along, so that a wrong one is refused before the warehouse is read.

        Args:
            route: the dataset's path.
            parameters: primary parameters by name.
            view: what will be asked for.
            no_cache: have everything read again.
        """
        body = {**parameters, "views": [view]}
        headers = {"Prefer": "wait=0"} | ({"Cache-Control": "no-cache"} if no_cache else {})
        return self._json("POST", f"/api/{route}/query", json=body, headers=headers)

    def query(self, query_id: str) -> Json:
        """Return a query as it stands."""
        return self._json("GET", f"/api/queries/{query_id}")

    def withdraw(self, query_id: str) -> None:
        """Say that this caller no longer wants the query."""
        self._json("DELETE", f"/api/queries/{query_id}")

    def events(self, query_id: str) -> Iterator[Json]:
        """Yield the query whenever it changes, the final state last."""
        with self._stream("GET", f"/api/queries/{query_id}/events", headers={"Accept": "text/event-stream"}) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    def view(self, route: str, query_id: str, view: str, filters: Mapping[str, Sequence[str]], page_size: int) -> Json:
        """Return the whole answer for one view: receipt, columns, rows, and the page of a paged view."""
        query = _view_query(query_id, view, filters) | {"page_size": str(page_size)}
        return self._json("GET", f"/api/{route}/view", params=query)

    @contextmanager
    def rows(
        self, route: str, query_id: str, view: str, filters: Mapping[str, Sequence[str]], *, paged: bool
    ) -> Iterator[pa.RecordBatchReader]:
        """Give a reader over every row of a view; rows arrive while they are read. Receipt: schema metadata.

        Args:
            paged: whether the view is paged; then its rows come from the export, which has no pages.
        """
        query = _view_query(query_id, view, filters)
        path = f"/api/{route}/view"
        if paged:
            path, query = f"/api/{route}/export", query | {"format": "arrow"}
        with self._stream("GET", path, params=query, headers={"Accept": ARROW_STREAM}) as answer:
            try:
                with arrow.decode(answer.iter_bytes()) as reader:
                    yield reader
            except pa.ArrowInvalid:
                raise Unreadable(self.url) from None

    @contextmanager
    def spreadsheet(
        self, route: str, query_id: str, view: str, filters: Mapping[str, Sequence[str]]
    ) -> Iterator[tuple[Json, Iterator[bytes]]]:
        """Give the receipt and the pieces of a view's spreadsheet; the gateway sends it when it is whole."""
        query = _view_query(query_id, view, filters) | {"format": "xlsx"}
        with self._stream("GET", f"/api/{route}/export", params=query, timeout=_SPREADSHEET_TIMEOUT) as answer:
            yield json.loads(answer.headers.get("Sluice-Receipt", "{}")), answer.iter_bytes()

    def _json(self, method: str, path: str, **options: Any) -> Json:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unreachable(self.url, error) from None
        if answer.is_error:
            raise _problem(answer)
        return self._object(answer) if answer.content else {}

    def _object(self, answer: httpx.Response) -> Json:
        try:
            body = answer.json()
        except ValueError:
            raise Unreadable(self.url) from None
        if not isinstance(body, dict):
            raise Unreadable(self.url)
        return body

    @contextmanager
    def _stream(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        try:
            with self._http.stream(method, path, **options) as answer:
                if answer.is_error:
                    answer.read()
                    raise _problem(answer)
                yield answer
        except httpx.HTTPError as error:
            raise Unreachable(self.url, error) from None


def _view_query(query_id: str, view: str, filters: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {"query_id": query_id, "view": view} | {name: list(map(_whole, values)) for name, values in filters.items()}


def _whole(value: str) -> str:
    # In a query string a comma parts values and a bracket opens JSON, so such a value goes as a JSON list of one.
    return json.dumps([value]) if "," in value or value.startswith(("[", "{")) else value


def _problem(answer: httpx.Response) -> Problem:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    detail = str(body.get("detail") or body.get("title") or answer.reason_phrase or "the gateway refused")
    return Problem(answer.status_code, str(body.get("code", "")), detail)
