"""Where an Oracle warehouse is and as whom it is asked, read from a URL that holds no password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

EXPECTED: Final = "oracle://user@host:port/service"
_DEFAULT_PORT: Final = 1521


@dataclass(frozen=True)
class OracleAddress:
    """One service of one listener, and the user to log on as."""

    user: str
    host: str
    port: int
    service: str


def parse_address(url: str) -> OracleAddress:
    """Return the address that an `oracle://` URL names; the port is 1521 unless given.

    Raises:
        ValueError: a piece is missing, or there is more than these; the message repeats nothing of the URL.
    """
    parts = urlsplit(url)
    if parts.password is not None:
        # Refused rather than taken: URLs end up in process lists, logs and shell histories.
        raise ValueError(
            f"a warehouse URL holds no password; expected {EXPECTED},"
            " with SLUICE_WAREHOUSE_PASSWORD_FILE naming the file that holds it"
        )
    try:
        port = parts.port or _DEFAULT_PORT
    except ValueError:
        raise ValueError(f"the port of the warehouse URL is no number; expected {EXPECTED}") from None
    user, host = unquote(parts.username or ""), parts.hostname or ""
    service = unquote(parts.path.removeprefix("/"))
    if parts.scheme != "oracle" or not (user and host and service) or "/" in service or parts.query or parts.fragment:
        raise ValueError(f"this is no warehouse URL; expected {EXPECTED}")
    return OracleAddress(user, host, port, service)
