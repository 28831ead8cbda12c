"""A stand-in for the Oracle server: speaks its wire protocol to the thin driver and reads the twin's file.

It proves transport, types, paging and faults, and nothing of Oracle's SQL; `docs/stand-in.md` says what it is not.
"""

from sluice_twin.oracle_wire.faults import FaultRule, Faults, FaultScriptError, FiredFault
from sluice_twin.oracle_wire.server import DEFAULT_PASSWORD, DEFAULT_SERVICE, DEFAULT_USER, OracleWireServer
from sluice_twin.oracle_wire.sessions import SessionRecord

__all__ = [
    "DEFAULT_PASSWORD",
    "DEFAULT_SERVICE",
    "DEFAULT_USER",
    "FaultRule",
    "FaultScriptError",
    "Faults",
    "FiredFault",
    "OracleWireServer",
    "SessionRecord",
]
