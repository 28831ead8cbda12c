"""The judge of what is on the floor now: lots in process, machines and what is on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tests.truth.raw_rows import Raw, places, whole

CATEGORIES = {
    "PRD": "PRODUCTIVE",
    "設備-RUN": "PRODUCTIVE",
    "SBY": "STANDBY",
    "UDT": "DOWN",
    "SDT": "DOWN",
    "EGT": "ENGINEERING",
    "NST": "NOT_SCHEDULED",
    "SCRAP": "INACTIVE",
    "設備-LOST": "INACTIVE",
}
SIX = ("PRD", "SBY", "UDT", "SDT", "EGT", "NST")


@dataclass(frozen=True)
class FloorLot:
    """A lot in process."""

    row: Raw
    status: str
    hold_type: str | None

    @property
    def qty(self) -> int:
        """Its pieces."""
        return whole(self.row["QTY"])

    @property
    def group(self) -> str | None:
        """Its work-centre group."""
        name: str | None = self.row["WORKCENTER_GROUP"]
        return name

    @property
    def sequence(self) -> int:
        """Place of the group in the flow, 999 where none is told."""
        text = self.row["WORKCENTERSEQUENCE_GROUP"] or ""
        return int(text) if text.isdigit() else 999

    @property
    def package(self) -> str | None:
        """Its package with the lead frame, else its product line."""
        name: str | None = self.row["PACKAGE_LEF"] or self.row["PRODUCTLINENAME"]
        return name

    @property
    def age(self) -> str:
        """Range of its age."""
        days = self.row["AGEBYDAYS"]
        return "(none)" if days is None else next(n for top, n in AGES if days < top)


AGES = ((1, "0-1"), (3, "1-3"), (7, "3-7"), (float("inf"), "7+"))


def floor_lots(view: Iterable[Raw], non_quality: Collection[str]) -> list[FloorLot]:
    """Return the lots with a work order that are no dummies, each once."""
    rows: dict[str, list[Raw]] = {}
    for row in view:
        if row["WORKORDER"] and "DUMMY" not in (row["LOTID"] or row["CONTAINERID"]).upper():
            rows.setdefault(row["CONTAINERID"], []).append(row)
    return [_lot(of_lot[0], non_quality) for of_lot in rows.values()]


def _lot(row: Raw, non_quality: Collection[str]) -> FloorLot:
    running, held = whole(row["EQUIPMENTCOUNT"]) > 0, whole(row["CURRENTHOLDCOUNT"]) > 0
    status = "RUN" if running else "HOLD" if held else "QUEUE"
    other = row["HOLDREASONNAME"] in non_quality
    return FloorLot(row, status, None if status != "HOLD" else "non-quality" if other else "quality")


def lot_figures(lots: Collection[FloorLot]) -> dict[str, int]:
    """Return lots and pieces in all, by status and by kind of hold."""
    kinds: Mapping[str, Callable[[FloorLot], bool]] = {
        "total": lambda lot: True,
        "run": lambda lot: lot.status == "RUN",
        "hold": lambda lot: lot.status == "HOLD",
        "queue": lambda lot: lot.status == "QUEUE",
        "quality_hold": lambda lot: lot.hold_type == "quality",
        "non_quality_hold": lambda lot: lot.hold_type == "non-quality",
    }
    told: dict[str, int] = {}
    for name, is_one in kinds.items():
        chosen = [lot for lot in lots if is_one(lot)]
        told |= {f"{name}_lots": len(chosen), f"{name}_qty": sum(lot.qty for lot in chosen)}
    return told


def by(lots: Iterable[FloorLot], key: Callable[[FloorLot], Any]) -> dict[Any, list[FloorLot]]:
    """Return lots by whatever `key` says of one."""
    found: dict[Any, list[FloorLot]] = {}
    for lot in lots:
        found.setdefault(key(lot), []).append(lot)
    return found


def amounts(lots: Collection[FloorLot]) -> tuple[int, int]:
    """Return lots and pieces."""
    return len(lots), sum(lot.qty for lot in lots)


def age_of(lots: Collection[FloorLot]) -> float | None:
    """Return the average age in days, one decimal."""
    known = [Fraction(str(lot.row["AGEBYDAYS"])) for lot in lots if lot.row["AGEBYDAYS"] is not None]
    return places(sum(known, Fraction(0)) / len(known), 1) if known else None


@dataclass
class FloorMachine:
    """A machine now, and pieces of the lots on it."""

    master: Raw
    status: str | None
    job: str | None
    lots: dict[str, int]

    @property
    def category(self) -> str:
        """What its status means."""
        return "UNKNOWN" if self.status is None else CATEGORIES.get(self.status, "OTHER")


def floor_machines(masters: Mapping[str, Raw], live: Iterable[Raw]) -> list[FloorMachine]:
    """Return the machines of the master, each with its status and its lots, of repeated rows the most pieces."""
    found = {key: FloorMachine(master, None, None, {}) for key, master in masters.items()}
    for row in live:
        machine = found.get(row["RESOURCEID"])
        if machine is None:
            continue
        machine.status = machine.status or row["EQUIPMENTASSETSSTATUS"]
        machine.job = min(filter(None, (machine.job, row["JOBORDER"])), default=None)
        lot = row["RUNCARDLOTID"]
        if lot is not None:
            machine.lots[lot] = max(machine.lots.get(lot, 0), whole(row["LOTTRACKINQTY_PCS"]))
    return list(found.values())


def machine_figures(machines: Collection[FloorMachine]) -> dict[str, float | int | None]:
    """Return counts by status and category, and the ratios of machines now."""
    status = Counter(machine.status if machine.status in SIX else "OTHER" for machine in machines)
    category = Counter(machine.category for machine in machines)
    operating = sum(status[name] for name in SIX if name != "NST")
    available = status["PRD"] + status["SBY"] + status["EGT"]
    told: dict[str, float | int | None] = {"total_count": len(machines)}
    told |= {f"{name.lower()}_count": status[name] for name in (*SIX, "OTHER")}
    told |= {f"{name.lower()}_count": category[name] for name in sorted({*CATEGORIES.values(), "UNKNOWN"})}
    return told | {
        "other_category_count": category["OTHER"],
        "with_active_job_count": sum(machine.job is not None for machine in machines),
        "with_wip_count": sum(bool(machine.lots) for machine in machines),
        "ou_pct": places(Fraction(100 * status["PRD"], operating), 1) if operating else None,
        "availability_pct": places(Fraction(100 * available, len(machines)), 1) if machines else None,
    }
