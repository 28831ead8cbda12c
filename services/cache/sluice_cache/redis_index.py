"""The shared index in Redis: `frame:meta:*`, `frame:manifest:*`, and a set of frame ids per label pair, `extent:*`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import redis
import structlog
from sluice_rpc.ports import Clock

from sluice_cache.frames import Frame, TierKind, from_json, to_json
from sluice_cache.index import IndexUnavailable
from sluice_cache.tiers import TierAway
from sluice_cache.tiers.redis import RedisLink, value_keys

log = structlog.get_logger()


class RedisIndex:
    """Frames that Redis or the spool holds, so that another process, or this one on a fresh disk, finds them.

    Every entry expires with what it names. While Redis is away nothing is found and nothing is written.
    """

    def __init__(self, link: RedisLink, clock: Clock) -> None:
        self._link = link
        self._clock = clock

    def put_frame(self, frame: Frame) -> None:
        shared = frame.without_copy(TierKind.MEMORY)
        if not shared.copies:
            return
        expires_ms = _ms(frame.keep_until_time)
        now_ms = _ms(self._clock.now())
        sets = [self._label_key(pair) for pair in frame.labels.items()]

        def write(client: redis.Redis) -> None:
            first = client.pipeline(transaction=False)
            first.set(self._frame_key(frame.frame_id), to_json(shared), pxat=expires_ms)
            for key in sets:
                first.sadd(key, frame.frame_id)
            for key in sets:
                first.pttl(key)
            answers = first.execute()
            left = answers[len(answers) - len(sets) :]
            second = client.pipeline(transaction=False)
            for key, left_ms in zip(sets, left, strict=True):
                # A set lives as long as its longest-lived member; `GT` would do this, but only from Redis 7 on.
                if left_ms < expires_ms - now_ms:
                    second.pexpireat(key, expires_ms)
            for key in value_keys(self._link.prefix, frame.copies.get(TierKind.REDIS, ":0")):
                second.pexpireat(key, expires_ms)
            second.execute()

        self._try(write)

    def get_frame(self, frame_id: str) -> Frame | None:
        content = self._get(self._frame_key(frame_id))
        return _frame(content) if content is not None else None

    def delete_frame(self, frame: Frame) -> None:
        def write(client: redis.Redis) -> None:
            pipeline = client.pipeline(transaction=False)
            pipeline.unlink(self._frame_key(frame.frame_id))
            for pair in frame.labels.items():
                pipeline.srem(self._label_key(pair), frame.frame_id)
            pipeline.execute()

        self._try(write)

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
