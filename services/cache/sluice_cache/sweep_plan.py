"""Which files of the spool go: decided from a listing, the pointers beside the files and what the index names. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sluice_cache.frames import Frame
from sluice_cache.tiers.spool_folder import Listed, data_of, pointer_of

TEMPORARY_GRACE = timedelta(days=1)
"""A put waits as long as its caller takes; a private file this old is of a process that never came back."""
FOREIGN_GRACE = timedelta(days=30)
"""A pointer that a newer release wrote is that release's to sweep; past this there is none that does."""


@dataclass(frozen=True)
class Doomed:
    """What goes.

    Attributes:
        expired: data files whose pointer says that their time is over, or of which a newer version stands.
        orphans: data files that nothing names and that have no pointer, a damaged one, or one that nobody has been able
            to read for a month; and private files of processes that never came back.
        dead_pointers: pointers whose data file is gone.
    """

    expired: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    dead_pointers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spooled:
    """What is known of the spool at one moment.

    Attributes:
        listed: its files.
        pointers: per data file that has a readable pointer, the frame it tells of.
        damaged: data files whose pointer is no pointer of any release.
        frames: what the index, and this process, know to be live.
    """

    listed: Collection[Listed]
    pointers: Mapping[str, Frame]
    frames: Collection[Frame]
    damaged: Collection[str] = ()


def doomed(spooled: Spooled, held: Callable[[str], bool], now: datetime, grace: timedelta) -> Doomed:
    """Return what goes.

    Args:
        spooled: what is there; frames must be read after the listing, so that a file named in between counts as named.
        held: whether the asking process holds a file itself, named or not.
        now: the present instant.
        grace: how long after its last change, or its expiry, a file is left to whoever may be about to name it.
    """
    data = {item.name for item in spooled.listed if item.is_data}
    named = {token for frame in spooled.frames for token in frame.copies.values()}
    newest = _newest([*spooled.frames, *spooled.pointers.values()])
    pointed = {*spooled.pointers, *_foreign(spooled, now, grace)}
    old = [item for item in spooled.listed if now - item.changed_time >= grace]
    free = [item for item in old if item.name not in named and not held(item.name)]
    return Doomed(
        expired=_names(
            item for item in free if item.is_data and _over(spooled.pointers.get(item.name), now - grace, newest)
        ),
        orphans=_names(
            item
            for item in free
            if (item.is_data and item.name not in pointed)
            or (item.is_temporary and now - item.changed_time >= TEMPORARY_GRACE)
        ),
        dead_pointers=_names(item for item in old if item.is_pointer and data_of(item.name) not in data),
    )


def pointers_of(listed: Iterable[Listed]) -> list[str]:
    """Return the data files that have a pointer, readable or not."""
    there = {item.name for item in listed}
    return sorted(item.name for item in listed if item.is_data and pointer_of(item.name) in there)


def _foreign(spooled: Spooled, now: datetime, grace: timedelta) -> set[str]:
    """Return the data files whose pointers this release cannot read and leaves to whoever wrote them."""
    changed = {data_of(item.name): item.changed_time for item in spooled.listed if item.is_pointer}
    left = {name: grace if name in spooled.damaged else max(grace, FOREIGN_GRACE) for name in changed}
    return {name for name, time in changed.items() if name not in spooled.pointers and now - time < left[name]}


def _newest(frames: Iterable[Frame]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for frame in frames:
        newest[frame.frame_id] = max(frame.version, newest.get(frame.frame_id, frame.version))
    return newest


def _over(frame: Frame | None, latest: datetime, newest: Mapping[str, int]) -> bool:
    return frame is not None and (frame.keep_until_time <= latest or newest[frame.frame_id] > frame.version)


def _names(items: Iterable[Listed]) -> tuple[str, ...]:
    return tuple(sorted(item.name for item in items))
