"""An attack on the cap: real processes, a real Redis that comes and goes, a network that fails, from one seed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import redis
from sluice_client.redis_server import RedisServer

from tests.partition_proxy import FAIR, PartitionProxy, Weather
from tests.permit_process import CLOCK_KEY
from tests.polling import poll_until
from tests.statement_counter import Count, StatementCounter

CAP: Final = 5
NAMES: Final = ("query-engine-1", "query-engine-2", "lineage")
HOLD_S: Final = 2.0
MARGIN_S: Final = 1.8
LONGEST_STOP_S: Final = 1.2
"""Below the margin: a statement cannot be ended while its process is stopped, and the margin bears that."""
_CLOCKS_OFF_BY_S: Final = (-86_400, -60, -2, 2, 60, 86_400)
_ROOT: Final = Path(__file__).resolve().parent.parent
_WEATHERS: Final = (
    Weather(latency_s=0.05),
    Weather(latency_s=0.4),
    Weather(latency_s=1.5),
    Weather(bytes_per_s=2000),
    Weather(slice_bytes=7),
    Weather(limit_bytes=1500),
    Weather(silent=True),
    Weather(refusing=True),
)


@dataclass
class Worker:
    """One process and its own line to Redis."""

    name: str
    proxy: PartitionProxy
    process: subprocess.Popen[bytes]
    stopped: bool = False


@dataclass
class Attack:
    """What runs, and what has been done to it."""

    redis_program: Path
    folder: Path
    chance: random.Random
    counter: StatementCounter
    server: RedisServer
    start_worker: Callable[[str, int], subprocess.Popen[bytes]]
    workers: list[Worker] = field(default_factory=list)
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    """What undoes a mishap, and when."""
    done: dict[str, int] = field(default_factory=dict)
    """How often each mishap was done."""

    def go_on(self, duration_s: float) -> Count:
        """Do mishaps for that long, each as often as any other, undo all, and return what the warehouse saw."""
        end = time.monotonic() + duration_s
        mishaps = [
            *(self.kill, self.stop, self.weather, self.weather, self.reset, self.flush, self.restart_redis),
            self.set_clock,
            *(self.cut_off_and_flush, self.stop_and_flush, self.cut_off_and_flush, self.stop_and_flush),
        ]
        deck: list[Callable[[], None]] = []
        while time.monotonic() < end:
            deck = deck or self.chance.sample(mishaps, len(mishaps))
            mishap = deck.pop()
            self.done[mishap.__name__] = self.done.get(mishap.__name__, 0) + 1
            mishap()
            # Now and then a calm that outlasts a grace, so that leases are there to be lost.
            calm_s = self.chance.choice((0.1, 0.3, 0.6, 2 * (HOLD_S + MARGIN_S)))
            self.wait(min(calm_s, max(0.0, end - time.monotonic())))
        for _, undo in self.later:
            undo()
        return self.counter.count

    def wait(self, seconds: float) -> None:
        """Let time pass and undo what is due."""
        until = time.monotonic() + seconds
        poll_until(lambda: self._undo_what_is_due() >= until, seconds + 30)

    def kill(self) -> None:
        """SIGKILL a process and start it again."""
        worker = self.chance.choice(self.workers)
        self._continue(worker)
        worker.process.kill()
        _reap(worker.process)
        worker.process = self.start_worker(worker.name, worker.proxy.port)

    def stop(self) -> None:
        """SIGSTOP a process for a while."""
        worker = self.chance.choice(self.workers)
        if not worker.stopped:
            worker.stopped = True
            worker.process.send_signal(signal.SIGSTOP)
            self._undo_after(self.chance.uniform(0.2, LONGEST_STOP_S), lambda: self._continue(worker))

    def weather(self) -> None:
        """Make the line between a process and Redis bad for a while."""
        proxy = self.chance.choice(self.workers).proxy
        proxy.turn(self.chance.choice(_WEATHERS))
        self._undo_after(self.chance.uniform(0.2, 3.0), lambda: proxy.turn(FAIR))

    def reset(self) -> None:
        """Cut the line between a process and Redis once."""
        self.chance.choice(self.workers).proxy.reset()

    def flush(self) -> None:
        """Empty Redis."""
        with redis.Redis.from_url(self.server.url) as client:
            client.flushall()

    def restart_redis(self) -> None:
        """Stop Redis and start it again, at once or after a while; it comes back empty."""
        port = self.server.port
        self.server.stop()
        self.wait(self.chance.choice((0.0, 0.5)))
        self.server = RedisServer(self.redis_program, self.folder, port)

    def set_clock(self) -> None:
        """Set the clock of Redis' machine, forward or back."""
        with redis.Redis.from_url(self.server.url) as client:
            client.set(CLOCK_KEY, self.chance.choice(_CLOCKS_OFF_BY_S))

    def cut_off_and_flush(self) -> None:
        """Empty Redis while two of three processes cannot tell it what they hold."""
        for worker in self.chance.sample(self.workers, 2):
            proxy = worker.proxy
            proxy.turn(Weather(silent=True))
            self._undo_after(self.chance.uniform(0.5, 2.0), lambda proxy=proxy: proxy.turn(FAIR))  # type: ignore[misc]
        self.flush()

    def stop_and_flush(self) -> None:
        """Empty Redis while two of three processes are stopped, so that the third one asks for everything."""
        self.stop()
        self.stop()
        self.flush()

    def close(self) -> None:
        """End every process and Redis."""
        for worker in self.workers:
            self._continue(worker)
            worker.process.kill()
            _reap(worker.process)
        self.server.stop()

    def _undo_after(self, seconds: float, undo: Callable[[], None]) -> None:
        self.later.append((time.monotonic() + seconds, undo))

    def _undo_what_is_due(self) -> float:
        now = time.monotonic()
        due = [item for item in self.later if item[0] <= now]
        self.later = [item for item in self.later if item[0] > now]
        for _, undo in due:
            undo()
        return now

    def _continue(self, worker: Worker) -> None:
        if worker.stopped:
            worker.stopped = False
            worker.process.send_signal(signal.SIGCONT)


@contextmanager
def attack(redis_program: Path, folder: Path, seed: int, *, fail_open: bool = False) -> Iterator[Attack]:
    """Give three processes that run statements under one cap, behind a proxy each, and afterwards end everything.

    Args:
        seed: of what the attack does; what the processes do depends on the machine too.
        fail_open: let them run the recipe that carries on when Redis is away.
    """
    with ExitStack() as closing:
        counter = closing.enter_context(StatementCounter(CAP))
        server = RedisServer(redis_program, folder)

        def start_worker(name: str, port: int) -> subprocess.Popen[bytes]:
            url = f"redis://127.0.0.1:{port}/0"
            kind = ["fail-open", url, str(CAP)] if fail_open else ["leases"]
            command = [sys.executable, "-m", "tests.permit_process", name, str(counter.port), str(seed), *kind]
            return subprocess.Popen(command, cwd=_ROOT, env=_environment(url), stdin=subprocess.PIPE)

        made = Attack(redis_program, folder, random.Random(seed), counter, server, start_worker)
        closing.callback(made.close)
        for name in NAMES:
            proxy = closing.enter_context(PartitionProxy(server.port))
            made.workers.append(Worker(name, proxy, start_worker(name, proxy.port)))
        yield made


def _environment(url: str) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "DB_"))}
    return {
        **kept,
        "SLUICE_PERMIT_CAP": str(CAP),
        "SLUICE_PERMIT_SHARES": ",".join(f"{name}=1" for name in NAMES),
        "SLUICE_PERMIT_REDIS_URL": url,
        "SLUICE_PERMIT_HOLD_S": str(HOLD_S),
        "SLUICE_PERMIT_MARGIN_S": str(MARGIN_S),
    }


def _reap(process: subprocess.Popen[bytes]) -> None:
    process.wait(10)
    if process.stdin is not None:
        process.stdin.close()
