"""What ends a call or a connection of the stand-in.

OraError: a numbered error that the client gets to read; Disconnected: there is nobody to read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ENDS_SESSION: Final = frozenset({28, 600, 603, 1012, 1041, 1089, 1092, 2396, 3113, 3114, 3135})
"""Errors after which a server has no session any more; the driver drops its connection on each of them."""

_TEXTS: Final[Mapping[int, str]] = {
    18: "maximum number of sessions exceeded",
    28: "your session has been killed",
    603: "ORACLE server session terminated by fatal error",
    900: "invalid SQL statement",
    904: "invalid identifier",
    933: "SQL command not properly ended",
    942: "table or view does not exist",
    1001: "invalid cursor",
    1008: "not all variables bound",
    1012: "not logged on",
    1013: "user requested cancel of current operation",
    1017: "invalid username/password; logon denied",
    1031: "insufficient privileges",
    1436: "CONNECT BY loop in user data",
    1555: 'snapshot too old: rollback segment number 4 with name "_SYSSMU4$" too small',
    1652: "unable to extend temp segment by 128 in tablespace TEMP",
    1722: "invalid number",
    1795: "maximum number of expressions in a list is 1000",
    2391: "exceeded simultaneous SESSIONS_PER_USER limit",
    2396: "exceeded maximum idle time, please connect again",
    3001: "unimplemented feature",
    3113: "end-of-file on communication channel",
    3115: "unsupported network datatype or representation",
    3120: "two-task conversion routine: integer overflow",
    3135: "connection lost contact",
    4030: "out of process memory",
    12514: "listener does not currently know of service requested in connect descriptor",
    12516: "listener could not find available handler with matching protocol stack",
    28000: "The account is locked.",
}


class OraError(Exception):
    """An error with its ORA number; the session goes on unless the number ends it.

    Args:
        code: the number.
        text: what the client reads behind it; the usual words of the number unless given.
        position: offset into the statement, for errors that point at a place.
    """

    def __init__(self, code: int, text: str | None = None, *, position: int = 0) -> None:
        super().__init__(f"ORA-{code:05d}: {text or _TEXTS.get(code, 'error asked for by a fault rule')}")
        self.code = code
        self.position = position


class Disconnected(Exception):
    """The client went away, or a fault closed the connection."""


class MalformedRequest(Exception):
    """Bytes that are none of the requests this server knows; going on would lose step with the client."""
