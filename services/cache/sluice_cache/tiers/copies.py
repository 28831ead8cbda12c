"""The copies of frames, wherever they lie: opened, given up, deleted, with the catalogue told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import structlog

from sluice_cache.catalogue import Catalogue
from sluice_cache.frames import Frame, TierKind
from sluice_cache.tiers import Copy, CopyBroken, Tier, TierAway
from sluice_cache.tiers.landing import Tiers

log = structlog.get_logger()


class Copies:
    """What the catalogue says of copies, and what the tiers have of them.

    Args:
        catalogue: what is live.
        tiers: where the copies lie.
    """

    def __init__(self, catalogue: Catalogue, tiers: Tiers) -> None:
        self._catalogue = catalogue
        self._tiers = tiers
        self._dropped: list[Callable[[Frame], None]] = []

    def on_drop(self, told: Callable[[Frame], None]) -> None:
        """Have a function called with every frame that is deleted or replaced."""
        self._dropped.append(told)

    def read(self, tier: Tier, frame: Frame) -> Copy | None:
        """Open a frame's copy in a tier; None when there is none. One that is broken is given up."""
        if tier.kind not in frame.copies:
            return None
        try:
            copy = tier.open(frame)
        except TierAway:
            return None
        except CopyBroken as error:
            self.broken(tier, frame, error)
            return None
        if copy is None:
            self.lose(tier, frame)
        return copy

    def examine(self, frame: Frame) -> None:
        """Give up a hot copy that is broken, before it is asked for."""
        try:
            self._tiers.memory.examine(frame)
        except CopyBroken as error:
            self.broken(self._tiers.memory, frame, error)

    def broken(self, tier: Tier, frame: Frame, error: Exception) -> None:
        """Give up a copy that is not what its frame says."""
        log.warning("copy dropped", tier=tier.kind.name.lower(), frame_id=frame.frame_id, reason=str(error))
        self.lose(tier, frame)

    def lose(self, tier: Tier, frame: Frame) -> None:
        """Give up a frame's copy in a tier; another that took its place meanwhile stays."""
        token = frame.copies[tier.kind]
        self._catalogue.change(frame, partial(Frame.without_token, tier=tier.kind, token=token))
        tier.delete(token)

    def added(self, frame: Frame, tier: Tier, token: str) -> Frame | None:
        """Enter a new copy and return the frame with it; None when the frame is gone, and the copy with it."""
        changed = self._catalogue.change(frame, partial(Frame.with_copy, tier=tier.kind, token=token))
        if changed is None:
            tier.delete(token)
        return changed

    def remove(self, frame_id: str) -> None:
        """Forget a frame and delete its copies; removing what is not there succeeds."""
        frame = self._catalogue.delete(frame_id)
        if frame is not None:
            self.forget(frame)

    def gone(self, frame: Frame) -> None:
        """Forget a frame that has no copy left."""
        log.warning("no copy of the frame is left", frame_id=frame.frame_id)
        self.remove(frame.frame_id)

    def forget(self, frame: Frame) -> None:
        """Delete the copies of a frame that the catalogue no longer has, and tell whoever made something of it."""
        self.delete(frame)
        for told in self._dropped:
            told(frame)

    def delete(self, frame: Frame) -> None:
        """Delete a frame's copies; nobody is told."""
        for tier in self._all():
            if tier.kind in frame.copies:
                tier.delete(frame.copies[tier.kind])

    def forget_lost(self, there: set[str]) -> None:
        """Forget copies on this machine's disks that are not there any more, and frames that have no other."""
        for frame in self._catalogue.all():
            lost = [kind for kind, token in frame.copies.items() if kind is not TierKind.REDIS and token not in there]
            for kind in lost:
                self._catalogue.change(frame, partial(Frame.without_copy, tier=kind))
            if len(lost) == len(frame.copies):
                self._catalogue.delete(frame.frame_id)

    def _all(self) -> Iterator[Tier]:
        yield self._tiers.memory
        if self._tiers.shared is not None:
            yield self._tiers.shared
        yield self._tiers.spool
