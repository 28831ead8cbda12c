"""`sluice query`: start or join a query, show how far it is, and hand its rows over; say aloud what is missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from sluice_client.gateway import FINISHED_STATES, Gateway, GatewayError, Problem
from sluice_client.output import Format, print_table, receipt_of, write_file, write_rows
from sluice_client.progress import show_progress

_TABLE_ROWS = 50
_UNSUCCESSFUL = ("failed", "cancelled")

Json = dict[str, Any]


class QueryFailed(GatewayError):
    """The query ended without an answer."""

    def __init__(self, state: Json) -> None:
        error = state.get("error") or {"code": str(state["status"]).upper(), "message": "the query has no answer"}
        super().__init__(f"{error['message']} ({error['code']})")


@dataclass(frozen=True)
class QueryRequest:
    """What the user typed."""

    dataset: str
    """Dataset name."""
    parameters: Mapping[str, object]
    """Primary parameters by name."""
    view: str = "list"
    """View to show; every dataset has its rows as `list`."""
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """View-time filters by name."""
    form: Format = Format.TABLE
    """How to show the rows."""
    out: Path | None = None
    """File to write; None is standard output."""
    no_cache: bool = False
    """Whether everything is to be read again."""


class QueryRun:
    """One run of the command.

    Args:
        gateway: whom to ask.
        request: what to ask.
        screen: standard output.
        notes: standard error: progress, warnings, what was written.
    """

    def __init__(self, gateway: Gateway, request: QueryRequest, screen: Console, notes: Console) -> None:
        self._gateway = gateway
        self._request = request
        self._screen = screen
        self._notes = notes

    def run(self) -> None:
        """Ask, wait, and write the rows of the view.

        Raises:
            GatewayError: no answer; among them QueryFailed.
            OSError: the file cannot be written.
        """
        definition = self._gateway.dataset(self._request.dataset)
        try:
            receipt = self._show(definition, self._finish(definition, no_cache=self._request.no_cache))
        except Problem as problem:
            if problem.status != httpx.codes.GONE:
                raise
            # The frames went between the query and the view; asking once more is what every client does.
            receipt = self._show(definition, self._finish(definition, no_cache=False))
        for line in receipt_lines(receipt):
            self._note(line)

    def _finish(self, definition: Json, *, no_cache: bool) -> str:
        request = self._request
        started = self._gateway.start(str(definition["route"]), request.parameters, request.view, no_cache=no_cache)
        query_id = str(started["query_id"])
        if "views" in started:
            return query_id
        try:
            state = show_progress(self._states(started), self._notes)
        except KeyboardInterrupt:
            self._gateway.withdraw(query_id)
            raise
        if state.get("status") in _UNSUCCESSFUL:
            raise QueryFailed(state)
        return query_id

    def _states(self, started: Json) -> Iterator[Json]:
        yield started
        query_id = str(started["query_id"])
        last = started
        for last in self._gateway.events(query_id):
            yield last
        if last.get("status") not in FINISHED_STATES:
            # The stream ended early, as it does when the gateway stops; the query itself may be done.
            yield self._gateway.query(query_id)

    def _show(self, definition: Json, query_id: str) -> Json:
        route, view = str(definition["route"]), self._request.view
        if self._request.form is Format.TABLE:
            answer = self._gateway.view(route, query_id, view, self._request.filters, _TABLE_ROWS)
            self._print(answer["views"][view])
            return dict(answer["receipt"])
        if self._request.form is Format.XLSX:
            return self._save_spreadsheet(route, query_id)
        paged = any(known["name"] == view and known.get("paged") for known in definition["views"])
        with self._gateway.rows(route, query_id, view, self._request.filters, paged=paged) as reader:
            row_count = write_rows(reader, self._request.form, self._request.out)
            receipt = receipt_of(reader.schema)
        if self._request.out is not None:
            self._note(f"{row_count} rows written to {self._request.out}")
        return receipt

    def _save_spreadsheet(self, route: str, query_id: str) -> Json:
        asked = self._gateway.spreadsheet(route, query_id, self._request.view, self._request.filters)
        with asked as (receipt, pieces):
            write_file(pieces, self._request.out)
        if self._request.out is not None:
            self._note(f"{self._request.out} written")
        return receipt

    def _print(self, view: Json) -> None:
        shown_count = print_table(self._screen, view["columns"], view["rows"])
        if shown_count < len(view["columns"]):
            self._note(f"{shown_count} of {len(view['columns'])} columns have room; --format csv writes all of them")
        total_count = (view.get("page") or {}).get("total_count", 0)
        if total_count > len(view["rows"]):
            self._note(f"{len(view['rows'])} of {total_count} rows; --format csv --out FILE writes all of them")

    def _note(self, line: str) -> None:
        self._notes.print(line, highlight=False, markup=False, soft_wrap=True)


def receipt_lines(receipt: Json) -> list[str]:
    """Return what a reader of the rows must know: what is missing or cut, then where the rest came from."""
    lines = []
    failed, truncated = receipt.get("failed_ranges") or [], receipt.get("truncated_ranges") or []
    if failed:
        lines += ["WARNING: this answer is partial; these ranges are missing:", *map(_range_line, failed)]
        lines.append("  run the same command again to read exactly what is missing")
    if truncated:
        lines += ["WARNING: these ranges were cut at the row limit:", *map(_range_line, truncated)]
    status = receipt.get("status", "complete")
    if status != "complete" and not lines:
        # A header does not hold many ranges; the file itself does.
        lines.append(f"WARNING: this answer is {status}; the file's receipt names what is missing")
    plan = str(receipt.get("plan") or "")
    return [*lines, plan] if plan else lines


def _range_line(gap: Json) -> str:
    what = f"{gap['id_count']} ids" if gap.get("id_count") else f"{gap.get('start', '')} to {gap.get('end', '')}"
    return f"  {gap.get('part', '')}: {what}: {gap.get('code', '')}"


def refuses_terminal(form: Format, out: Path | None) -> bool:
    """Return whether the rows would go to a terminal as bytes."""
    return form.binary and out is None and sys.stdout.isatty()
