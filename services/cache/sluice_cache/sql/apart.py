"""Processes for statements that are not plain: each runs one call at a time and is ended when that does not end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import duckdb
import pyarrow as pa
import structlog
from sluice_rpc import arrow
from sluice_rpc.errors import QueryTimeout

from sluice_cache import binds
from sluice_cache.binds import Bind
from sluice_cache.errors import InvalidSql, MemoryPressure, UnreadRows
from sluice_cache.sql import apart_process as protocol
from sluice_cache.sql.call import Stopped
from sluice_cache.sql.place import CopyGone
from sluice_cache.tiers.memory import MappedCopy

log = structlog.get_logger()

_GOODBYE_S: Final = 5.0
_ENVIRONMENT: Final = {
    # Arrow's own allocator reserves a gibibyte at the first byte, which the system would count against the statement.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
}


@dataclass(frozen=True)
class Room:
    """What one call may take in a process of its own.

    Attributes:
        memory_bytes: of DuckDB, and of everything else above what the process takes idle.
        temp_bytes: disk to spill to.
        thread_count: of DuckDB.
    """

    memory_bytes: int
    temp_bytes: int
    thread_count: int


class Outside:
    """One process, idle or at one call's disposal."""

    has_native = False

    def __init__(self, spool_dir: Path, temp_dir: Path) -> None:
        self._temp_dir = temp_dir
        temp_dir.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-I", "-m", protocol.__name__, str(spool_dir.resolve()), str(temp_dir.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Nothing of this environment is a statement's business; a signal for this process is not for that one.
            env=_ENVIRONMENT,
            cwd=temp_dir,
            start_new_session=True,
        )
        self._stopped = False
        self._said = b""
        self._table: Iterator[bytes] = iter(())
        self.worn = False

    def begin(self, room: Room) -> None:
        """Take a call on."""
        self._ask(
            do="begin", memory_bytes=room.memory_bytes, temp_bytes=room.temp_bytes, thread_count=room.thread_count
        )

    def end(self) -> None:
        """End the call; the process can take the next unless it is worn."""
        self.worn = bool(self._ask(do="end")) or self.worn

    def stop(self) -> None:
        self._stopped = True
        self.worn = True
        self._process.kill()

    def map(self, name: str, copy: MappedCopy, path: Path) -> None:
        self._ask(do="map", name=name, path=str(path.resolve()))

    def view(self, name: str, sql: str) -> None:
        self._ask(do="view", name=name, sql=sql)

    def drop_view(self, name: str) -> None:
        """Nothing to do: all relations end with the call."""

    def unmap(self, name: str) -> None:
        """Nothing to do: all names end with the call."""

    def read(self, sql: str, bound: Mapping[str, Bind]) -> pa.RecordBatchReader:
        self._send(do="read", sql=sql, binds=binds.to_json(bound))
        self._table = self._pieces()
        return arrow.decode(self._table)

    def finish(self) -> None:
        # Arrow stops at the end of its stream; what is left is the word that the command is done.
        for _ in self._table:
            pass

    def plan(self, sql: str, bound: Mapping[str, Bind]) -> str:
        return self._ask(do="plan", sql=sql, binds=binds.to_json(bound))

    def broke(self) -> None:
        self.worn = True

    def close(self) -> None:
        """End the process and what it left on the disk."""
        self._process.kill()
        self._process.wait(_GOODBYE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                # What a killed process did not take is still in the pipe's buffer.
                with suppress(BrokenPipeError):
                    pipe.close()
        shutil.rmtree(self._temp_dir, ignore_errors=True)

    def _pieces(self) -> Iterator[bytes]:
        """Yield the pieces of a statement's table; until they are read to the end the process is of no other use."""
        self.worn = True
        while (piece := self._answer(protocol.PIECE)) is not None:
            yield piece
        self.worn = False

    def _ask(self, **command: Any) -> str:
        self._send(**command)
        self._answer()
        return self._said.decode()

    def _send(self, **command: Any) -> None:
        body = json.dumps(command).encode()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(protocol.LENGTH.pack(len(body)) + body)
            self._process.stdin.flush()
        except OSError:
            self._lost()

    def _answer(self, expected: bytes = b"") -> bytes | None:
        """Return a piece, or None when the command is done."""
        kind, body = self._received()
        if kind == protocol.DONE:
            self._said = body
            return None
        if kind == protocol.FAILED:
            failure = json.loads(body)
            # A refused command leaves the process as useful as before; a DuckDB that failed does not.
            self.worn = failure["kind"] == "broken"
            _raise(failure)
        if kind != expected:
            self._lost()
        return body

    def _received(self) -> tuple[bytes, bytes]:
        assert self._process.stdout is not None
        head = self._process.stdout.read(protocol.ANSWER.size)
        if len(head) < protocol.ANSWER.size:
            self._lost()
        kind, length = protocol.ANSWER.unpack(head)
        body = self._process.stdout.read(length)
        if len(body) < length:
            self._lost()
        return kind, body

    def _lost(self) -> NoReturn:
        self.worn = True
        if self._stopped:
            raise Stopped
        log.warning("statement process ended", code=self._process.poll())
        raise MemoryPressure


def _raise(failure: dict[str, str]) -> NoReturn:
    match failure["kind"]:
        case "memory":
            raise MemoryPressure
        case "gone":
            raise CopyGone
        case "broken":
            raise duckdb.InternalException(failure["message"])
        case "unread":
            raise UnreadRows(failure["message"])
        case _:
            raise InvalidSql(failure["message"])


class Apart:
    """A bounded number of processes, begun when they are first needed.

    Args:
        spool_dir: the folder whose files they may read.
        temp_dir: theirs alone.
        count: most at once; more calls wait for their turn within their deadline.
        room: the most that one call may take.
    """

    def __init__(self, spool_dir: Path, temp_dir: Path, *, count: int, room: Room) -> None:
        self.room = room
        self._spool_dir = spool_dir
        self._temp_dir = temp_dir
        self._turns = threading.BoundedSemaphore(count)
        # Guards the idle ones and the number that names folders.
        self._lock = threading.Lock()
        self._idle: list[Outside] = []
        self._begun = 0

    @contextmanager
    def lease(self, timeout_s: float, room: Room) -> Iterator[Outside]:
        """Hold a process; whoever leaves it busy has ended it.

        Raises:
            QueryTimeout: none came free in time.
        """
        if not self._turns.acquire(timeout=max(0.0, timeout_s)):
            raise QueryTimeout("no process for the statement came free in time")
        try:
            process = self._taken()
            try:
                process.begin(room)
                yield process
            finally:
                self._give_back(process)
        finally:
            self._turns.release()

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def _taken(self) -> Outside:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            self._begun += 1
            number = self._begun
        return Outside(self._spool_dir, self._temp_dir / f"apart-{number}")

    def _give_back(self, process: Outside) -> None:
        try:
            if not process.worn:
                process.end()
        except (Stopped, MemoryPressure):
            process.worn = True
        if process.worn:
            process.close()
            return
        with self._lock:
            self._idle.append(process)
