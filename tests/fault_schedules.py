"""Random schedules of readings and mishaps, each planned by its seed alone, against the stand-in over the real driver.

What a schedule does and which faults the stand-in's dice ask for depend on nothing but the seed, so a schedule is seen
again by it; how its threads interleave does not.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, TypeAlias

import pyarrow as pa
from sluice_rpc.errors import ServiceError
from sluice_twin.oracle_wire import FaultRule, OracleWireServer
from sluice_warehouse import Reading

from tests.fault_cells import LANES, Lane
from tests.fault_world import (
    CALM_S,
    CAP,
    World,
    fresh_processes,
    judged,
    leased,
    left_in_process,
    numbered,
    still_there,
)
from tests.oracle_rig import oracle
from tests.polling import poll_until

Manner: TypeAlias = Literal["read", "leave", "fail", "cancel"]
Mishap: TypeAlias = Literal["kill", "drop", "restart", "unheard"]

READER_COUNT: Final = 4
STEP_COUNT: Final = 2
DEADLINE_S: Final = 6.0
SETTINGS: Final = {
    "call_timeout_ms": 3_000,
    "slow_call_timeout_ms": 3_000,
    "logon_timeout_s": 4.0,
    "cancel_grace_s": 0.5,
    "pool_wait_ms": 3_000,
    "pool_max": CAP,
    "batch_row_count": 200,
}
TYPED: Final = frozenset(
    {"WAREHOUSE_UNAVAILABLE", "WAREHOUSE_ERROR", "QUERY_TIMEOUT", "CANCELLED", "PERMITS_EXHAUSTED", "POOL_EXHAUSTED"}
)
_ERRORS: Final = (28, 942, 1013, 1555, 1652, 3113, 3135)
_CUTS: Final = ("close", "reset")
_MISHAPS: Final[tuple[Mishap, ...]] = ("kill", "kill", "drop", "restart", "unheard")


@dataclass(frozen=True)
class Step:
    """One reading."""

    lane: Lane
    manner: Manner
    batch_count: int
    """After how many batches it is left or fails."""
    pause_s: float
    """Before it, and before a cancel."""
    deadline_s: float


@dataclass(frozen=True)
class Schedule:
    """What a seed stands for."""

    seed: int
    rules: tuple[FaultRule, ...]
    readers: tuple[tuple[Step, ...], ...]
    mishaps: tuple[tuple[float, Mishap], ...]
    """Pause and what happens then, one after the other."""


@dataclass(frozen=True)
class Outcome:
    """What came of a schedule; the first four are empty or within the cap where all is well."""

    wrong: tuple[str, ...]
    """Rows that differ from the truth, and errors without a code."""
    unhealed: tuple[str, ...]
    """What each lane said to the end where it gave no answer once every mishap was over."""
    left: tuple[str, ...]
    peaks: tuple[int, ...]
    """Most statements at once, by lane."""
    ends: Counter[str]
    """How readings ended."""

    @property
    def sound(self) -> bool:
        """Whether everything held."""
        return not self.wrong and not self.unhealed and not self.left and max(self.peaks) <= CAP


def planned(seed: int) -> Schedule:
    """Return the schedule of a seed."""
    chance = random.Random(seed)
    rules = tuple(_rule(chance) for _ in range(chance.randint(1, 5)))
    readers = tuple(tuple(_step(chance) for _ in range(STEP_COUNT)) for _ in range(READER_COUNT))
    mishaps = tuple((chance.uniform(0.01, 0.15), chance.choice(_MISHAPS)) for _ in range(chance.randint(0, 3)))
    return Schedule(seed, rules, readers, mishaps)


def run_schedule(seed: int, redis_url: str) -> Outcome:
    """Run the schedule of a seed and return what came of it."""
    schedule, ends = planned(seed), Counter[str]()
    wrong: list[str] = []
    leased(redis_url)
    with ExitStack() as closing:
        servers = {lane: closing.enter_context(_server()) for lane in LANES}
        threads = set(threading.enumerate())
        with ExitStack() as open_warehouses:
            worlds = {}
            for lane, server in servers.items():
                warehouse = open_warehouses.enter_context(oracle(server.port, **SETTINGS))
                worlds[lane] = World(server, warehouse, redis_url)
                server.faults.set(schedule.rules, seed=seed)
            with ThreadPoolExecutor(READER_COUNT + 1) as pool:
                work = [pool.submit(_read_all, worlds, steps, ends, wrong) for steps in schedule.readers]
                work.append(pool.submit(_let_happen, list(servers.values()), schedule))
                for one in work:
                    one.result(240)
            unhealed = [item for lane, world in worlds.items() for item in _unhealed(world, lane)]
            left = [item for world in worlds.values() for item in still_there(world.left)]
        left += [item for server in servers.values() for item in still_there(_left_of(server, threads))]
        peaks = tuple(server.peak_in_flight for server in servers.values())
        return Outcome(tuple(wrong), tuple(unhealed), tuple(left), peaks, ends)


def run_schedules(seeds: Sequence[int], redis_url: str, process_count: int = 10) -> dict[int, Outcome]:
    """Run the schedules of these seeds in processes of their own, several side by side, since they mostly wait."""
    with ProcessPoolExecutor(process_count, fresh_processes()) as processes:
        running = {seed: processes.submit(run_schedule, seed, redis_url) for seed in seeds}
        return {seed: outcome.result() for seed, outcome in running.items()}


def _unhealed(world: World, lane: Lane) -> list[str]:
    """Read in the calm after the mishaps, again where the machine is too busy, and return what is said unless it is
    the answer."""
    world.server.faults.clear()
    until = time.monotonic() + CALM_S
    said = ""
    while said != "answer" and time.monotonic() < until:
        said = world.outcome(lane, "calm")
    return [] if said == "answer" else [f"{lane} {said}"]


def _server() -> OracleWireServer:
    return OracleWireServer(None, tables={"NUMBERED": numbered()}, orphan_s=0.3)


def _left_of(server: OracleWireServer, threads: set[threading.Thread]) -> Callable[[], list[str]]:
    return lambda: left_in_process(server, threads)


def _rule(chance: random.Random) -> FaultRule:
    phase = chance.choice(("listen", "logon", "describe", "execute", "execute", "fetch", "fetch", "fetch", "break"))
    given: dict[str, object] = {"phase": phase, "probability": chance.choice((0.02, 0.05, 0.2))}
    effects = ["error", "close", "reset", "stall"] if phase != "listen" else ["refuse", "close", "reset", "silent"]
    effect = given["do"] = chance.choice([*effects, *(["slow"] if phase in ("execute", "fetch") else [])])
    if effect in ("error", "refuse"):
        codes = {"listen": (12514, 12516), "logon": (18, 2391)}
        given["code"] = chance.choice(codes.get(phase, _ERRORS))
    if effect == "stall":
        given |= {"seconds": chance.choice((0.1, 30.0)), "deaf": chance.random() < 0.3}
    if effect == "slow":
        given["bytes_per_s"] = chance.choice((2_000, 20_000))
    if phase == "fetch":
        given["batch"] = chance.choice((None, 0, 2, "last"))
    if phase == "fetch" and effect in (*_CUTS, "stall"):
        given["at"] = chance.choice((None, 9, "row", "batch"))
    return FaultRule.model_validate(given)


def _step(chance: random.Random) -> Step:
    manner: Manner = chance.choice(("read", "read", "read", "leave", "fail", "cancel"))
    deadline_s = chance.choice((DEADLINE_S, DEADLINE_S, DEADLINE_S, 0.2))
    return Step(chance.choice(LANES), manner, chance.randint(0, 4), chance.uniform(0, 0.03), deadline_s)


def _read_all(worlds: dict[Lane, World], steps: Sequence[Step], ends: Counter[str], wrong: list[str]) -> None:
    for step in steps:
        _pause(step.pause_s)
        end = _read(worlds[step.lane], step)
        ends[end] += 1
        if end not in TYPED and end not in ("answer", "left", "failed"):
            wrong.append(f"{step}: {end}")


class _Failure(Exception):
    """What a reader of rows raises on its own account."""


def _read(world: World, step: Step) -> str:
    try:
        with world.opened(step.lane, step.manner, step.deadline_s) as reading:
            return _ended(world, step, reading)
    except ServiceError as error:
        return error.reason
    except _Failure:
        return "failed"


def _ended(world: World, step: Step, reading: Reading) -> str:
    if step.manner in ("leave", "fail"):
        rows = pa.Table.from_batches(islice(reading, step.batch_count), schema=reading.schema)
        if rows.num_rows and judged(rows, world.plant_time) not in ("answer", f"rows {rows.num_rows}"):
            return "wrong rows"
        if step.manner == "fail":
            raise _Failure
        return "left"
    if step.manner == "cancel":
        timer = threading.Timer(step.pause_s, reading.cancel)
        timer.start()
    return judged(pa.Table.from_batches(list(reading), schema=reading.schema), world.plant_time)


def _let_happen(servers: Sequence[OracleWireServer], schedule: Schedule) -> None:
    for number, (pause_s, mishap) in enumerate(schedule.mishaps):
        _pause(pause_s)
        for server in servers:
            match mishap:
                case "kill":
                    for record in server.sessions()[number : number + 1]:
                        server.kill(record.session_id)
                case "drop":
                    server.drop_connections()
                case "restart":
                    server.stop_listening()
                    server.drop_connections()
                    server.listen()
                case "unheard":
                    server.stop_listening()
                    _pause(pause_s)
                    server.listen()


def _pause(seconds: float) -> None:
    until = time.monotonic() + seconds
    poll_until(lambda: time.monotonic() >= until, seconds + 30)
