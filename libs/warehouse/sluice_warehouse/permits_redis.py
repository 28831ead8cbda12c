"""The ledger of leased permits in Redis: `permit:ledger`, one hash, and the script that alone writes it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sluice_warehouse.permit_leases import LedgerAway
from sluice_warehouse.permit_ledger import Reply, Request

LEDGER_KEY: Final = "permit:ledger"
TIMEOUT_S: Final = 0.5
"""Redis stands beside us; a ledger that needs longer is taken for away, and the shares carry on."""

_SCRIPT: Final = Path(__file__).with_name("permit_ledger.lua")


@dataclass(frozen=True)
class LeaseRow:
    """A leased permit as everybody can see it."""

    process: str
    who: str
    age_s: float
    left_s: float
    """Until its statement should have ended; negative when it should have and nothing was heard of it."""
    fence: int


@dataclass(frozen=True)
class ProcessRow:
    """A process that has a share, as it last showed itself."""

    process: str
    share: tuple[str, ...]
    """Who holds the permits of its share."""
    waiting_count: int
    silent_s: float
    """Since when it has said nothing, by the ledger's clock."""


@dataclass(frozen=True)
class LedgerPage:
    """The permits of all processes, for operators. Empty when the ledger is."""

    epoch: str
    granted_count: int
    """Leases granted or written in again in this epoch."""
    grace_left_s: float
    leases: tuple[LeaseRow, ...]
    processes: tuple[ProcessRow, ...]


class RedisLedger:
    """The ledger that all processes of a deployment share.

    Whatever goes wrong between us and Redis is `LedgerAway`: a time-out, a replica that refuses to write, a user who
    may not call `INFO`.

    Args:
        url: `redis://...`.
        prefix: put before the key; the deployment's own.
        timeout_s: longest wait for one answer.
        server_ms: stands for the server's clock, in tests; None asks the server.
        run: stands for the server's run, in tests.

    Raises:
        ValueError: the URL is none of Redis.
    """

    def __init__(
        self, url: str, *, prefix: str = "", timeout_s: float = TIMEOUT_S, server_ms: int | None = None, run: str = ""
    ) -> None:
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # A request repeated by the client could be answered as late, and its grant would be lost.
            retry=Retry(NoBackoff(), 0),
            max_connections=4,
        )
        self._key = prefix + LEDGER_KEY
        self._script = self._redis.register_script(_SCRIPT.read_text(encoding="utf-8"))
        self.server_ms = server_ms
        self.run = run

    def ask(self, request: Request) -> Reply:
        server_ms = "" if self.server_ms is None else str(self.server_ms)
        try:
            answer = self._script(keys=[self._key], args=[json.dumps(asdict(request)), server_ms, self.run])
        except redis.RedisError as error:
            raise LedgerAway(type(error).__name__) from error
        fields = json.loads(answer)
        return Reply(**{**fields, "lost": tuple(filter(None, fields.get("lost", "").split(",")))})

    def read(self) -> LedgerPage:
        """Return who holds and who waits, in all processes.

        Raises:
            LedgerAway: no answer in time.
        """
        try:
            stored: dict[Any, Any] = self._redis.hgetall(self._key)
        except redis.RedisError as error:
            raise LedgerAway(type(error).__name__) from error
        return _page({name.decode(): json.loads(value) for name, value in stored.items()})

    def empty(self) -> None:
        """Forget everything; what follows is a grace."""
        self._redis.delete(self._key)

    def close(self) -> None:
        self._redis.close()


def _page(stored: dict[str, Any]) -> LedgerPage:
    book = stored.get("book")
    if book is None:
        return LedgerPage("", 0, 0.0, (), ())
    now_ms = book["clock_ms"]
    leases = [entry for name, entry in stored.items() if name.startswith("lease:")]
    rows = [
        LeaseRow(
            *(entry["process"], entry["who"]),
            *((now_ms - entry["since_ms"]) / 1000, (entry["deadline_ms"] - now_ms) / 1000, entry["fence"]),
        )
        for entry in sorted(leases, key=lambda entry: int(entry["fence"]))
    ]
    processes = [
        # An empty list is an empty object in Lua's JSON.
        ProcessRow(name.removeprefix("process:"), tuple(seen["share"] or ()), seen["waiting_count"], silent_s)
        for name, seen in sorted(stored.items())
        if name.startswith("process:")
        for silent_s in [(now_ms - seen["seen_ms"]) / 1000]
    ]
    grace_left_s = max(0, book["grace_until_ms"] - now_ms) / 1000
    return LedgerPage(book["epoch"], book["fence"], grace_left_s, tuple(rows), tuple(processes))
