"""For whom a request is answered: how long, under which name, and whether anybody still waits."""

from __future__ import annotations

import time
from dataclasses import dataclass

import grpc
import structlog
from sluice_rpc.deadline import remaining_s

from sluice_lineage.withdrawal import Withdrawal


@dataclass(frozen=True)
class Caller:
    """Who waits for an answer."""

    until: float
    """Monotonic second at which everything has to be there."""
    client_id: str
    """As the DBA sees it."""
    withdrawal: Withdrawal
    """Ends the wait for a permit and the running statement."""
    refresh: bool = False
    """Whether edges that were read before the request are of no use."""

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return max(0.0, self.until - time.monotonic())


def caller_of(context: grpc.ServicerContext, default_timeout_s: float, *, refresh: bool = False) -> Caller:
    """Return who calls; when the call ends before its answer does, it is withdrawn.

    Args:
        context: of the call.
        default_timeout_s: deadline of calls that bring none.
        refresh: whether edges that were read before are of no use.
    """
    withdrawal = Withdrawal()
    if not context.add_callback(withdrawal.withdraw):
        withdrawal.withdraw()
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    until = time.monotonic() + remaining_s(context, default_timeout_s)
    return Caller(until, str(request_id), withdrawal, refresh)
