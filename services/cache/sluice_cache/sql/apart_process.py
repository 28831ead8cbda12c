"""The process that statements run in which only the end of a process stops: `python -m sluice_cache.sql.apart_process`.

Commands come on standard input, each a length and one JSON object; answers leave on standard output, each a kind, a
length and a body. When standard input ends, so does the process, whatever it is doing. Memory beyond what a call was
given is refused by the system (RLIMIT_DATA), which DuckDB and Arrow turn into an error; mapped frames do not count.
"""

from __future__ import annotations

import json
import os
import queue
import re
import resource
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb
import pyarrow as pa
from sluice_rpc import arrow

from sluice_cache import binds, codec
from sluice_cache.errors import InvalidSql, UnreadRows
from sluice_cache.sql import place
from sluice_cache.sql.database import Database

LENGTH: Final = struct.Struct(">I")
ANSWER: Final = struct.Struct(">cI")

DONE: Final = b"d"
PIECE: Final = b"p"
FAILED: Final = b"f"

WORN_BYTES: Final = 96 << 20
"""Memory that earlier calls left behind, past which the process is replaced."""

SPILL_RATIO: Final = 0.5
"""Share of a call's memory past which DuckDB spills to disk."""

Command = dict[str, Any]


class Worker:
    """Carries out one command after the other.

    Args:
        spool_dir: the folder whose files may be read.
        temp_dir: where statements spill.
        out: takes the answers.
    """

    def __init__(self, spool_dir: Path, temp_dir: Path, out: BinaryIO) -> None:
        self._spool_dir = spool_dir
        self._temp_dir = temp_dir
        self._out = out
        self._database: Database | None = None
        self._shape: tuple[int, int, int] | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._fresh_bytes = 0
        self._commands: dict[str, Callable[[Command], str]] = {
            "begin": self._begin,
            "map": self._map,
            "view": self._view,
            "read": self._read,
            "plan": self._plan,
            "end": self._end,
        }

    def carry_out(self, command: Command) -> None:
        """Carry out a command and answer it."""
        try:
            said = self._commands[command["do"]](command)
        except OSError:
            self._fail("gone", "")
        except InvalidSql as error:
            self._refuse(type(error), error.violations[0].description)
        except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError):
            self._fail("memory", "")
        except place.BROKEN as error:
            self._fail("broken", place.first_line(error))
        except (duckdb.Error, pa.ArrowException) as error:
            self._refuse(place.refusal(error), place.first_line(error))
        else:
            self._send(DONE, said.encode())

    def _begin(self, command: Command) -> str:
        shape = (command["memory_bytes"], command["temp_bytes"], command["thread_count"])
        if self._shape != shape:
            if self._database is not None:
                self._database.close()
            self._database = Database(
                self._spool_dir,
                self._temp_dir,
                # What DuckDB does not count must fit too, so it begins to spill before the system refuses.
                memory_limit_bytes=int(shape[0] * SPILL_RATIO),
                temp_max_bytes=shape[1],
                thread_count=shape[2],
                connection_count=0,
            )
            self._shape = shape
        assert self._database is not None
        self._connection = self._database.connection()
        used = data_bytes()
        self._fresh_bytes = self._fresh_bytes or used
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (used + shape[0], hard))
        return ""

    def _map(self, command: Command) -> str:
        table, _ = codec.map_stream(Path(command["path"]))
        self._open().register(command["name"], table)
        return ""

    def _view(self, command: Command) -> str:
        place.view(self._open(), command["name"], command["sql"])
        return ""

    def _read(self, command: Command) -> str:
        reader = place.read(self._open(), command["sql"], binds.from_json(command["binds"]))
        try:
            for piece in arrow.encode(reader.schema, reader):
                self._send(PIECE, piece)
        finally:
            reader.close()
        return ""

    def _plan(self, command: Command) -> str:
        return place.plan(self._open(), command["sql"], binds.from_json(command["binds"]))

    def _end(self, command: Command) -> str:
        self._open().close()
        self._connection = None
        return "worn" if data_bytes() > self._fresh_bytes + WORN_BYTES else ""

    def _open(self) -> duckdb.DuckDBPyConnection:
        assert self._connection is not None
        return self._connection

    def _refuse(self, error: type[InvalidSql], message: str) -> None:
        self._fail("unread" if issubclass(error, UnreadRows) else "refused", message)

    def _fail(self, kind: str, message: str) -> None:
        self._send(FAILED, json.dumps({"kind": kind, "message": message}).encode())

    def _send(self, kind: bytes, body: bytes | memoryview) -> None:
        self._out.write(ANSWER.pack(kind, len(body)))
        self._out.write(body)
        self._out.flush()


def data_bytes() -> int:
    """Return the memory that RLIMIT_DATA counts, in bytes."""
    found = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found.group(1)) << 10


def _receive(source: BinaryIO, commands: queue.Queue[Command]) -> None:
    """Pass commands on; when no more can come nobody waits for what runs."""
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        commands.put(json.loads(source.read(length)))
    os._exit(0)


def main() -> None:
    """Work until standard input ends."""
    spool_dir, temp_dir = map(Path, sys.argv[1:3])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Nothing that is printed by mistake gets among the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    commands: queue.Queue[Command] = queue.Queue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, commands), daemon=True).start()
    worker = Worker(spool_dir, temp_dir, out)
    while True:
        worker.carry_out(commands.get())


if __name__ == "__main__":
    main()
