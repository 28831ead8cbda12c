"""What the numbers of Oracle (ORA) and of its driver (DPY) mean to callers; the one table of them.

No text of the driver leaves this module: it may hold SQL, values and addresses. Numbers do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import oracledb
import structlog
from sluice_rpc.errors import ServiceError

from sluice_warehouse.errors import (
    ContractBroken,
    PoolExhausted,
    StatementTimeout,
    WarehouseError,
    WarehouseUnavailable,
)

log = structlog.get_logger()

Meaning: TypeAlias = Literal["unavailable", "timeout", "contract", "pool", "refused"]

DRIVER_FAULTS: Final = (oracledb.Error, OSError, AttributeError)
"""What driver calls raise. AttributeError is the driver's own defect on a connection that broke under it."""

OTHER_FAULT: Final = 600
"""The number of faults that are none of Oracle's."""

WRONG_PASSWORD: Final = 1017
REFUSED_LOGONS: Final = frozenset({WRONG_PASSWORD, 28000, 28001})
"""Trying the same logon again helps nobody: a wrong password, a locked account, a password that has expired."""

_ORA: Final[Mapping[int, Meaning]] = {
    # The session is dead.
    **dict.fromkeys(
        (22, 28, 31, 45, 378, 602, 603, 609, 1012, 1041, 1043, 1089, 1092, 2396, 3113, 3114, 3122, 3135), "unavailable"
    ),
    **dict.fromkeys((12153, 12537, 12547, 12570, 12571, 12583, 27146, 28511, 56600), "unavailable"),
    # No session is to be had: limits, a listener that knows no such service now, a database that starts or stops.
    **dict.fromkeys((18, 19, 20, 2391, 1033, 1034, 1090, 12170, 12505, 12514, 12516, 12518), "unavailable"),
    **dict.fromkeys((12519, 12520, 12526, 12527, 12528, 12541, 12543, 12545, 12560, 12564), "unavailable"),
    # Ended from outside: a cancel that was none of ours, a limit of the resource manager, a call time limit.
    **dict.fromkeys((40, 1013, 2393, 56735), "timeout"),
    # A column of the statement is not there.
    904: "contract",
}
_DPY: Final[Mapping[int, Meaning]] = {
    1001: "unavailable",
    # The pool was replaced while somebody waited for one of its connections.
    1002: "unavailable",
    1080: "unavailable",
    2069: "contract",
    4005: "pool",
    4011: "unavailable",
    4024: "timeout",
    3030: "contract",
    3038: "contract",
    3042: "contract",
    **dict.fromkeys(range(4034, 4043), "contract"),
    **dict.fromkeys(range(6000, 6010), "unavailable"),
    8002: "contract",
}
_OTHER_COLUMNS: Final = frozenset({2069, 3030, 3038, 3042})
"""The driver was asked for other columns or types than the statement has by now."""
_DPY_INTERNAL: Final = range(5000, 6000)
"""The driver lost its place in what the server sends; nothing more can be said over this connection."""

_DPY_CODE: Final = re.compile(r"DPY-(\d{4})")
_SIMILAR: Final = re.compile(r"Similar to ORA-(\d{5})")
_INVALID_IDENTIFIER: Final = re.compile(r'(?:"[^"]*"\.)*"([^"]*)": invalid identifier')


def ora_number(error: BaseException) -> int:
    """Return the number Oracle gives the fault, or that thin mode says it is like; 0 where it has none."""
    fault = _fault(error)
    if fault is None:
        return 0
    if fault.code:
        return int(fault.code)
    similar = _SIMILAR.search(fault.message or "")
    return int(similar[1]) if similar else 0


def dpy_number(error: BaseException) -> int:
    """Return the number the driver gives the fault; 0 where it has none."""
    fault = _fault(error)
    code = _DPY_CODE.match(fault.full_code or "") if fault is not None else None
    return int(code[1]) if code else 0


def server_said(error: BaseException) -> bool:
    """Return whether the fault came as a message of the server, so that the statement has surely ended there."""
    fault = _fault(error)
    if fault is None:
        return False
    return bool(fault.code) or meaning_of(error) not in ("unavailable", "pool")


def columns_changed(error: BaseException) -> bool:
    """Return whether the columns are not those that were described before."""
    return dpy_number(error) in _OTHER_COLUMNS


def meaning_of(error: BaseException) -> Meaning:
    """Return what a fault of the driver means to whoever asked."""
    if not isinstance(error, oracledb.Error):
        return "unavailable"
    ora, dpy = ora_number(error), dpy_number(error)
    if ora in _ORA:
        return _ORA[ora]
    if dpy in _DPY:
        return _DPY[dpy]
    return "unavailable" if dpy in _DPY_INTERNAL else "refused"


def translated(error: BaseException, part: str, deadline_s: float, suspect: str = "") -> ServiceError:
    """Return what callers get for a fault of the driver, and note its numbers.

    Args:
        error: what the driver raised.
        part: name of the statement, or of what was done.
        deadline_s: of the statement.
        suspect: column that a fault of a value is laid to, where the driver does not say.
    """
    ora, dpy, meaning = ora_number(error), dpy_number(error), meaning_of(error)
    log.warning(
        "warehouse fault", statement=part, ora=ora or None, dpy=dpy or None, meaning=meaning, fault=type(error).__name__
    )
    match meaning:
        case "unavailable":
            return WarehouseUnavailable()
        case "timeout":
            return StatementTimeout(part, deadline_s)
        case "pool":
            return PoolExhausted(0, 0)
        case "contract" if ora == 904:
            return ContractBroken(_named(error), part, "is not there")
        case "contract":
            return ContractBroken(suspect or "?", part, "holds a value or a type that its declared type cannot hold")
    return WarehouseError(ora or OTHER_FAULT)


def no_session(error: BaseException, waited_s: float) -> ServiceError:
    """Return what callers get for a fault that kept a session from being made, and note its numbers."""
    fault = translated(error, "logon", waited_s)
    # No statement ran, so none ran out of time: the warehouse did not answer.
    return WarehouseUnavailable() if isinstance(fault, StatementTimeout) else fault


def _named(error: BaseException) -> str:
    fault = _fault(error)
    found = _INVALID_IDENTIFIER.search(fault.message or "") if fault is not None else None
    return found[1].lower() if found else "?"


def _fault(error: BaseException) -> oracledb._Error | None:
    if isinstance(error, oracledb.Error) and error.args and isinstance(error.args[0], oracledb._Error):
        return error.args[0]
    return None
