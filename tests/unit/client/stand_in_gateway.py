"""A gateway for unit tests: answers from a table of canned responses over real HTTP, and remembers what was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Canned:
    """One response."""

    status: int
    body: bytes
    content_type: str = "application/json"


def canned(body: Any, status: int = 200) -> Canned:
    """Return a JSON response."""
    return Canned(status, json.dumps(body).encode())


def problem(status: int, code: str, detail: str) -> Canned:
    """Return a problem document."""
    body = json.dumps({"status": status, "code": code, "detail": detail, "title": "A problem"}).encode()
    return Canned(status, body, "application/problem+json")


def events(states: Sequence[Any]) -> Canned:
    """Return a stream of server-sent events, comments in between."""
    text = "".join(f": still there\n\nevent: progress\ndata: {json.dumps(state)}\n\n" for state in states)
    return Canned(200, text.encode(), "text/event-stream")


@dataclass
class StandIn:
    """Responses by `METHOD /path`, each used in turn and the last one for ever; requests as they came."""

    responses: dict[str, list[Canned]]
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, target: str) -> Canned:
        """Return the next response for a request."""
        self.asked.append(f"{method} {target}")
        queue = self.responses[f"{method} {target.partition('?')[0]}"]
        return queue.pop(0) if len(queue) > 1 else queue[0]


@contextmanager
def stand_in_gateway(responses: dict[str, list[Canned]]) -> Iterator[StandIn]:
    """Give a stand-in that listens on loopback."""
    stand_in = StandIn(responses)

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            response = stand_in.answer(self.command, self.path)
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_POST = do_DELETE = _reply

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield stand_in
        finally:
            server.shutdown()
            thread.join()
