"""What each event domain has to answer, in plain Python over the plant's raw rows: no SQL, no code of ours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Row = dict[str, Any]
Raw = Mapping[str, list[Row]]
"""Raw rows by table, without the tables' prefix."""

REJECT_PARTS = ("REJECTQTY", "STANDBYQTY", "QTYTOPROCESS", "INPROCESSQTY", "PROCESSEDQTY")
GROUPS = (
    ("切割", ("切割",), ("元件切割", "PKG_SAW")),
    ("元件切割", ("元件切割", "PKG_SAW"), ()),
    ("測試", ("TMTT", "測試"), ()),
    ("Wafer Sawing", ("SAW_",), ()),
    ("Die Bond", ("_DB",), ()),
    ("Wire Bond", ("_WB",), ()),
    ("Die and Wire Bond", ("_DW",), ()),
    ("Molding", ("MOLD_",), ()),
    ("De-junk", ("DEJUNK_",), ()),
    ("Blasting", ("BLAST_",), ()),
    ("Plating", ("PLATE_",), ()),
    ("Pad Printing", ("MARK_",), ()),
    ("Trim and Form", ("TRIM_", "FORM_"), ()),
    ("Testing", ("TEST_",), ()),
)


def trimmed(value: Any) -> Any:
    """Return a text without its padding, None for what is blank."""
    return (value.rstrip(" ") or None) if isinstance(value, str) else value


def pieces(value: Any) -> int:
    """Return a quantity of pieces, 0 for none."""
    return int(value or 0)


def picked(row: Row, *names: str) -> Row:
    """Return columns as texts without padding and quantities as whole numbers."""
    return {name: int(row[name]) if isinstance(row[name], Decimal) else trimmed(row[name]) for name in names}


def group_of(center: str | None) -> str | None:
    """Return the group that a work centre's name tells."""
    if center is None:
        return None
    for name, patterns, excluded in GROUPS:
        if any(word in center for word in patterns) and not any(word in center for word in excluded):
            return name
    return None


def container_of(raw: Raw) -> dict[str, Row]:
    """Return containers by id."""
    return {row["CONTAINERID"].strip(): row for row in raw["CONTAINER"]}


def asked(rows: Iterable[Row], ids: Collection[str]) -> list[Row]:
    """Return the rows of the containers asked for."""
    return [row for row in rows if row["CONTAINERID"] is not None and row["CONTAINERID"].strip() in ids]


def history(raw: Raw, ids: Collection[str], as_of: datetime) -> list[Row]:
    lots = container_of(raw)
    found = []
    for row in asked(raw["LOTWIPHISTORY"], ids):
        if row["EQUIPMENTID"] is None or row["TRACKINTIMESTAMP"] is None:
            continue
        lot = lots.get(row["CONTAINERID"].strip(), {})
        found.append(
            {
                **picked(row, "CONTAINERID", "WORKCENTERNAME", "EQUIPMENTID", "EQUIPMENTNAME", "SPECNAME"),
                **picked(row, "TRACKINTIMESTAMP", "TRACKOUTTIMESTAMP", "TRACKINQTY", "TRACKOUTQTY"),
                **picked(row, "FINISHEDRUNCARD", "PJ_WORKORDER"),
                **{name: trimmed(lot.get(name)) for name in ("CONTAINERNAME", "PJ_TYPE", "PJ_BOP", "PRODUCTLINENAME")},
                "WAFER_LOT_ID": trimmed(lot.get("FIRSTNAME")),
            }
        )
    return found


def materials(raw: Raw, ids: Collection[str], as_of: datetime) -> list[Row]:
    lots = container_of(raw)
    return [
        {
            **picked(row, "CONTAINERID", "MATERIALPARTNAME", "MATERIALLOTNAME", "WORKCENTERNAME", "SPECNAME"),
            **picked(row, "EQUIPMENTNAME", "TXNDATE"),
            "CONTAINERNAME": trimmed(lots.get(row["CONTAINERID"].strip(), {}).get("CONTAINERNAME")),
            "MATERIALDESCRIPTION": trimmed(row["DESCRIPTION"]),
            "QTYCONSUMED": None if row["QTYCONSUMED"] is None else float(row["QTYCONSUMED"]),
        }
        for row in asked(raw["LOTMATERIALSHISTORY"], ids)
    ]


def step_places(raw: Raw) -> dict[str, tuple[int, str, str]]:
    """Return for each step the first place in the flow: its order, group and work centre."""
    places: dict[str, tuple[int, str, str]] = {}
    for row in raw["SPEC_WORKCENTER_V"]:
        text = (row["WORKCENTERSEQUENCE_GROUP"] or "").strip()
        order = int(text) if text.isdigit() else 999
        place = (order, row["WORK_CENTER_GROUP"].strip(), row["WORK_CENTER"].strip())
        spec = row["SPEC"].strip()
        places[spec] = min(place, places.get(spec, place))
    return places


def rejects(raw: Raw, ids: Collection[str], as_of: datetime) -> list[Row]:
    lots, places = container_of(raw), step_places(raw)
    found = []
    for row in asked(raw["LOTREJECTHISTORY"], ids):
        lot = lots.get(row["CONTAINERID"].strip(), {})
        own = trimmed(row["WORKCENTERNAME"])
        order, group, center = places.get(trimmed(row["SPECNAME"]) or "", (999, None, None))
        parts = [pieces(row[name]) for name in REJECT_PARTS]
        found.append(
            {
                **picked(row, "CONTAINERID", "REJECTCOMMENT", "TXNDATE"),
                **{
                    name: trimmed(lot.get(name))
                    for name in ("PRODUCTLINENAME", "PJ_FUNCTION", "PJ_TYPE", "PRODUCTNAME")
                },
                "CONTAINERNAME": trimmed(lot.get("CONTAINERNAME")) or row["CONTAINERID"].strip(),
                "WORKCENTERNAME": center or own or "(NA)",
                "WORKCENTER_GROUP": group or own or "(NA)",
                "WORKCENTERSEQUENCE_GROUP": order,
                "SPECNAME": trimmed(row["SPECNAME"]) or "(NA)",
                "LOSSREASONNAME": trimmed(row["LOSSREASONNAME"]) or "(未填寫)",
                "EQUIPMENTNAME": trimmed(row["EQUIPMENTNAME"]) or "(NA)",
                **dict(
                    zip(
                        ("REJECT_QTY", "STANDBY_QTY", "QTYTOPROCESS_QTY", "INPROCESS_QTY", "PROCESSED_QTY"),
                        parts,
                        strict=True,
                    )
                ),
                "REJECT_TOTAL_QTY": sum(parts),
                "DEFECT_QTY": pieces(row["DEFECTQTY"]),
                "TXN_TIME": row["TXNDATE"],
                "TXN_DAY": row["TXNDATE"].date(),
            }
        )
    return found


def holds(raw: Raw, ids: Collection[str], as_of: datetime) -> list[Row]:
    lots = container_of(raw)
    found = []
    for row in asked(raw["HOLDRELEASEHISTORY"], ids):
        seconds = int(((row["RELEASETXNDATE"] or as_of) - row["HOLDTXNDATE"]).total_seconds())
        hours = (Decimal(seconds) / 3600).quantize(Decimal("0.01"), ROUND_HALF_UP)
        name = trimmed(lots.get(row["CONTAINERID"].strip(), {}).get("CONTAINERNAME"))
        found.append(
            {
                **picked(row, "CONTAINERID", "WORKCENTERNAME", "HOLDTXNDATE", "HOLDEMP", "HOLDEMPDEPTNAME"),
                **picked(row, "HOLDREASONNAME", "HOLDCOMMENTS", "RELEASETXNDATE", "RELEASEEMP", "RELEASECOMMENTS"),
                **picked(row, "NCRID"),
                "CONTAINERNAME": name or row["CONTAINERID"].strip(),
                "HOLD_STATUS": "HOLD" if row["RELEASETXNDATE"] is None else "RELEASED",
                "HOLD_HOURS": float(hours),
            }
        )
    return found


def jobs(raw: Raw, ids: Collection[str], as_of: datetime) -> list[Row]:
    return [
        {
            "CONTAINERID": lot,
            **picked(row, "JOBID", "RESOURCEID", "RESOURCENAME", "JOBSTATUS", "JOBMODELNAME", "JOBORDERNAME"),
            **picked(row, "CREATEDATE", "COMPLETEDATE", "CAUSECODENAME", "REPAIRCODENAME", "SYMPTOMCODENAME"),
            **picked(row, "CONTAINERIDS", "CONTAINERNAMES"),
        }
        for row in raw["JOB"]
        for lot in sorted({text.strip() for text in (row["CONTAINERIDS"] or "").split(",")} & set(ids))
    ]


def upstream_history(raw: Raw, ids: Collection[str], as_of: datetime) -> list[Row]:
    loaded: dict[tuple[Any, ...], int] = {}
    for row in asked(raw["LOTWIPHISTORY"], ids):
        if row["EQUIPMENTID"] is None or row["TRACKINTIMESTAMP"] is None:
            continue
        names = ("CONTAINERID", "WORKCENTERNAME", "EQUIPMENTNAME", "EQUIPMENTID", "SPECNAME", "TRACKINTIMESTAMP")
        session = tuple(trimmed(row[name]) for name in names)
        loaded[session] = max(loaded.get(session, 0), pieces(row["TRACKINQTY"]))
    latest: dict[tuple[Any, ...], Row] = {}
    for (lot, center, name, machine, spec, at), quantity in loaded.items():
        there = latest.get((lot, center, name))
        if there is None or there["TRACKINTIMESTAMP"] < at:
            latest[lot, center, name] = {
                "CONTAINERID": lot,
                "WORKCENTERNAME": center,
                "WORKCENTER_GROUP": group_of(center),
                "EQUIPMENTID": machine,
                "EQUIPMENTNAME": name,
                "SPECNAME": spec,
                "TRACKINTIMESTAMP": at,
                "TRACKINQTY": quantity,
            }
    return list(latest.values())


def downstream_rejects(raw: Raw, ids: Collection[str], as_of: datetime) -> list[Row]:
    return [
        {
            **picked(row, "CONTAINERID", "WORKCENTERNAME", "TXNDATE"),
            "WORKCENTER_GROUP": group_of(trimmed(row["WORKCENTERNAME"])),
            "LOSSREASONNAME": trimmed(row["LOSSREASONNAME"]) or "(未填寫)",
            "EQUIPMENTNAME": trimmed(row["EQUIPMENTNAME"]) or "(NA)",
            "REJECT_TOTAL_QTY": sum(pieces(row[name]) for name in (*REJECT_PARTS, "DEFECTQTY")),
        }
        for row in asked(raw["LOTREJECTHISTORY"], ids)
    ]


JUDGES: Mapping[str, Callable[[Raw, Collection[str], datetime], list[Row]]] = {
    "history": history,
    "materials": materials,
    "rejects": rejects,
    "holds": holds,
    "jobs": jobs,
    "upstream_history": upstream_history,
    "downstream_rejects": downstream_rejects,
}

ORDER: Mapping[str, Callable[[Row], tuple[Any, ...]]] = {
    "history": lambda row: (row["TRACKINTIMESTAMP"],),
    "materials": lambda row: (row["TXNDATE"],),
    "rejects": lambda row: (
        -row["TXN_DAY"].toordinal(),
        row["WORKCENTERSEQUENCE_GROUP"],
        row["WORKCENTERNAME"],
        -row["REJECT_TOTAL_QTY"],
    ),
    "holds": lambda row: (-row["HOLDTXNDATE"].timestamp(),),
    "jobs": lambda row: (-row["CREATEDATE"].timestamp(),),
    "upstream_history": lambda row: (row["TRACKINTIMESTAMP"],),
    "downstream_rejects": lambda row: (row["TXNDATE"],),
}
"""What the rows of one container are in order of."""
