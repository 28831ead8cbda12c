"""Down and sideways: hot frames that are used least move to the spool, those that just came are copied to Redis."""

from __future__ import annotations

import threading
from concurrent.futures import Executor
from typing import Final

import structlog
from sluice_rpc.ports import Clock

from sluice_cache.calm import Calm
from sluice_cache.catalogue import Catalogue
from sluice_cache.frames import Frame, TierKind
from sluice_cache.tiers import Copy, CopyBroken, Tier, TierAway, TierFull
from sluice_cache.tiers.copies import Copies
from sluice_cache.tiers.encoded import EncodedCopy
from sluice_cache.tiers.landing import Tiers
from sluice_cache.tiers.redis import RedisTier

log = structlog.get_logger()

SHARE_PATIENCE_S: Final = 10.0
"""Compressing for the shared tier takes as much of a processor as the put itself; so long it gives way to puts."""


class Moves:
    """Moves copies between tiers where no reader waits for them.

    Args:
        catalogue: what is live.
        tiers: where copies lie.
        copies: opens and deletes them.
        behind: runs copies to the shared tier, so that no put waits for it.
        clock: decides what has expired.
        calm: says when nobody is in a hurry.
    """

    def __init__(
        self, catalogue: Catalogue, tiers: Tiers, copies: Copies, *, behind: Executor, clock: Clock, calm: Calm
    ) -> None:
        self._catalogue = catalogue
        self._memory = tiers.memory
        self._shared = tiers.shared
        self._spool = tiers.spool
        self._copies = copies
        self._behind = behind
        self._clock = clock
        self._calm = calm
        self._trimming = threading.Lock()

    def trim(self) -> None:
        """Move least recently used hot frames down, and give up oldest shared copies, until both fit their budgets."""
        with self._trimming:
            tokens = set(self._memory.overflow())
            for frame in self._catalogue.all() if tokens else []:
                if frame.copies.get(TierKind.MEMORY) in tokens:
                    self.demote(frame)
            if self._shared is not None:
                self._trim_shared(self._shared)

    def demote(self, frame: Frame) -> None:
        """Move a hot frame down; where the spool takes nothing, it goes."""
        token = frame.copies[TierKind.MEMORY]
        # A copy in Redis does not keep it: what is over Redis' own limit goes from there at any time.
        if frame.keep_until_time > self._clock.now() and TierKind.SPOOL not in frame.copies:
            copy = self._copies.read(self._memory, frame)
            if copy is not None:
                self._copy_to(self._spool, frame, copy)
        changed = self._catalogue.change(frame, lambda present: present.without_token(TierKind.MEMORY, token))
        if changed is not None and not changed.copies:
            self._copies.gone(changed)
        self._memory.delete(token)
        self._memory.evicted()

    def share(self, frame: Frame) -> None:
        """Have a hot frame copied to the shared tier, after its put was answered and while nobody waits for others."""
        if self._shared is not None:
            self._behind.submit(self._share, self._shared, frame, self._clock.monotonic() + SHARE_PATIENCE_S)

    def _share(self, shared: RedisTier, frame: Frame, until: float) -> None:
        self._calm.wait(max(0.0, until - self._clock.monotonic()))
        copy = self._copies.read(self._memory, frame)
        if isinstance(copy, EncodedCopy):
            self._keep(shared, frame, copy)
        elif copy is not None:
            self._copy_to(shared, frame, copy)
        self.trim()

    def _keep(self, shared: RedisTier, frame: Frame, copy: EncodedCopy) -> None:
        """Copy a compressed hot frame to the shared tier as it lies."""
        try:
            token = shared.keep(frame, copy.content)
        except TierAway as error:
            log.info("copy not kept", tier=shared.kind.name.lower(), frame_id=frame.frame_id, reason=str(error))
        else:
            self._copies.added(frame, shared, token)

    def _trim_shared(self, shared: RedisTier) -> None:
        """Give up the oldest copies that this process has in the shared tier until they fit its budget."""
        tokens = set(shared.overflow())
        for frame in self._catalogue.all() if tokens else []:
            if frame.copies.get(shared.kind) in tokens:
                self._copies.lose(shared, frame)
                shared.evicted()
                if self._catalogue.find(frame.frame_id) is None:
                    self._copies.gone(frame)

    def _copy_to(self, tier: Tier, frame: Frame, copy: Copy) -> None:
        """Copy a hot frame into a tier, unless the tier takes nothing."""
        try:
            writer = tier.create(frame.frame_id, frame.version, copy.schema)
            try:
                for batch in copy.batches():
                    writer.write(batch)
                token = writer.commit()
            finally:
                writer.abort()
        except CopyBroken as error:
            self._copies.broken(self._memory, frame, error)
        except (TierFull, TierAway, OSError) as error:
            # Also what the disk says to a file that is only begun: nobody's put fails since another frame cannot move.
            log.info("copy not kept", tier=tier.kind.name.lower(), frame_id=frame.frame_id, reason=str(error))
        else:
            self._copies.added(frame, tier, token)
