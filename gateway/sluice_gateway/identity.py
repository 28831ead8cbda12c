"""Who asks: the user named by a trusted proxy's header, else nobody in particular."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request

ANONYMOUS = "anonymous"
USER_KEY = "x-sluice-user"
"""gRPC metadata key that carries the user, percent-encoded UTF-8. The query engine shows it to the DBA."""

CLIENT_KEY = "x-sluice-client"
"""gRPC metadata key of whose requests are counted against rate limits: the user, or the address of who has no name."""

_NAME_CHARS = 128


@dataclass(frozen=True)
class Caller:
    """Who a request comes from."""

    user: str
    address: str = ""

    @property
    def client(self) -> str:
        """Whose requests are counted together: the user's, or those of the address of who has no name."""
        return self.address if self.user == ANONYMOUS else self.user

    @property
    def metadata(self) -> Sequence[tuple[str, str]]:
        """What is sent along with every gRPC call made for this caller."""
        client = self.client
        named = ((USER_KEY, quote(self.user, safe=" @._-")),)
        return (*named, (CLIENT_KEY, quote(client, safe=" @._-:"))) if client else named


class Identity:
    """Reads the caller of a request.

    Args:
        header: name of the proxy's header; empty makes everybody anonymous.
        trusted_proxies: peer addresses whose headers count; from anybody else they are ignored.
        address_header: name of the proxy's header with the client's address, the first of a list; empty for none.
    """

    def __init__(self, header: str, trusted_proxies: Sequence[str], address_header: str = "") -> None:
        self._header = header.strip().lower()
        self._trusted = frozenset(trusted_proxies)
        self._address_header = address_header.strip().lower()

    def of(self, request: Request) -> Caller:
        """Return the caller; anonymous unless a trusted proxy says otherwise."""
        peer = request.client.host if request.client else ""
        trusted = peer in self._trusted
        address = peer
        if trusted and self._address_header:
            address = request.headers.get(self._address_header, "").partition(",")[0].strip()[:_NAME_CHARS] or peer
        if not self._header or not trusted:
            return Caller(ANONYMOUS, address)
        name = request.headers.get(self._header, "").encode("latin-1").decode("utf-8", "replace").strip()
        printable = "".join(character for character in name if character.isprintable())
        return Caller(printable[:_NAME_CHARS] or ANONYMOUS, address)
