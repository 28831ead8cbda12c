"""Composes `truth.json`: what was planted in a file and what hold history must answer on it.

Rows come from the file by plain selects of raw columns; every number comes from `truth`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from sluice_twin import genealogy, truth
from sluice_twin.hold_oddities import EDGE_DAY, NULL_MONTH, planted_holds
from sluice_twin.holds import TABLE as HOLDS
from sluice_twin.holds import hold_ids
from sluice_twin.lots import lot_ids
from sluice_twin.plant import GENERATOR_VERSION, PLANT_TIME, PlantSpec
from sluice_twin.steps import SHARED_SPEC, UNMAPPED_WORK_CENTER, group_of_work_center
from sluice_twin.tables import SCHEMA, table
from sluice_twin.words import NON_QUALITY_REASONS

HOLDS_MAX: Final = 250_000
"""Above this many holds no answers are worked out: plain Python objects of 2 M holds would need 2 GB."""

RANGES: Final = (
    (date(2024, 1, 1), date(2024, 12, 31)),
    (date(2025, 1, 1), date(2025, 12, 31)),
    (date(2024, 9, 1), date(2024, 9, 30)),
    (date(2025, 3, 1), date(2025, 5, 31)),
    (EDGE_DAY.date(), EDGE_DAY.date()),
    (date(2025, 12, 15), date(2025, 12, 31)),
)
"""Two whole years, the month without comments, the repeated holds, the day with planted edges, the plant's end."""

_EVERY: Final = frozenset({"new", "on_hold", "released"})

FILTERS: Final = (
    truth.Filters(),
    truth.Filters(hold_type="all", record_type=_EVERY),
    truth.Filters(hold_type="non-quality", record_type=frozenset({"new", "on_hold"})),
    truth.Filters(hold_type="all", record_type=frozenset({"on_hold"})),
    truth.Filters(hold_type="quality", record_type=frozenset({"released"}), duration_range=">3d"),
    truth.Filters(hold_type="all", record_type=_EVERY, include_reasons=("Low yield", "Die crack")),
    truth.Filters(hold_type="all", record_type=_EVERY, exclude_reasons=("Low yield",), duration_range="<4h"),
    truth.Filters(hold_type="all", record_type=_EVERY, include_reasons=(truth.NOT_FILLED,)),
    truth.Filters(hold_type="all", record_type=_EVERY, day_filter="2025-06-18:new"),
    truth.Filters(hold_type="all", record_type=_EVERY, day_filter="2025-06-18:release"),
)


def write_truth(plant: Path, out: Path, spec: PlantSpec, row_counts: Mapping[str, int]) -> None:
    """Write the truths of a finished plant file."""
    whole = {
        "generator_version": GENERATOR_VERSION,
        "seed": spec.seed,
        "scale": spec.scale,
        "plant_time": PLANT_TIME.isoformat(),
        "row_counts": dict(row_counts),
        "non_quality_reasons": list(NON_QUALITY_REASONS),
        "planted": {"lots": planted_lots(spec), "holds": planted_hold_ids(spec), "other": _other()},
        "expected": _expected(plant) if 0 < row_counts[HOLDS] <= HOLDS_MAX else [],
    }
    out.write_text(json.dumps(whole, ensure_ascii=False, default=_as_text) + "\n", encoding="utf-8")


def planted_hold_ids(spec: PlantSpec) -> dict[str, list[str]]:
    """`HISTORYMAINLINEID`s of the planted holds under the name of their oddity."""
    ids = hold_ids(spec, np.arange(len(planted_holds())))
    named: dict[str, list[str]] = {}
    for hold, history_id in zip(planted_holds(), ids, strict=True):
        named.setdefault(hold.oddity, []).append(history_id.decode())
    return named


def planted_lots(spec: PlantSpec) -> dict[str, list[str]]:
    """`CONTAINERID`s, without padding, of the lots of each planted relation (see `genealogy`)."""
    ids = [container_id.decode().rstrip() for container_id in lot_ids(spec, genealogy.PLANTED)]
    relations: dict[str, Sequence[int]] = {
        "split_chain": genealogy.CHAIN,
        "self_parent": [genealogy.SELF_PARENT],
        "split_cycle": genealogy.CYCLE,
        "diamond": genealogy.DIAMOND,
        "rework_source": [genealogy.REWORK_SOURCE],
        "rework_by_original": [genealogy.REWORK_BY_ORIGINAL],
        "rework_by_split": [genealogy.REWORK_BY_SPLIT],
        "rework_by_both": [genealogy.REWORK_BY_BOTH],
        "parent_without_container": [genealogy.LOST_PARENT],
        "two_merges": genealogy.TWO_MERGES,
        "unknown_serial": genealogy.UNKNOWN_SERIAL,
        "short_ids": genealogy.SHORT_IDS,
        "wafer_lot": [genealogy.WAFER_LOT],
        "from_wafer_lot": genealogy.FROM_WAFER,
    }
    return {name: [ids[lot] for lot in lots] for name, lots in relations.items()}


def _other() -> dict[str, object]:
    return {
        "null_month": [moment.isoformat() for moment in NULL_MONTH],
        "null_month_columns": ["HOLDCOMMENTS", "NCRID"],
        "spec_under_several_groups": SHARED_SPEC,
        "work_center_without_group": UNMAPPED_WORK_CENTER,
        "edge_day": EDGE_DAY.date().isoformat(),
    }


def _filters(start: date, end: date) -> Sequence[truth.Filters]:
    """All combinations on short ranges; four on whole years, where each costs half a second."""
    return FILTERS if (end - start).days < 200 else FILTERS[:4]


def _expected(plant: Path) -> list[dict[str, object]]:
    holds, containers = (
        read_raw(plant, HOLDS, truth.RAW_HOLD_COLUMNS),
        read_raw(plant, "DW_MES_CONTAINER", truth.RAW_CONTAINER_COLUMNS),
    )
    return [_answers(holds, containers, start, end) for start, end in RANGES]


def _answers(
    holds: Sequence[truth.RawRow], containers: Sequence[truth.RawRow], start: date, end: date
) -> dict[str, object]:
    groups = group_of_work_center()
    rows = truth.hold_rows(holds, containers, start=start, end=end, as_of=PLANT_TIME, groups=groups)
    return {
        "start": start,
        "end": end,
        "row_count": len(rows),
        "trend": truth.trend(rows, start, end),
        "views": [_views(rows, start, end, filters) for filters in _filters(start, end)],
    }


def _views(rows: Sequence[truth.Hold], start: date, end: date, filters: truth.Filters) -> dict[str, object]:
    listed = truth.listed(rows, start, end, filters)
    return {
        "filters": {**asdict(filters), "record_type": sorted(filters.record_type)},
        "reason_pareto": truth.reason_pareto(rows, start, end, filters),
        "duration": truth.duration(rows, start, end, filters),
        "hours": truth.hours(rows, start, end, filters),
        "list_count": len(listed),
        "list_first": [hold.history_id for hold in listed[:10]],
    }


def read_raw(plant: Path, name: str, columns: Sequence[str]) -> list[dict[str, object]]:
    """Raw rows of one table, as they stand, by column name.

    Raises:
        UnknownTable: no table has this name.
    """
    known = {column.name for column in table(name).columns}
    chosen = [column for column in columns if column in known]
    with duckdb.connect(plant, read_only=True) as connection:
        found = connection.table(f"{SCHEMA}.{name}").project(*chosen).fetchall()
    return [dict(zip(chosen, row, strict=True)) for row in found]


def _as_text(value: object) -> str:
    assert isinstance(value, (date, datetime))
    return value.isoformat()
