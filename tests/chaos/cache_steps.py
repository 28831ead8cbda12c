"""Kills a cache between any two steps of what it does to its disk, in real processes; prints what it finds after each.

`python -m tests.chaos.cache_steps FOLDER DEED` forks for every step: one process does the deed and is killed by SIGKILL
before its n-th step, the next starts on what is left, sweeps, reads, and prints one JSON line. Forking saves the second
that starting Python takes. A step is a write, a rename, a removal, a sync or a change of times below the folder.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from sluice_cache.bootstrap import Process, build
from sluice_cache.frames import Frame
from sluice_cache.settings import Settings
from sluice_cache.tiers.opened import Ending
from sluice_rpc.errors import NotFound
from sluice_rpc.ports import FakeClock

from tests.faulty_disk import faulty_disk

NOW = datetime.now(UTC)
OLD = list(range(3000))
NEW = list(range(5000, 9000))
MAX_STEPS = 400
_AUDITED = {"open", "os.rename", "os.remove", "os.utime"}


def main(root: Path, deed: str) -> None:
    """Do the deed again and again, each time killed one step later, until it gets through."""
    # The first array of a process imports pandas, which takes as long as ten steps: here, not in every fork.
    pa.array(OLD, pa.int64())
    for number in range(MAX_STEPS):
        folder = root / str(number)
        killed = _run(lambda folder=folder, number=number: _do(folder, deed, number))  # type: ignore[misc]
        found_by = _run(lambda folder=folder, killed=killed: _look(folder, killed=killed))  # type: ignore[misc]
        if found_by:
            raise SystemExit(f"whoever looked after step {number} died of {found_by}")
        if not killed:
            return


def _run(work: Callable[[], None]) -> bool:
    """Run in a forked process; return whether it was killed."""
    pid = os.fork()
    if pid == 0:
        ended_well = False
        try:
            work()
            ended_well = True
        finally:
            if not ended_well:
                traceback.print_exc()
            sys.stdout.flush()
            # Not a second time what the parent has registered for its own end.
            os._exit(not ended_well)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a process failed that should have been killed or have ended well")
    return os.WIFSIGNALED(status)


def _settings(folder: Path) -> Settings:
    return Settings(
        listen="127.0.0.1:0",
        data_dir=folder,
        duckdb_memory_limit_bytes=64 << 20,
        native_max_bytes=0,
        duckdb_threads=1,
        worker_thread_count=2,
        spill_row_count=3500,
        orphan_grace_s=0.0,
    )


def _do(folder: Path, deed: str, number: int) -> None:
    steps = _Steps(folder, number)
    clock = FakeClock(NOW)
    process = build(_settings(folder), clock, disk=faulty_disk(steps.before))
    put(process, 1, OLD if deed != "replace a spooled frame" else NEW)
    sys.addaudithook(steps.audit)
    steps.armed = True
    DEEDS[deed](process, clock)
    steps.armed = False


class _Steps:
    """Counts down to the process's last step."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = str(folder)
        self._left = number
        self.armed = False

    def before(self, step: str, path: str) -> None:
        if self.armed and step not in {"list", "open"}:
            self._count()

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.armed and event in _AUDITED and str(arguments[0]).startswith(self._folder):
            self._count()

    def _count(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def put(process: Process, version: int, values: list[int], keep_s: float = 600.0) -> Frame:
    """Put the one frame of this module; more than 3,500 rows go to the spool."""
    table = pa.table({"n": pa.array(values, pa.int64())})
    keep_until = NOW + timedelta(seconds=keep_s)
    end = Ending(len(values), 1, {"version": str(version)}, NOW, NOW, keep_until)
    frame, _ = process.store.put("frame-1", version, table.schema, _batches(table), lambda: end)
    return frame


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from table.to_batches(max_chunksize=1000)


def _expire(process: Process, clock: FakeClock) -> None:
    clock.advance(700)
    process.sweeper.sweep()


def _demote(process: Process) -> None:
    (frame,) = process.store.catalogue.all()
    process.store.moves.demote(frame)


DEEDS: dict[str, Callable[[Process, FakeClock], object]] = {
    "replace a hot frame by a spooled one": lambda process, _: put(process, 2, NEW),
    "replace a hot frame": lambda process, _: put(process, 2, OLD[:2000]),
    "replace a spooled frame": lambda process, _: put(process, 2, NEW[:3600]),
    "demote": lambda process, _: _demote(process),
    "delete": lambda process, _: process.store.delete("frame-1"),
    "expire": _expire,
    "prolong": lambda process, _: process.store.catalogue.touch("frame-1", None, NOW + timedelta(hours=1)),
}


def _look(folder: Path, *, killed: bool) -> None:
    process = build(_settings(folder), FakeClock(NOW))
    process.sweeper.sweep()
    found: dict[str, Any] = {"killed": killed, "version": None, "values": None}
    try:
        with process.store.open("frame-1") as opened:
            values = [value for batch in opened.copy.batches() for value in batch.column(0).to_pylist()]
        found |= {"version": opened.frame.version, "values": values}
        frame = process.store.catalogue.get("frame-1")
        found["keep_s"] = (frame.keep_until_time - NOW).total_seconds()
        named = set(frame.copies.values())
    except NotFound:
        named = set()
    lying = [path.name for name in ("hot", "spool") for path in (folder / name).iterdir()]
    found["orphans"] = sorted(name for name in lying if name not in named and not _points(name, named))
    found["missing"] = sorted(named - set(lying))
    sys.stdout.write(json.dumps(found) + "\n")


def _points(name: str, named: set[str]) -> bool:
    return name.removesuffix(".json") + ".parquet" in named


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
