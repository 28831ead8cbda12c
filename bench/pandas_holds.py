"""The anchor of the view benchmark: the hold views as a careful pandas programmer writes them, in process.

Works on the same rows and types that Sluice answers from; few-valued columns are categoricals, as they should be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

RANGES = ("<4h", "4-24h", "1-3d", ">3d")
RANGE_EDGES_H = (-np.inf, 4.0, 24.0, 72.0, np.inf)


@dataclass(frozen=True)
class Filters:
    """View-time filters of one click."""

    hold_type: str
    duration_range: str | None
    reason: str | None


def with_ranks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with `rn_hold_day` and `rn_reason` derived anew."""
    late_first = rows.sort_values(["hold_time", "history_id"], ascending=False, kind="stable")
    early_first = late_first[::-1]
    return rows.assign(
        rn_hold_day=late_first.groupby(["container_id", "hold_day"], observed=True, dropna=False).cumcount() + 1,
        rn_reason=early_first.groupby(["container_id", "hold_reason_id"], observed=True, dropna=False).cumcount() + 1,
    )


def trend(rows: pd.DataFrame, start: date, end: date) -> pd.DataFrame:
    """Return one row per calendar day and type."""
    days = pd.date_range(start, end, freq="D")
    quality = rows["hold_type"] == "quality"
    firsts = rows["rn_hold_day"] == 1
    future = (rows["is_future_hold"]) & (rows["rn_reason"] == 1)
    repeats = quality & (rows["rn_reason"] > 1)
    sections = []
    for name, chosen in (("quality", quality), ("non-quality", ~quality), ("all", None)):
        part = rows if chosen is None else rows[chosen]
        held = part.groupby("hold_day")["qty"].sum()
        released = part.groupby("release_day")["qty"].sum()
        balance = held.sub(released, fill_value=0).sort_index().cumsum().reindex(days, method="ffill").fillna(0)
        keep = pd.Series(True, index=rows.index) if chosen is None else chosen
        section = pd.DataFrame(
            {
                "hold_qty": balance,
                "new_hold_qty": rows[keep & firsts].groupby("hold_day")["qty"].sum().reindex(days, fill_value=0),
                "release_qty": released.reindex(days, fill_value=0),
                "future_hold_qty": rows[keep & future].groupby("hold_day")["qty"].sum().reindex(days, fill_value=0),
                "repeat_quality_hold_qty": rows[keep & repeats]
                .groupby("hold_day")["qty"]
                .sum()
                .reindex(days, fill_value=0),
            }
        )
        sections.append(section.assign(hold_type=name))
    return pd.concat(sections)


def selected(rows: pd.DataFrame, filters: Filters, *, reason: bool, duration: bool) -> pd.DataFrame:
    """Return the rows that the filters of one view leave."""
    keep = pd.Series(True, index=rows.index)
    if filters.hold_type != "all":
        keep &= rows["hold_type"] == filters.hold_type
    if reason and filters.reason is not None:
        keep &= rows["hold_reason"] == filters.reason
    if duration and filters.duration_range is not None:
        position = RANGES.index(filters.duration_range)
        keep &= (rows["hold_hours"] >= RANGE_EDGES_H[position]) & (rows["hold_hours"] < RANGE_EDGES_H[position + 1])
    return rows[keep]


def reason_pareto(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per reason, largest quantity first."""
    grouped = rows.groupby("hold_reason", observed=True)["qty"].agg(["count", "sum"]).reset_index()
    grouped = grouped.sort_values(["sum", "hold_reason"], ascending=[False, True])
    total = grouped["sum"].sum() or 1
    grouped["pct"] = (grouped["sum"] / total * 100).round(2)
    grouped["cum_pct"] = (grouped["sum"].cumsum() / total * 100).round(2)
    return grouped


def duration(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the four buckets of released rows."""
    done = rows[rows["release_time"].notna()]
    bucket = pd.cut(done["hold_hours"], RANGE_EDGES_H, labels=RANGES, right=False)
    return done.groupby(bucket, observed=False)["qty"].agg(["count", "sum"])


def page(rows: pd.DataFrame, size: int) -> pd.DataFrame:
    """Return the newest rows."""
    newest = rows["hold_time"].nlargest(size, keep="all").index
    return rows.loc[newest].sort_values(["hold_time", "lot_id", "history_id"], ascending=[False, True, True]).head(size)


def four_views(rows: pd.DataFrame, start: date, end: date, filters: Filters) -> tuple[object, ...]:
    """Return all four views of one click."""
    listed = selected(rows, filters, reason=True, duration=True)
    return (
        trend(rows, start, end),
        reason_pareto(selected(rows, filters, reason=False, duration=True)),
        duration(selected(rows, filters, reason=True, duration=False)),
        (len(listed), page(listed, 50)),
    )
