"""A proxy that shows the gateway under a prefix, as plants put tools beside each other on one host."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})
_PIECE_BYTES = 65_536
_TIMEOUT_S = 120.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    port: int
    prefix: str
    strays: list[str]

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def do_DELETE(self) -> None:
        self._forward()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing; what a test wants to know it asks the page."""

    def handle(self) -> None:
        """Serve a connection; a browser that leaves in the middle of an answer is no fault."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.startswith(f"{self.prefix}/"):
            self.strays.append(self.path)
            self.send_error(404)
            return
        behind = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_HEADERS}
            behind.request(self.command, self.path.removeprefix(self.prefix), body, headers)
            self._answer(behind.getresponse())
        finally:
            behind.close()

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_HEADERS:
                self.send_header(name, value)
        bodiless = answer.status in (204, 304)
        if not bodiless:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not bodiless:
            # What has come so far, so that progress is seen as it is made; an empty piece ends the body.
            piece = answer.read1(_PIECE_BYTES)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
            if not piece:
                return


@contextmanager
def proxied(port: int, prefix: str) -> Iterator[tuple[int, list[str]]]:
    """Give the port of a proxy before the gateway's, and the paths outside of the prefix that it was asked for.

    Args:
        port: the gateway's, on loopback.
        prefix: `/tools/sluice`; it is cut off before the gateway sees the path.
    """
    strays: list[str] = []
    handler = type("Handler", (_Handler,), {"port": port, "prefix": prefix, "strays": strays})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, name="prefix-proxy")
    serving.start()
    try:
        yield server.server_address[1], strays
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
