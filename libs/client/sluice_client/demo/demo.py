"""`sluice demo` from start to end: the plant, the programs, the words on the screen, the way out."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sluice_twin import catalogue

from sluice_client.demo.data_dir import DataDir
from sluice_client.demo.plant import PlantFolder, plant_folder
from sluice_client.demo.programs import SuiteFiles, SuitePorts, suite_programs
from sluice_client.demo.supervisor import Supervisor
from sluice_client.gateway import Gateway
from sluice_client.ports import LOOPBACK, first_free, is_free, take_free
from sluice_client.redis_server import NO_REDIS, find_server

DEFAULT_PORT = 8080
DEFAULT_SCALE = 0.2
"""About 10,000 lots and 12,000 holds: charts have shape, and generating it is a matter of seconds."""

_PORTS_TRIED = 20
_START_TIMEOUT_S = 60.0
_WATCH_S = 0.2


class PortInUse(Exception):
    """The asked-for port has a listener; the message names the port and the fix."""


@dataclass(frozen=True)
class DemoOptions:
    """What the user asked for."""

    port: int | None
    """Port of the gateway; None takes 8080 or the next free one, 0 any free one."""
    scale: float
    """Size of the plant; 1 is two years with about 50,000 lots."""
    seed: int
    """Seed of the plant."""
    data_dir: Path
    """Folder for the plant, the cache and the logs."""


def run_demo(options: DemoOptions, console: Console) -> int:
    """Run the suite until it is told to stop, and return the exit code: 0 when asked to stop, 1 when it failed.

    Raises:
        PortInUse: before anything was started.
        DataDirInUse: another demo runs on the folder.
        sluice_twin.UnusableSize: the scale makes no plant.
        NotServing: a program does not come up.
        GatewayError: the gateway serves and then does not answer.
    """
    port = choose_port(options.port)
    data_dir = DataDir(options.data_dir)
    with data_dir.locked(), _stop_signals() as stopping:
        folder = plant_folder(data_dir.path, options.scale, options.seed)
        if not folder.exists:
            try:
                _generate(folder, options, stopping, console)
            except _AskedToStop:
                return 0
        return _supervise(SuitePorts.usual(port), data_dir, folder, stopping, console)


def choose_port(wanted: int | None) -> int:
    """Return the gateway's port: the wanted one, any free one for 0, and for None 8080 or the next free one.

    Raises:
        PortInUse: it has a listener.
    """
    if wanted == 0:
        return take_free(1)[0]
    if wanted is None:
        free = first_free(DEFAULT_PORT, _PORTS_TRIED)
        if free is None:
            last = DEFAULT_PORT + _PORTS_TRIED - 1
            raise PortInUse(f"ports {DEFAULT_PORT} to {last} are all in use; name a free one with --port, or --port 0")
        return free
    if not is_free(wanted):
        raise PortInUse(f"port {wanted} is in use; name a free one with --port, or let --port 0 find one")
    return wanted


def _supervise(
    ports: SuitePorts, data_dir: DataDir, folder: PlantFolder, stopping: threading.Event, console: Console
) -> int:
    redis_program = find_server()
    if redis_program is None:
        console.print(f"[yellow]{NO_REDIS}[/yellow]")
    statements, compiled = data_dir.logs / "statements.jsonl", data_dir.path / "compiled"
    files = SuiteFiles(
        folder.plant, folder.cache_dir, data_dir.path / "redis", statement_log=statements, compiled_dir=compiled
    )
    programs = suite_programs(ports, files, redis_program)
    url = f"http://{LOOPBACK}:{ports.gateway}"
    with Supervisor(programs, data_dir.logs, lambda sentence: console.print(sentence, style="yellow")) as supervisor:
        with console.status(f"starting {', '.join(program.name for program in programs)}"):
            supervisor.await_serving(_START_TIMEOUT_S, stopping.is_set)
        if not stopping.is_set():
            with data_dir.announced(url):
                console.print(_welcome(url, _dataset_names(url), data_dir, folder), highlight=False, soft_wrap=True)
                _wait(supervisor, stopping)
        failed = supervisor.given_up()
        console.print("stopping" if failed is None else f"stopping, since {supervisor.describe_failure(failed)}")
    console.print("everything has stopped")
    return 0 if failed is None else 1


def _wait(supervisor: Supervisor, stopping: threading.Event) -> None:
    while supervisor.given_up() is None and not stopping.wait(_WATCH_S):
        pass


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    stopping = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in numbers}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _AskedToStop(Exception):
    """Ends the generation of a plant, which leaves no half of one behind."""


def _generate(folder: PlantFolder, options: DemoOptions, stopping: threading.Event, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("tables"))
    if not console.is_terminal:
        console.print(f"generating a plant of scale {options.scale:g}, seed {options.seed}")
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"generating a plant of scale {options.scale:g}", total=len(catalogue()))

        def advance(_table: str, _row_count: int) -> None:
            bar.advance(task)
            if stopping.is_set():
                raise _AskedToStop

        folder.generate(options.scale, options.seed, advance)


def _dataset_names(url: str) -> list[str]:
    with Gateway(url) as gateway:
        return [str(dataset["name"]) for dataset in gateway.datasets()]


def _welcome(url: str, datasets: list[str], data_dir: DataDir, folder: PlantFolder) -> str:
    dates = "2025-01-01", "2025-12-31"
    return f"""
[bold green]Sluice serves at {url}[/bold green]   API documentation: {url}/docs

  datasets    {", ".join(datasets)}
  plant       {folder.plant}, 2024-01-01 to 2025-12-31
  logs        {data_dir.logs}

  Ask a year of holds:
    curl -s {url}/api/hold-history/query -H 'Content-Type: application/json' \\
         -d '{{"start_date": "{dates[0]}", "end_date": "{dates[1]}"}}'
  Look at it again, with the query_id of that answer:
    curl -s '{url}/api/hold-history/view?query_id=QUERY_ID&view=reason_pareto&hold_type=all'
  Or let the command do both:
    {_own_name()} query hold-history --start {dates[0]} --end {dates[1]} --view trend --url {url}

  Ctrl-C stops everything.
"""


def _own_name() -> str:
    """Return what starts this command from the folder it was started in."""
    return "sluice" if shutil.which("sluice") else sys.argv[0]
