"""The anchor of the reject views: the views of a page as a careful pandas programmer writes them, in process.

Works on the same rows and types that Sluice answers from. Few-valued columns are categoricals, and what is only counted
or grouped by (transaction, lot, work order) was made whole numbers beforehand, as they should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

PARETOS = ("loss_reason", "package", "pj_type")
_CATEGORIES = (*PARETOS, "workcenter_group", "scrap_object_type", "txn_day")
_NUMBERED = ("event_id", "lot_id", "workorder")
_PAGE_SIZE = 50
_TOP_TYPES = 20


@dataclass(frozen=True)
class Click:
    """View-time filters of one look: one left out of everything, and what is chosen in the charts, by column."""

    left_out: str
    chosen: Mapping[str, str] = field(default_factory=dict)


def prepared(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as the views want them."""
    made = rows.copy()
    made["txn_day"] = pd.to_datetime(made["txn_day"])
    for column in _CATEGORIES:
        if column != "txn_day":
            made[column] = made[column].astype("category")
    for column in _NUMBERED:
        made[f"{column}_number"] = pd.factorize(made[column])[0]
    return made


def page(rows: pd.DataFrame, click: Click) -> dict[str, pd.DataFrame]:
    """Return every view of a page for one look, by name."""
    counted = rows[
        rows["is_policy_scrap"]
        & (rows["scrap_object_type"] != "MATERIAL")
        & ~rows["package"].isin([name for name in rows["package"].cat.categories if name.startswith("PB_")])
        & (rows["loss_reason"] != click.left_out)
    ]
    chosen = _chosen(counted, click.chosen, None)
    return {
        "summary": summary(counted),
        "trend": trend(counted),
        "analytics": analytics(counted),
        **{f"{name}_pareto": pareto(_chosen(counted, click.chosen, name), name) for name in PARETOS},
        "list": newest(chosen),
        "count": pd.DataFrame({"row_count": [len(chosen)]}),
    }


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row: all rejects together."""
    movein = int(rows.groupby("event_id_number", sort=False)["movein_qty"].max().sum())
    total, defect = int(rows["reject_total_qty"].sum()), int(rows["defect_qty"].sum())
    return pd.DataFrame(
        {
            "movein_qty": [movein],
            "reject_total_qty": [total],
            "defect_qty": [defect],
            "reject_rate_pct": [round(total / movein * 100, 4) if movein else 0.0],
            "defect_rate_pct": [round(defect / movein * 100, 4) if movein else 0.0],
            "reject_share_pct": [round(total / (total + defect) * 100, 4) if total + defect else 0.0],
            "lot_count": [rows["lot_id_number"].nunique()],
            "workorder_count": [rows.loc[rows["workorder_number"] >= 0, "workorder_number"].nunique()],
        }
    )


def trend(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per day."""
    return _rated(_summed(rows, ["txn_day"]).sort_values("txn_day"))


def analytics(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per day and reason."""
    keys = ["txn_day", "loss_reason"]
    lots = rows.groupby(keys, observed=True, sort=False)["lot_id_number"].nunique().rename("lot_count")
    orders = (
        rows[rows["workorder_number"] >= 0]
        .groupby(keys, observed=True, sort=False)["workorder_number"]
        .nunique()
        .rename("workorder_count")
    )
    summed = _summed(rows, keys).set_index(keys).join([lots, orders]).reset_index()
    return summed.astype({"loss_reason": str}).sort_values(keys)


def pareto(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the items that together reach 80 % of what was charged off, most first."""
    lots = rows.groupby(column, observed=True, sort=False)["lot_id_number"].nunique().rename("lot_count")
    summed = _summed(rows, [column]).set_index(column).join(lots).reset_index()
    summed = summed[summed["reject_total_qty"] > 0].astype({column: str})
    ordered = summed.sort_values(["reject_total_qty", column], ascending=[False, True], ignore_index=True)
    whole = ordered["reject_total_qty"].sum() or 1
    upto = ordered["reject_total_qty"].cumsum()
    ordered["pct"] = (ordered["reject_total_qty"] / whole * 100).round(4)
    ordered["cum_pct"] = (upto / whole * 100).round(4)
    left = ordered[(upto - ordered["reject_total_qty"]) * 100 < whole * 80]
    return left.head(_TOP_TYPES) if column == "pj_type" else left


def newest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the first page of the list, newest first."""
    latest = rows["txn_time"].nlargest(_PAGE_SIZE, keep="all").index
    keys = ["txn_time", "lot_id", "event_id", "loss_reason"]
    return rows.loc[latest].sort_values(keys, ascending=[False, True, True, True]).head(_PAGE_SIZE)


def _chosen(rows: pd.DataFrame, chosen: Mapping[str, str], but: str | None) -> pd.DataFrame:
    keep = np.ones(len(rows), dtype=bool)
    for column, value in chosen.items():
        if column != but:
            keep &= (rows[column] == value).to_numpy()
    return rows if keep.all() else rows[keep]


def _summed(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sums by keys, a transaction's move-in counted once in each."""
    events = rows.groupby([*keys, "event_id_number"], observed=True, sort=False).agg(
        movein_qty=("movein_qty", "max"),
        reject_total_qty=("reject_total_qty", "sum"),
        defect_qty=("defect_qty", "sum"),
    )
    return events.groupby(level=keys, observed=True, sort=False).sum().reset_index()


def _rated(rows: pd.DataFrame) -> pd.DataFrame:
    movein = rows["movein_qty"].where(rows["movein_qty"] > 0)
    return rows.assign(
        reject_rate_pct=(rows["reject_total_qty"] / movein * 100).round(4).fillna(0.0),
        defect_rate_pct=(rows["defect_qty"] / movein * 100).round(4).fillna(0.0),
    )
