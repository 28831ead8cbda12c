"""The judge of reject history: rejects as people see them, and the figures over any of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from tests.truth.raw_rows import Raw, places, whole

NOT_KNOWN, NOT_FILLED = "(NA)", "(not filled)"
PARTS = {
    "reject_qty": "REJECTQTY",
    "standby_qty": "STANDBYQTY",
    "to_process_qty": "QTYTOPROCESS",
    "in_process_qty": "INPROCESSQTY",
    "processed_qty": "PROCESSEDQTY",
}


def steps_of(rows: Iterable[Raw]) -> dict[str, tuple[int, str, str]]:
    """Return place, group and work centre by step: of several rows the one whose group comes first."""
    found: dict[str, tuple[int, str, str]] = {}
    for row in rows:
        if row["SPEC"]:
            text = row["WORKCENTERSEQUENCE_GROUP"] or ""
            place = (int(text) if text.isdigit() else 999, row["WORK_CENTER_GROUP"], row["WORK_CENTER"])
            found[row["SPEC"]] = min(found.get(row["SPEC"], place), place)
    return found


def reject_rows(
    raw: Iterable[Raw],
    lots: Mapping[str, Raw],
    steps: Mapping[str, tuple[int, str, str]],
    excluded: Collection[str],
    chosen: Callable[[Raw], bool],
) -> list[dict[str, Any]]:
    """Return the chosen rejects with every column that the list shows, and `event` and `counts`."""
    return [_reject(row, lots.get(row["CONTAINERID"] or "", {}), steps, excluded) for row in raw if chosen(row)]


def _reject(row: Raw, lot: Raw, steps: Mapping[str, tuple[int, str, str]], excluded: Collection[str]) -> dict[str, Any]:
    own = row["WORKCENTERNAME"] or NOT_KNOWN
    _, group, center = steps.get(row["SPECNAME"] or "", (999, own, own))
    reason = row["LOSSREASONNAME"]
    code = re.split(r"[_ -]", reason)[0] if reason else ""
    parts = {name: whole(row[column]) for name, column in PARTS.items()}
    told: dict[str, Any] = {
        "txn_time": row["TXNDATE"],
        "txn_day": row["TXNDATE"].date(),
        "txn_month": f"{row['TXNDATE']:%Y-%m}",
        "workcenter_group": group,
        "workcenter": center,
        "spec": row["SPECNAME"] or NOT_KNOWN,
        "equipment": row["EQUIPMENTNAME"] or NOT_KNOWN,
        "package": lot.get("PRODUCTLINENAME") or NOT_KNOWN,
        "pj_type": lot.get("PJ_TYPE") or NOT_KNOWN,
        "lot_id": lot.get("CONTAINERNAME") or row["CONTAINERID"] or NOT_KNOWN,
        "workorder": row["PJ_WORKORDER"],
        "pj_function": lot.get("PJ_FUNCTION") or NOT_KNOWN,
        "product": lot.get("PRODUCTNAME") or NOT_KNOWN,
        "loss_reason": reason or NOT_FILLED,
        "loss_reason_code": code or reason or NOT_FILLED,
        "reject_comment": row["REJECTCOMMENT"],
        "movein_qty": whole(row["MOVEINQTY"]),
        **parts,
        "reject_total_qty": sum(parts.values()),
        "defect_qty": whole(row["DEFECTQTY"]),
    }
    rated = told | rates(told["movein_qty"], told["reject_total_qty"], told["defect_qty"])
    return rated | {
        "event": row["HISTORYMAINLINEID"] or (row["CONTAINERID"], row["TXNDATE"], row["SPECID"]),
        "counts": _counts(reason, code, excluded),
        "material": lot.get("OBJECTTYPE") == "MATERIAL",
    }


def _counts(reason: str | None, code: str, excluded: Collection[str]) -> bool:
    named = reason is not None and re.match(r"[0-9]{3}_", reason) is not None
    return named and not {(reason or "").upper(), code.upper()} & set(excluded)


def by_policy(
    rows: Iterable[dict[str, Any]], *, excluded: bool = False, no_material: bool = True, no_pb: bool = True
) -> list[dict[str, Any]]:
    """Return the rejects that the policy of the plant leaves."""
    return [
        row
        for row in rows
        if (excluded or row["counts"])
        and not (no_material and row["material"])
        and not (no_pb and row["package"].startswith("PB_"))
    ]


def rates(movein: int, total: int, defect: int) -> dict[str, float]:
    """Return the three rates in percent with four decimals, 0 where there is nothing to divide by."""
    return {
        "reject_rate_pct": _share(total, movein),
        "defect_rate_pct": _share(defect, movein),
        "reject_share_pct": _share(total, total + defect),
    }


def _share(part: int, whole_: int) -> float:
    return places(Fraction(100 * part, whole_), 4) if whole_ else 0.0


def sums(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return move-in, each transaction once, and what was charged off and recorded."""
    moved: dict[Any, int] = {}
    for row in rows:
        moved[row["event"]] = max(moved.get(row["event"], 0), row["movein_qty"])
    return {
        "movein_qty": sum(moved.values()),
        "reject_total_qty": sum(row["reject_total_qty"] for row in rows),
        "defect_qty": sum(row["defect_qty"] for row in rows),
    }


def counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many different lots and work orders there are."""
    orders = {row["workorder"] for row in rows} - {None}
    return {"lot_count": len({row["lot_id"] for row in rows}), "workorder_count": len(orders)}


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of all rows together."""
    told = sums(rows)
    return told | rates(*told.values()) | counts(rows)


def grouped(rows: Iterable[dict[str, Any]], by: Callable[[dict[str, Any]], Any]) -> dict[Any, list[dict[str, Any]]]:
    """Return rejects by whatever `by` says of one, in order of that."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(by(row), []).append(row)
    return dict(sorted(groups.items()))


def trend(rows: Iterable[dict[str, Any]], granularity: str) -> list[dict[str, Any]]:
    """Return the figures by day, week from Monday, or month."""
    items = []
    for first, members in grouped(rows, lambda row: first_day(row["txn_day"], granularity)).items():
        told = sums(members)
        shares = rates(*told.values())
        del shares["reject_share_pct"]
        items.append({"bucket_date": first} | told | shares)
    return items


def first_day(day: date, granularity: str) -> date:
    """Return the first day of the bucket a day falls into."""
    if granularity == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if granularity == "month" else day


def analytics(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the figures by day and reason."""
    return [
        {"bucket_date": day, "loss_reason": reason} | sums(members) | counts(members)
        for (day, reason), members in grouped(rows, lambda row: (row["txn_day"], row["loss_reason"])).items()
    ]


def pareto(
    rows: Iterable[dict[str, Any]], column: str, metric: str = "reject_total_qty", *, everything: bool = False
) -> list[dict[str, Any]]:
    """Return the values of a column by what was lost; unless everything, those that together reach 80 %."""
    told = {item: (sums(members), members) for item, members in grouped(rows, lambda row: row[column]).items()}
    lost = {item: both[0][metric] for item, both in told.items() if both[0][metric] > 0}
    whole_, before = sum(lost.values()), 0
    items: list[dict[str, Any]] = []
    for item in sorted(lost, key=lambda name: (-lost[name], name)):
        enough = before * 100 >= whole_ * 80 or (column == "pj_type" and len(items) == 20)
        if enough and not everything:
            break
        before += lost[item]
        shown = {"item": item, "metric_value": lost[item]} | told[item][0]
        shown["lot_count"] = counts(told[item][1])["lot_count"]
        items.append(shown | {"pct": _share(lost[item], whole_), "cum_pct": _share(before, whole_)})
    return items
