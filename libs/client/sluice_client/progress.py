"""How far a query is, on standard error: a live bar on a terminal, a line per change elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Json = dict[str, Any]


def show_progress(states: Iterable[Json], console: Console) -> Json:
    """Show each state of a query as it comes and return the last one.

    Args:
        states: at least one; the query each time it changes.
        console: where to show it; its being a terminal decides how.
    """
    return _bar(states, console) if console.is_terminal else _lines(states, console)


def _bar(states: Iterable[Json], console: Console) -> Json:
    last: Json = {}
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TextColumn("chunks · {task.fields[rows]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None, rows="")
        for last in states:
            progress = last.get("progress") or {}
            bar.update(
                task,
                total=progress.get("total_count") or None,
                completed=progress.get("completed_count", 0),
                rows=_rows(progress),
            )
    return last


def _lines(states: Iterable[Json], console: Console) -> Json:
    last: Json = {}
    shown = ""
    for last in states:
        line = _sentence(last.get("progress") or {})
        if line not in ("", shown):
            console.print(line, highlight=False, markup=False)
            shown = line
    return last


def _sentence(progress: Json) -> str:
    if not progress.get("total_count"):
        return ""
    failed = f", {progress['failed_count']} failed" if progress.get("failed_count") else ""
    return f"{progress.get('completed_count', 0)} of {progress['total_count']} chunks{failed}, {_rows(progress)}"


def _rows(progress: Json) -> str:
    return f"{progress.get('row_count', 0):,} rows read".replace(",", " ")
