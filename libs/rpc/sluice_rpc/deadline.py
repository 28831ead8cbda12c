"""What remains of the caller's deadline, and whether the caller is still there."""

from __future__ import annotations

import grpc

_NO_DEADLINE_S = 10_000_000.0
"""grpc reports about a century where the caller set no deadline."""


def remaining_s(context: grpc.ServicerContext, default_s: float) -> float:
    """Return the seconds left for this call; `default_s` where the caller set no deadline. Never negative."""
    left = context.time_remaining()
    if left is None or left > _NO_DEADLINE_S:
        return default_s
    return max(0.0, float(left))
