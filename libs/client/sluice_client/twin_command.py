"""`sluice twin`: writes a plant, and serves one to Oracle drivers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sluice_client.settings import StandInSettings

twin_app = typer.Typer(invoke_without_command=True, help="Write a plant alone, or serve one to Oracle drivers.")

_EXIT_USAGE = 2
_SIGNAL_CHECK_S = 0.5
"""So much later the server at most begins to stop that was told to."""


@twin_app.callback()
def write(
    context: typer.Context,
    *,
    out: Annotated[Path | None, typer.Option(help="DuckDB file to write; its truths go beside it.")] = None,
    scale: Annotated[float, typer.Option(help="Size of the plant; 1 is two years with about 50 000 lots.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Seed of the plant; the same seed gives the same plant.")] = None,
) -> None:
    """Write a plant alone: a DuckDB file with the warehouse's tables."""
    if context.invoked_subcommand is not None:
        return
    if out is None:
        raise typer.BadParameter("name the file to write", param_hint="--out")
    from sluice_twin import DEFAULT_SEED, UnusableSize, write_plant

    notes = Console(stderr=True)
    try:
        with notes.status("generating") as status:
            summary = write_plant(
                out,
                scale=scale,
                seed=DEFAULT_SEED if seed is None else seed,
                progress=lambda table, row_count: status.update(f"generating: {table}, {row_count} rows"),
            )
    except UnusableSize as error:
        notes.print(str(error), highlight=False, markup=False)
        raise SystemExit(_EXIT_USAGE) from None
    row_count = sum(summary.row_counts.values())
    Console(soft_wrap=True).print(f"{summary.path}: {row_count} rows; truths in {summary.truth_path}", highlight=False)


@twin_app.command()
def serve(
    *,
    file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="DuckDB file that `sluice twin` wrote.")],
    oracle: Annotated[bool, typer.Option("--oracle", help="Speak Oracle's wire protocol.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one.")] = 1521,
    user: Annotated[str, typer.Option(help="Who may log on. Default: SLUICE_STAND_IN_USER, else `sluice`.")] = "",
    faults: Annotated[Path | None, typer.Option(help="Script of faults, read again whenever it changes.")] = None,
    password: Annotated[str, typer.Option(help="With what. Default: SLUICE_STAND_IN_PASSWORD, else `sluice`.")] = "",
) -> None:
    """Serve a plant to Oracle drivers in thin mode until Ctrl-C."""
    if not oracle:
        raise typer.BadParameter("add --oracle: there is no other protocol", param_hint="--oracle")
    from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_USER, OracleWireServer

    settings = StandInSettings()
    server = OracleWireServer(
        file,
        port,
        user or settings.user or DEFAULT_USER,
        password or settings.password.get_secret_value() or DEFAULT_PASSWORD,
        faults=() if faults is None else faults,
    )
    with server:
        Console(soft_wrap=True).print(f"serving {server.dsn} as user {server.user}; Ctrl-C ends", highlight=False)
        stopped = threading.Event()
        try:
            # A signal may be handed to another thread; its handler waits for this one, which only time wakes then.
            while not stopped.wait(_SIGNAL_CHECK_S):
                pass
        except KeyboardInterrupt:
            return
