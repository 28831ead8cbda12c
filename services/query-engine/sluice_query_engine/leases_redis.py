"""Leases in Redis, for several engines: each step one script, so that comparing and changing are one moment.

Lives are measured by the server's clock. The scripts are in `lua/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from sluice_query_engine.leases import (
    FENCE_KEY,
    Landed,
    Lease,
    LeasesAway,
    Sight,
    landed_key,
    lease_key,
    pending_key,
)
from sluice_query_engine.redis_link import RedisAway, RedisLink

_Answer = TypeVar("_Answer")
Script = Callable[..., object]


def load_script(link: RedisLink, name: str) -> Script:
    """Return a script of `lua/` as something to call with `keys` and `args`; the server is not asked yet."""
    text = (Path(__file__).parent / "lua" / f"{name}.lua").read_text(encoding="utf-8")
    return cast(Script, link.redis.register_script(text))


class RedisLeases:
    """The leases of all engines that share a Redis.

    Args:
        link: the connection; closed by whoever made it.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._take = load_script(link, "lease_take")
        self._renew = load_script(link, "lease_renew")
        self._release = load_script(link, "lease_release")
        self._land = load_script(link, "lease_land")
        self._announce = load_script(link, "pending_announce")
        self._list = load_script(link, "pending_list")

    @property
    def degraded(self) -> bool:
        return self._link.degraded

    def take(self, name: str, token: str, life_s: float) -> Lease | None:
        keys = [self._key(lease_key(name)), self._key(FENCE_KEY)]
        fence = self._ask(lambda: self._take(keys=keys, args=[token, _milliseconds(life_s)]))
        return None if fence is None else Lease(name, token, int(str(fence)))

    def renew(self, lease: Lease, life_s: float) -> bool:
        args = [_value(lease), _milliseconds(life_s)]
        return bool(self._ask(lambda: self._renew(keys=[self._key(lease_key(lease.name))], args=args)))

    def release(self, lease: Lease) -> None:
        self._ask(lambda: self._release(keys=[self._key(lease_key(lease.name))], args=[_value(lease)]))

    def land(self, lease: Lease, record: str, keep_s: float) -> bool:
        keys = [self._key(lease_key(lease.name)), self._key(landed_key(lease.name))]
        args = [_value(lease), lease.fence, record, _milliseconds(keep_s)]
        return bool(self._ask(lambda: self._land(keys=keys, args=args)))

    def look(self, name: str) -> Sight:
        def both() -> list[object]:
            with self._link.redis.pipeline(transaction=True) as pipe:
                pipe.exists(self._key(lease_key(name)))
                pipe.hmget(self._key(landed_key(name)), ["fence", "record"])
                return list(pipe.execute())

        held, noted = self._ask(both)
        fence, record = cast("list[str | None]", noted)
        landed = Landed(int(fence), record) if fence is not None and record is not None else None
        return Sight(bool(held), landed)

    def announce(self, subject: str, entries: Sequence[str], life_s: float) -> None:
        if entries:
            args = [_milliseconds(life_s), *entries]
            self._ask(lambda: self._announce(keys=[self._key(pending_key(subject))], args=args))

    def retract(self, subject: str, entries: Sequence[str]) -> None:
        if entries:
            self._ask(lambda: self._link.redis.zrem(self._key(pending_key(subject)), *entries))

    def announced(self, subject: str) -> list[str]:
        found = self._ask(lambda: self._list(keys=[self._key(pending_key(subject))]))
        return [str(entry) for entry in cast("list[object]", found)]

    def close(self) -> None:
        return

    def _key(self, name: str) -> str:
        return self._link.key(name)

    def _ask(self, call: Callable[[], _Answer]) -> _Answer:
        try:
            return self._link.ask(call)
        except RedisAway as error:
            raise LeasesAway from error


def _value(lease: Lease) -> str:
    return f"{lease.fence}:{lease.token}"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
