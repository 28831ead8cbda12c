"""The shared index in Redis: `frame:meta:*`, `frame:manifest:*`, and a set of frame ids per label pair, `extent:*`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import redis
import structlog
from sluice_rpc.ports import Clock

from sluice_cache.frames import Frame, TierKind, from_json, to_json
from sluice_cache.index import IndexUnavailable
from sluice_cache.redis_link import RedisLink
from sluice_cache.tiers import TierAway
from sluice_cache.tiers.redis import value_keys

log = structlog.get_logger()


MAX_MANIFEST_BYTES = 4 << 20
"""A manifest above this is not shared: Redis never gets a value that keeps its other callers waiting."""


class RedisIndex:
    """Frames that Redis or the spool holds, so that another process, or this one on a fresh disk, finds them.

    Every entry expires with what it names. While Redis is away nothing is found and nothing is written.
    """

    def __init__(self, link: RedisLink, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._put = link.script("frame_put")
        self._delete = link.script("frame_delete")

    def put_frame(self, frame: Frame) -> bool:
        shared = frame.without_copy(TierKind.MEMORY)
        if not shared.copies:
            return True
        sets = [self._label_key(pair) for pair in frame.labels.items()]
        values = value_keys(self._link.prefix, frame.copies.get(TierKind.REDIS, ":0"))
        keys = [self._frame_key(frame.frame_id), *sets, *values]
        given: list[str | int] = [to_json(shared), _ms(frame.keep_until_time), frame.version, len(sets), frame.frame_id]
        try:
            return bool(self._link.run(self._put, keys, *given))
        except TierAway as error:
            log.debug("index not written", reason=str(error))
            return True

    def get_frame(self, frame_id: str) -> Frame | None:
        content = self._get(self._frame_key(frame_id))
        return _frame(content) if content is not None else None

    def delete_frame(self, frame: Frame) -> None:
        keys = [self._frame_key(frame.frame_id), *(self._label_key(pair) for pair in frame.labels.items())]
        self._try(lambda client: self._delete(keys=keys, args=[frame.version, frame.frame_id], client=client))

    def find_frames(self, labels: Mapping[str, str]) -> list[Frame]:
        sets = [self._label_key(pair) for pair in labels.items()]

        def read(client: redis.Redis) -> list[object]:
            ids = sorted(_text(item) for item in client.sinter(sets))
            return client.mget([self._frame_key(item) for item in ids]) if ids else []  # type: ignore[return-value]

        try:
            found = [_frame(content) for content in self._link.call(read) if isinstance(content, bytes)]
        except TierAway:
            return []
        return [frame for frame in found if frame is not None and labels.items() <= frame.labels.items()]

    def put_manifest(self, manifest_id: str, content: bytes, keep_until_s: float) -> None:
        if len(content) > MAX_MANIFEST_BYTES:
            log.info("manifest not shared", manifest_id=manifest_id, bytes=len(content))
            self.delete_manifest(manifest_id)
            return
        self._try(lambda client: client.set(self._manifest_key(manifest_id), content, pxat=int(keep_until_s * 1000)))

    def get_manifest(self, manifest_id: str) -> bytes | None:
        return self._get(self._manifest_key(manifest_id))

    def delete_manifest(self, manifest_id: str) -> None:
        self._try(lambda client: client.unlink(self._manifest_key(manifest_id)))

    def all_frames(self) -> list[Frame]:
        def read(client: redis.Redis) -> list[object]:
            keys = list(client.scan_iter(match=f"{_escaped(self._link.prefix)}frame:meta:*", count=1000))
            return [client.get(key) for key in keys]

        try:
            found = [_frame(content) for content in self._link.call(read) if isinstance(content, bytes)]
        except TierAway as error:
            raise IndexUnavailable(str(error)) from error
        return [frame for frame in found if frame is not None]

    def _try(self, work: Callable[[redis.Redis], object]) -> None:
        try:
            self._link.call(work)
        except TierAway as error:
            log.debug("index not written", reason=str(error))

    def _get(self, key: str) -> bytes | None:
        try:
            content = self._link.call(lambda client: client.get(key))
        except TierAway:
            return None
        return content if isinstance(content, bytes) else None

    def _frame_key(self, frame_id: str) -> str:
        return f"{self._link.prefix}frame:meta:{frame_id}"

    def _manifest_key(self, manifest_id: str) -> str:
        return f"{self._link.prefix}frame:manifest:{manifest_id}"

    def _label_key(self, pair: tuple[str, str]) -> str:
        return f"{self._link.prefix}extent:{pair[0]}={pair[1]}"


def _frame(content: bytes) -> Frame | None:
    try:
        return from_json(content)
    except ValueError as error:
        log.warning("index entry ignored", reason=str(error))
        return None


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _escaped(prefix: str) -> str:
    return "".join(f"[{char}]" if char in "*?[]" else char for char in prefix)
