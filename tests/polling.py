"""Waiting in tests for what another process does: until a fact holds, never for a guessed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_S = 0.02


def poll_until(predicate: Callable[[], T], timeout_s: float, what: str = "") -> T:
    """Return the first truthy value of `predicate`; fails the test when none came within the time.

    Args:
        predicate: asked again and again; exceptions are not caught.
        timeout_s: how long, in seconds.
        what: what was waited for, for the failure's text.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or predicate} did not hold within {timeout_s} s; last value {value!r}")
        time.sleep(_PAUSE_S)
