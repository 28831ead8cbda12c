"""The ERP side: moves and scrap per work order and operation, and the list of scrap reasons left out of yield."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sluice_twin.columns import NO_TIME, NONE, Flags, Ints, Rows, coded, constant, numbers, slices, times
from sluice_twin.containers import product_columns
from sluice_twin.lots import Lots
from sluice_twin.plant import DAY_S, START_S, PlantSpec, instant
from sluice_twin.steps import plant_steps
from sluice_twin.words import words


def move_rows(spec: PlantSpec, lots: Lots) -> Iterator[Rows]:
    """`ERP_WIP_MOVETXN`: quantities moved and scrapped per work order and operation, in time order."""
    for number, lot, at, scrapped in _events(spec, lots, "ERP_WIP_MOVETXN"):
        yield {
            **_erp_columns(lots, number, lot, at, scrapped),
            "WIP_ENTITY_ID": numbers(lots.order[lot]),
            "ITEM_ID": numbers(lots.product[lot]),
        }


def detail_rows(spec: PlantSpec, lots: Lots) -> Iterator[Rows]:
    """`ERP_WIP_MOVETXN_DETAIL`: the same kind of line with product attributes; scrap lines name their lot."""
    for number, lot, at, scrapped in _events(spec, lots, "ERP_WIP_MOVETXN_DETAIL"):
        yield {
            **_erp_columns(lots, number, lot, at, scrapped),
            **product_columns(lots, lot, ("ASSEMBLY_ITEM_NAME", "PACKAGE", "TYPE", "FUNCTION", None)),
            "FAMILY": coded(words("families"), lots.product[lot] % 8),
            "LINE": coded(["Line 1", "Line 2", "Line 3"], number % 3),
            "PROD_RATIO": numbers(np.where(number % 10 == 0, 0.5, 1.0)),
            "DATE_CLOSED": times(np.where(number % 4 == 0, at + 9 * DAY_S, NO_TIME)),
        }


def _events(spec: PlantSpec, lots: Lots, table: str) -> Iterator[tuple[Ints, Ints, Ints, Flags]]:
    count = spec.row_count(table)
    rng = spec.random(table)
    lot, at = lots.moments(rng, count)
    scrapped = rng.random(count) < 0.3
    for rows in slices(count):
        yield np.arange(rows.start, rows.stop), lot[rows], at[rows], scrapped[rows]


def _erp_columns(lots: Lots, number: Ints, lot: Ints, at: Ints, scrapped: Flags) -> Rows:
    """What both ERP tables share; a scrap line moves nothing."""
    steps = plant_steps()
    progress = lots.progress(lot, at)
    center = steps.spec_center[steps.spec_at(progress, number)]
    day = [int(f"{instant(START_S + offset * DAY_S):%Y%m%d}") for offset in range(732)]
    reason = np.where(scrapped, number % 20, NONE)
    names = words("loss_reasons")
    return {
        "SEQ_ID": numbers(np.array(day, dtype=np.int64)[(at - START_S) // DAY_S]),
        "WIP_ENTITY_NAME": coded(lots.orders, lots.order[lot]),
        "WIP_CLASS_CODE": coded([name[:2] for name in lots.orders], lots.order[lot]),
        "OPERATION_SEQ_NUM": numbers(10 + progress // 84 * 10),
        "DEPARTMENT_ID": numbers(center + 1),
        "DEPARTMENT_NAME": coded([name[:10] for name in steps.centers], center),
        "TRANSACTION_QUANTITY": numbers(np.where(scrapped, 0, lots.quantity[lot])),
        "SCRAP_QUANTITY": numbers(np.where(scrapped, 1 + number % 37, 0)),
        "UOM": constant("EA", len(lot)),
        "REASON_CODE": coded([name[:3] for name in names], reason),
        "REASON_NAME": coded(names, reason),
        "SOURCE_CODE": coded(lots.names, np.where(scrapped, lot, NONE)),
        "TXN_DATE": times(at),
        "LAST_UPDATED_BY": numbers(number % 50 + 1),
        "CREATED_BY": numbers(number % 50 + 1),
        "LAST_UPDATE_DATE": times(at + 3_600),
        "CREATION_DATE": times(at + 60),
    }


def excluded_reason_rows() -> Rows:
    """`ERP_PJ_WIP_SCRAP_REASONS_EXCLUDE`: codes and names in any case and spacing, some of them switched off."""
    listed = [*words("excluded_scrap"), *words("loss_reasons")[:2]]
    number = np.arange(len(listed))
    return {
        "REASON_ID": numbers(number + 1),
        "REASON_NAME": coded(listed, number),
        "DESCRIPTION": coded(["Not a loss of the process"], np.where(number % 2 == 0, 0, NONE)),
        "ENABLE_FLAG": coded(["Y", "N"], (number >= len(listed) - 2).astype(np.int64)),
        "CREATION_DATE": times(START_S + number * DAY_S),
    }
