"""Who asks: the user named by a trusted proxy's header, else nobody in particular."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request

ANONYMOUS = "anonymous"
USER_KEY = "x-sluice-user"
"""gRPC metadata key that carries the user, percent-encoded UTF-8. The query engine shows it to the DBA."""

_NAME_CHARS = 128


@dataclass(frozen=True)
class Caller:
    """Who a request comes from."""

    user: str

    @property
    def metadata(self) -> Sequence[tuple[str, str]]:
        """What is sent along with every gRPC call made for this caller."""
        return ((USER_KEY, quote(self.user, safe=" @._-")),)


class Identity:
    """Reads the caller of a request.

    Args:
        header: name of the proxy's header; empty makes everybody anonymous.
        trusted_proxies: peer addresses whose header counts; from anybody else it is ignored.
    """

    def __init__(self, header: str, trusted_proxies: Sequence[str]) -> None:
        self._header = header.strip().lower()
        self._trusted = frozenset(trusted_proxies)

    def of(self, request: Request) -> Caller:
        """Return the caller; anonymous unless a trusted proxy says otherwise."""
        peer = request.client.host if request.client else ""
        if not self._header or peer not in self._trusted:
            return Caller(ANONYMOUS)
        name = request.headers.get(self._header, "").encode("latin-1").decode("utf-8", "replace").strip()
        printable = "".join(character for character in name if character.isprintable())
        return Caller(printable[:_NAME_CHARS] or ANONYMOUS)
