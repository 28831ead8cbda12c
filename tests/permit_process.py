"""A process that runs statements as fast as its permits let it, for tests that attack the cap.

    python -m tests.permit_process NAME COUNTER_PORT SEED (leases | fail-open REDIS_URL CAP)

It ends when its standard input does. `leases` is the lane, the permits and the settings of the product, with a server
whose clock a test may set.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import redis
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import RandomIds, SystemClock
from sluice_warehouse import Tag
from sluice_warehouse.errors import PermitsExhausted
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.permit_leases import Leases
from sluice_warehouse.permit_settings import PermitSettings, plan_of, terms_of
from sluice_warehouse.permits import LocalPermits, Permit, Permits, PermitsSnapshot, ProcessPermits
from sluice_warehouse.permits_redis import RedisLedger

from tests.statement_counter import COUNTED, SCHEMA, CounterWarehouse

THREADS: Final = 4
DEADLINE_S: Final = 4.0
CLOCK_KEY: Final = "clock-is-off-by-s"
"""Seconds by which the server's clock is off; a server that is emptied shows its own again."""
_TIME: Final = "redis.call('TIME')"
_SET_TIME: Final = f"{_TIME}\n  time[1] = time[1] + tonumber(redis.call('GET', '{CLOCK_KEY}') or 0)"


class FailOpenPermits:
    """What many would write: count in Redis, and carry on when Redis is away. Here to be caught.

    Args:
        url: of Redis.
        cap: of all processes.
    """

    available_count = 1

    def __init__(self, url: str, cap: int) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
        self._cap = cap

    def acquire(
        self, timeout_s: float, who: str, withdrawn: threading.Event | None = None, *, hold_s: float = 300.0
    ) -> Permit:
        try:
            if int(self._redis.incr("slots")) > self._cap:
                self._redis.decr("slots")
                raise PermitsExhausted(self._cap, 0)
        except redis.RedisError:
            return LocalPermits(1).acquire(0, who)
        return _Slot(self._redis)

    def snapshot(self) -> PermitsSnapshot:
        return PermitsSnapshot(self._cap, 1, 0, ())


class _Slot:
    until = float("inf")

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._released = False

    def covers(self, instant: float) -> bool:
        return True

    def when_lost(self, stop: Callable[[], None]) -> None:
        """It is never found out."""

    def release(self, *, confirmed: bool = True) -> None:
        if self._released:
            return
        self._released = True
        try:
            self._redis.decr("slots")
        except redis.RedisError:
            return

    def confirm_end(self) -> None:
        """There is no quarantine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class SetClockLedger(RedisLedger):
    """The product's ledger with its own script, at a server whose clock is off by as much as a key there says.

    Args:
        url: of Redis.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        script = str(self._script.script)
        assert script.count(_TIME) == 1, "the script asks for the time in another way"
        self._script = self._redis.register_script(script.replace(_TIME, _SET_TIME))


def leased_permits(name: str) -> ProcessPermits:
    """Return the permits that the product's settings give a process of this name."""
    settings = PermitSettings.load()
    plan = plan_of(settings)
    ledger = SetClockLedger(settings.redis_url)
    leases = Leases(name, terms_of(settings, plan), ledger, SystemClock(), RandomIds())
    return ProcessPermits(plan.share_of(name), leases, margin_s=settings.margin_s)


class _GaveUpError(Exception):
    pass


def work(lane: SlowLane, chance: random.Random, name: str) -> None:
    """Run one statement after the other and leave each in one of the ways readers are left."""
    tag = Tag(name, "counted", uuid.uuid4().hex[:8])
    pause = threading.Event()
    while True:
        binds = {
            "duration_ms": chance.choice((20, 50, 200, 400, 600, 5000 if chance.random() < 0.1 else 100)),
            "deaf_ms": chance.choice((0, 0, 50, 200)),
        }
        deadline_s = chance.choice((0.3, 1.0, DEADLINE_S))
        try:
            with lane.read(COUNTED, binds, schema=SCHEMA, deadline_s=deadline_s, tag=tag) as reading:
                way = chance.randrange(5)
                if way == 0:
                    continue
                if way == 1:
                    threading.Timer(0.05, reading.cancel).start()
                next(iter(reading))
                if way == 2:
                    raise _GaveUpError
        except (ServiceError, _GaveUpError):
            pause.wait(0.01)


def main(arguments: list[str]) -> None:
    """Work until standard input ends."""
    name, port, seed, kind, *rest = arguments
    permits: Permits = leased_permits(name) if kind == "leases" else FailOpenPermits(rest[0], int(rest[1]))
    lane = SlowLane(CounterWarehouse(int(port)), permits, permit_wait_s=1.0)
    for number in range(THREADS):
        chance = random.Random(f"{seed} {number}")
        threading.Thread(target=work, args=(lane, chance, name), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
