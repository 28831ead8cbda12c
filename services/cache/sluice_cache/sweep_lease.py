"""The right to sweep a spool now: of all processes that share one, one at a time has it."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from sluice_cache.redis_link import RedisLink
from sluice_cache.tiers import TierAway

LEASE_S = 120
"""Longer than a sweep takes between two looks at its lease; so long nobody sweeps after a sweeper has died."""


StillHeld = Callable[[], bool]
"""Says, and makes sure for another while, that the lease is still the holder's."""


class SweepLease(Protocol):
    """Gives the right to sweep."""

    def hold(self) -> AbstractContextManager[StillHeld | None]:
        """Hold the lease while inside; None when another process has it, or when that cannot be known."""
        ...


class FileLease:
    """The lease of a folder of this machine; the kernel gives it back however the process ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self) -> Iterator[StillHeld | None]:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            yield None
            return
        try:
            yield lambda: True
        finally:
            os.close(descriptor)


class RedisLease:
    """The lease of a spool that several machines see; ends by itself `LEASE_S` after its holder's last sign of life.

    Args:
        link: when it is away nobody sweeps.
        spool: identity of the spool, the same in all processes that share it.
        token: names the holder; random unless given.
    """

    def __init__(self, link: RedisLink, spool: str, token: str = "") -> None:
        self._link = link
        self._key = f"{link.prefix}frame:sweep:{spool}"
        self._token = token or secrets.token_hex(16)
        self._renew = link.script("sweep_renew")
        self._release = link.script("sweep_release")

    @contextmanager
    def hold(self) -> Iterator[StillHeld | None]:
        try:
            taken = self._link.call(lambda client: client.set(self._key, self._token, nx=True, ex=LEASE_S))
        except TierAway:
            taken = None
        if not taken:
            yield None
            return
        try:
            yield self._still_held
        finally:
            with suppress(TierAway):
                self._link.run(self._release, [self._key], self._token)

    def _still_held(self) -> bool:
        try:
            return bool(self._link.run(self._renew, [self._key], self._token, LEASE_S))
        except TierAway:
            return False
