"""The judge of machines in a period: hours by status, and jobs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from tests.truth.raw_rows import Raw, places, within

STATUSES = ("PRD", "SBY", "UDT", "SDT", "EGT", "NST")


def hours(
    fragments: Iterable[Raw], machines: Collection[str], start: date, end: date, by: Callable[[Raw], Any]
) -> dict[Any, dict[str, float | None]]:
    """Return hours by status and the operating utilisation, by whatever `by` says of a fragment."""
    sums: dict[Any, dict[str, Fraction]] = {}
    for row in fragments:
        if row["HISTORYID"] in machines and within(row["TXNDATE"], start, end):
            status = row["OLDSTATUSNAME"] if row["OLDSTATUSNAME"] in STATUSES else "OTHER"
            told = sums.setdefault(by(row), dict.fromkeys((*STATUSES, "OTHER"), Fraction(0)))
            told[status] += Fraction(row["HOURS"] or 0)
    return {key: _shown(told) for key, told in sums.items()}


def _shown(told: Mapping[str, Fraction]) -> dict[str, float | None]:
    operating = sum((told[status] for status in ("PRD", "SBY", "UDT", "SDT", "EGT")), Fraction(0))
    shown: dict[str, float | None] = {
        f"{status.lower()}_hours": places(told[status], 1) for status in (*STATUSES, "OTHER")
    }
    shown["total_hours"] = places(sum(told.values(), Fraction(0)), 1)
    shown["ou_pct"] = places(100 * told["PRD"] / operating, 1) if operating else None
    return shown


def jobs(raw: Iterable[Raw], machines: Collection[str], start: date, end: date, as_of: datetime) -> list[Raw]:
    """Return the jobs opened on the machines, each with its hours in `HOURS` and its end in `ENDED`."""
    found = []
    for row in raw:
        if row["RESOURCEID"] in machines and within(row["CREATEDATE"], start, end):
            ended = row["COMPLETEDATE"] or row["CANCELDATE"]
            seconds = int(((ended or as_of) - row["CREATEDATE"]).total_seconds())
            found.append({**row, "ENDED": ended, "HOURS": places(Fraction(seconds, 3600), 2)})
    return found
