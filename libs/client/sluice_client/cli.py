"""The `sluice` command: what it takes and what it exits with; the work is done elsewhere."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from sluice_client.cache_page import cache_page
from sluice_client.gateway import Gateway, GatewayError
from sluice_client.health_page import health_lines
from sluice_client.output import Format, screen
from sluice_client.query_command import QueryRequest, QueryRun, refuses_terminal
from sluice_client.settings import DEFAULT_URL, Settings
from sluice_client.twin_command import twin_app

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Ask a Sluice suite, or run one on this machine.",
)
datasets_app = typer.Typer(invoke_without_command=True, help="List datasets, or check their folders.")
app.add_typer(twin_app, name="twin")
app.add_typer(datasets_app, name="datasets")

_DATE = ["%Y-%m-%d"]
_EXIT_FAILED = 1
_EXIT_USAGE = 2
_EXIT_INTERRUPTED = 130

Url = Annotated[str, typer.Option(help="Gateway to ask. Default: SLUICE_URL, else the running demo.")]
Scale = Annotated[float, typer.Option(help="Size of the plant; 1 is two years with about 50 000 lots.")]
Seed = Annotated[int | None, typer.Option(help="Seed of the plant; the same seed gives the same plant.")]


def main() -> None:
    """Run the command; what goes wrong is told in a line or two, never as a traceback."""
    try:
        app()
    except GatewayError as error:
        _fail(str(error), _EXIT_FAILED)
    except BrokenPipeError:
        # The reader of our output (`| head`) has enough. Nothing may be flushed into the closed pipe any more.
        sys.stderr.close()
        raise SystemExit(_EXIT_FAILED) from None
    except OSError as error:
        _fail(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), _EXIT_FAILED)


@app.command()
def demo(
    *,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 is any free one. Default: 8080 or next.")
    ] = None,
    scale: Scale = 0.0,
    seed: Seed = None,
    data_dir: Annotated[Path | None, typer.Option(help="Plant, cache and logs. Default: var/demo.")] = None,
) -> None:
    """Run the whole suite on a generated plant until Ctrl-C."""
    from sluice_twin import DEFAULT_SEED, UnusableSize

    from sluice_client.demo.data_dir import DataDirInUse
    from sluice_client.demo.demo import DEFAULT_SCALE, DemoOptions, PortInUse, run_demo
    from sluice_client.demo.supervisor import NotServing

    options = DemoOptions(
        port=port,
        scale=scale or DEFAULT_SCALE,
        seed=DEFAULT_SEED if seed is None else seed,
        data_dir=data_dir or Settings().data_dir,
    )
    try:
        raise SystemExit(run_demo(options, Console()))
    except (PortInUse, DataDirInUse, UnusableSize) as error:
        _fail(str(error), _EXIT_USAGE)
    except NotServing as error:
        _fail(str(error), _EXIT_FAILED)


@app.command()
def query(
    dataset: Annotated[str, typer.Argument(help="Dataset name, as `sluice datasets` lists it.")],
    *,
    start: Annotated[datetime, typer.Option(formats=_DATE, help="First day, included.")],
    end: Annotated[datetime, typer.Option(formats=_DATE, help="Last day, included.")],
    view: Annotated[str, typer.Option(help="View to show.")] = "list",
    form: Annotated[Format, typer.Option("--format", help="How to show the rows.")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="File to write. Default: standard output.")] = None,
    filters: Annotated[list[str] | None, typer.Option("--filter", metavar="NAME=VALUE", help="Repeatable.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read everything again.")] = False,
    url: Url = "",
) -> None:
    """Ask for a range of days, show how far it is, and print or write the rows of one view."""
    if refuses_terminal(form, out):
        raise typer.BadParameter(f"{form.value} is no text: name a file with --out, or pipe it", param_hint="--format")
    if form is Format.TABLE and out is not None:
        raise typer.BadParameter(
            "a table is for the terminal: add --format csv, parquet, arrow or xlsx", param_hint="--out"
        )
    days = {"start_date": start.date().isoformat(), "end_date": end.date().isoformat()}
    request = QueryRequest(dataset, days, view, _filters(filters or []), form, out, no_cache)
    notes = Console(stderr=True)
    try:
        with Gateway(_url(url)) as gateway:
            QueryRun(gateway, request, screen(), notes).run()
    except KeyboardInterrupt:
        notes.print("withdrawn")
        raise SystemExit(_EXIT_INTERRUPTED) from None


@datasets_app.callback()
def datasets(context: typer.Context, *, url: Url = "") -> None:
    """List the datasets and their views."""
    if context.invoked_subcommand is not None:
        return
    table = Table("dataset", "title", "views", "longest range", header_style="bold")
    with Gateway(_url(url)) as gateway:
        for found in gateway.datasets():
            views = ", ".join(view["name"] for view in found["views"])
            table.add_row(found["name"], found["title"], views, f"{found['max_range_days']} days")
    screen().print(table)


@datasets_app.command("check")
def check_datasets(
    datasets_dir: Annotated[Path | None, typer.Argument(help="Dataset folders. Default: those installed.")] = None,
    references_dir: Annotated[Path | None, typer.Argument(help="Reference folders. Default: the same.")] = None,
) -> None:
    """Tell everything that is wrong with dataset folders; exit 1 if something is. No warehouse is asked."""
    from sluice_client.doctor_command import run_check

    raise SystemExit(run_check([str(path) for path in (datasets_dir, references_dir) if path is not None]))


@app.command()
def health(*, url: Url = "") -> None:
    """Say how the suite is, and what is wrong where; exit 1 if it is not healthy."""
    with Gateway(_url(url)) as gateway:
        told = gateway.health()
    console = Console(soft_wrap=True)
    for line in health_lines(gateway.url, told):
        console.print(line, highlight=False, markup=False)
    if told.get("cache"):
        console.print(cache_page(told["cache"]), highlight=False)
    if told.get("status") != "healthy":
        raise SystemExit(_EXIT_FAILED)


@app.command()
def doctor(
    *,
    warehouse: Annotated[str, typer.Option(help="oracle://user@host:port/service; SLUICE_WAREHOUSE_* says the rest.")],
) -> None:
    """Try on a warehouse, line by line, what Sluice needs of it; exit 1 if something must be fixed."""
    from sluice_client.doctor_command import run_doctors

    raise SystemExit(run_doctors(warehouse))


def _url(given: str) -> str:
    settings = Settings()
    if given or settings.url:
        return given or settings.url
    from sluice_client.demo.data_dir import running_demo_url

    return running_demo_url(settings.data_dir) or DEFAULT_URL


def _filters(given: list[str]) -> dict[str, list[str]]:
    filters: dict[str, list[str]] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--filter")
        filters.setdefault(name, []).append(value)
    return filters


def _fail(message: str, exit_code: int) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(message, highlight=False, markup=False)
    raise SystemExit(exit_code)
