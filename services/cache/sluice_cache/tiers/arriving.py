"""A copy on its way from the shared tier: whoever asks for it has what came so far, and waits for the rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from sluice_cache.frames import Frame, TierKind
from sluice_cache.tiers.redis import CheckedValues


class Arriving:
    """The values of a copy as they come, for as many readers as there are, each at its own pace.

    Args:
        frame: whose copy it is.
        values: of the copy; one thread calls `receive`.
    """

    def __init__(self, frame: Frame, values: CheckedValues) -> None:
        self.frame = frame
        self._coming = values
        # Guards the fields below; notified of each change.
        self._changed = threading.Condition()
        self._values: list[bytes] = []
        self._ended = False
        self._error: BaseException | None = None

    @property
    def crc(self) -> int:
        """CRC-32 of what `receive` gave so far."""
        return self._coming.crc

    def receive(self) -> Iterator[bytes]:
        """Yield the values after showing them to the readers.

        Raises:
            CopyBroken, TierAway: they are not those that were written, or cannot be had.
        """
        for value in self._coming:
            with self._changed:
                self._values.append(value)
                self._changed.notify_all()
            yield value

    def end(self, error: BaseException | None) -> None:
        """Tell the readers that nothing more comes, and what went wrong."""
        with self._changed:
            self._ended = True
            self._error = error
            self._changed.notify_all()

    def first(self) -> bytes:
        """Return the first value once readers may have it; raises what went wrong before that.

        Values are passed on as they come where each is compared with a sum of its own, and where no other copy could
        answer instead if a later one is missing.
        """
        prompt = self._coming.each_summed and set(self.frame.copies) == {TierKind.REDIS}
        with self._changed:
            self._changed.wait_for(lambda: self._ended or (prompt and bool(self._values)))
            if self._ended and self._error is not None:
                raise self._error
            return self._values[0]

    def wait(self) -> None:
        """Wait for its end, good or bad."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended)

    def __iter__(self) -> Iterator[bytes]:
        """Yield all values; raises what went wrong after those that came before."""
        position = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda at=position: self._ended or len(self._values) > at)  # type: ignore[misc]
                if position == len(self._values):
                    if self._error is not None:
                        raise self._error
                    return
                value = self._values[position]
            position += 1
            yield value
