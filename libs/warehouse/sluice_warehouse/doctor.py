"""What a warehouse must be able to do for us, tried on the one that is there, line by line, with what to fix.

Which statements are needed is said by those who need them; see the `doctor` modules of the processes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, TypeAlias

import pyarrow as pa
from sluice_rpc.errors import Cancelled, QueryTimeout, ServiceError
from sluice_rpc.settings import SettingsError

from sluice_warehouse import Bind, Reading, Statement, Tag, Warehouse, open_warehouse
from sluice_warehouse.errors import ContractBroken, WarehouseError, WarehouseUnavailable
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import load

Verdict: TypeAlias = Literal["ok", "note", "failed"]

DEADLINE_S: Final = 60.0
"""Longest that one line may take."""
_ENDING_DEADLINE_S: Final = 1.0
_CANCEL_AFTER_S: Final = 0.5
_ENDED_WITHIN_S: Final = 5.0
_CLOCK_SKEW: Final = timedelta(minutes=5)
_ENDLESS: Final = load(Path(__file__).parent / "sql" / "endless.sql")
_NUMBER: Final = parse_schema({"n": "int64"})

_FIXES: Final[Mapping[int, str]] = {
    904: "a column of the statement is not there: compare the table's columns with those the statement reads",
    942: "a table is not there, or the user may not read it: grant select on the tables of the statement to the user",
    1017: "user or password are wrong: see SLUICE_WAREHOUSE_PASSWORD_FILE and the user in the URL",
    1031: "the user may not do this: grant select on the tables of the statement to the user",
    1045: "the user may not log on: grant create session to the user",
    28000: "the account is locked: let the DBA unlock it, and check the password before it locks again",
    28001: "the password has expired: let the DBA set a new one",
    28002: "the password is about to expire: let the DBA set a new one",
}


@dataclass(frozen=True)
class Finding:
    """One line: what was tried, how it went, and what to do about it."""

    name: str
    verdict: Verdict
    detail: str
    fix: str = ""

    def __str__(self) -> str:
        fix = f"\n       fix: {self.fix}" if self.fix else ""
        return f"{self.verdict:<6} {self.name}: {self.detail}{fix}"


@dataclass(frozen=True)
class Need:
    """A statement that must run, and the columns it must yield."""

    name: str
    statement: Statement
    schema: pa.Schema
    binds: Callable[[datetime], Mapping[str, Bind]]
    """Values for its binds, given the plant's time."""


@dataclass(frozen=True)
class SameAnswer:
    """Two statements that must yield the same rows: the second is a fallback for the first."""

    name: str
    seeds: Statement
    """Yields the ids to try it on, in its one column `id`."""
    texts: Mapping[str, Callable[[Sequence[str]], tuple[Statement, Mapping[str, Bind]]]]
    schema: pa.Schema


def examine(warehouse: Warehouse, needs: Iterable[Need], same: Iterable[SameAnswer] = ()) -> Iterator[Finding]:
    """Try everything that is needed, what several need once; ends with a logon that fails: no more can be said then."""
    doctor = _Doctor(warehouse)
    logon = doctor.logon()
    yield logon
    if logon.verdict == "failed":
        return
    yield doctor.clock()
    for need in {need.name: need for need in needs}.values():
        yield doctor.statement(need)
    for pair in same:
        yield doctor.same(pair)
    yield doctor.deadline()
    yield doctor.cancel()


def report(url: str, needs: Iterable[Need], same: Iterable[SameAnswer], write: Callable[[str], object]) -> int:
    """Examine the warehouse at a URL, write a line for each finding, and return the exit code: 0 if none failed."""
    try:
        warehouse = open_warehouse(url)
    except (ValueError, SettingsError) as error:
        write(f"{Finding('settings', 'failed', str(error), 'correct the URL or the variable')}\n")
        return 2
    verdicts = Counter[Verdict]()
    try:
        for finding in examine(warehouse, needs, same):
            verdicts[finding.verdict] += 1
            write(f"{finding}\n")
    finally:
        warehouse.close()
    counts = f"{verdicts['ok']} ok, {verdicts['note']} to look at, {verdicts['failed']} failed"
    write(f"{verdicts.total()} tried: {counts}\n")
    return 1 if verdicts["failed"] else 0


class _Doctor:
    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._plant_time = datetime.min

    def logon(self) -> Finding:
        started = time.monotonic()
        try:
            self._warehouse.ping()
        except ServiceError as error:
            return _failed("logon", error)
        return Finding("logon", "ok", f"{1000 * (time.monotonic() - started):.0f} ms")

    def clock(self) -> Finding:
        try:
            self._plant_time = self._warehouse.plant_time().replace(microsecond=0)
        except ServiceError as error:
            return _failed("clock", error)
        skew = abs(datetime.now().replace(microsecond=0) - self._plant_time)
        detail = f"the plant's clock shows {self._plant_time:%Y-%m-%d %H:%M:%S}"
        if skew <= _CLOCK_SKEW:
            return Finding("clock", "ok", detail)
        fix = "expected where this machine stands in another time zone; else set one of the two clocks"
        return Finding("clock", "note", f"{detail}, this machine's differs by {skew}", fix)

    def statement(self, need: Need) -> Finding:
        try:
            table, seconds = self._read(need.statement, need.binds(self._plant_time), need.schema)
        except ServiceError as error:
            return _failed(need.name, error)
        fits = "1 column fits" if len(need.schema) == 1 else f"{len(need.schema)} columns fit"
        rows = "1 row" if table.num_rows == 1 else f"{table.num_rows} rows"
        return Finding(need.name, "ok", f"{fits}, {rows} as Arrow in {seconds:.1f} s")

    def same(self, pair: SameAnswer) -> Finding:
        try:
            ids = self._read(pair.seeds, {}, parse_schema({"id": "string"}))[0].column("id").to_pylist()
            if not ids:
                return Finding(pair.name, "note", "there is nothing to try it on")
            answers = {name: self._read(*make(ids), pair.schema)[0].to_pylist() for name, make in pair.texts.items()}
        except ServiceError as error:
            return _failed(pair.name, error)
        first, *others = answers.values()
        shown = f"{' and '.join(answers)} on {len(ids)} ids"
        if all(other == first for other in others):
            return Finding(pair.name, "ok", f"{shown} give the same {len(first)} rows")
        counts = ", ".join(f"{name} {len(rows)}" for name, rows in answers.items())
        return Finding(pair.name, "failed", f"{shown} differ in their rows ({counts})", "report it with these counts")

    def deadline(self) -> Finding:
        """Prove that a statement is ended at its deadline, and that the server says so."""
        started = time.monotonic()
        reading = self._open(_ENDLESS, {}, _NUMBER, _ENDING_DEADLINE_S)
        try:
            with reading:
                next(iter(reading))
        except QueryTimeout:
            return _ending("call timeout", started + _ENDING_DEADLINE_S, confirmed=reading.end_confirmed)
        except ServiceError as error:
            return _failed("call timeout", error)
        return Finding("call timeout", "failed", "a statement without an end has ended", "report it")

    def cancel(self) -> Finding:
        """Prove that another thread can end a statement."""
        reading = self._open(_ENDLESS, {}, _NUMBER, DEADLINE_S)
        cancelled = time.monotonic() + _CANCEL_AFTER_S
        timer = threading.Timer(_CANCEL_AFTER_S, reading.cancel)
        timer.start()
        try:
            with reading:
                next(iter(reading))
        except Cancelled:
            return _ending("cancel", cancelled, confirmed=reading.end_confirmed)
        except ServiceError as error:
            return _failed("cancel", error)
        finally:
            timer.cancel()
        return Finding("cancel", "failed", "a statement without an end has ended", "report it")

    def _read(self, statement: Statement, binds: Mapping[str, Bind], schema: pa.Schema) -> tuple[pa.Table, float]:
        started = time.monotonic()
        with self._open(statement, binds, schema, DEADLINE_S) as reading:
            table = pa.Table.from_batches(list(reading), schema=schema)
        return table, time.monotonic() - started

    def _open(self, statement: Statement, binds: Mapping[str, Bind], schema: pa.Schema, deadline_s: float) -> Reading:
        tag = Tag("sluice-doctor", statement.name, "doctor")
        return self._warehouse.open(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)


def _ending(name: str, due: float, *, confirmed: bool) -> Finding:
    late_s = time.monotonic() - due
    detail = f"the statement ended {max(0.0, late_s):.1f} s after it was told to"
    if not confirmed:
        fix = "breaks do not reach the server: look for a firewall or proxy between here and there"
        return Finding(name, "failed", "the server did not confirm the end; the connection was cut", fix)
    if late_s > _ENDED_WITHIN_S:
        return Finding(name, "failed", detail, "the server is slow to notice; ask the DBA what it waits for")
    return Finding(name, "ok", detail)


def _failed(name: str, error: ServiceError) -> Finding:
    match error:
        case WarehouseError():
            return Finding(name, "failed", error.message, _FIXES.get(error.ora, "ask the DBA about this number"))
        case ContractBroken():
            return Finding(name, "failed", error.message, "change the dataset's declaration, or the column back")
        case WarehouseUnavailable():
            fix = (
                "check host, port and service of the URL, the listener, and limits on sessions; the log has the number"
            )
            return Finding(name, "failed", error.message, fix)
        case QueryTimeout():
            return Finding(name, "failed", error.message, "ask the DBA for the plan of this statement")
    return Finding(name, "failed", error.message)
