"""Rows of the lots themselves: `DW_MES_CONTAINER` and the combinations of `DW_MES_PJ_COMBINEDASSYLOTS`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sluice_twin import genealogy
from sluice_twin.columns import NO_TIME, NONE, Ints, Rows, coded, ids, make_ids, numbers, refs, slices, times
from sluice_twin.lots import FINISHED, GA, LIVE, MATERIAL, Lots, product_attributes
from sluice_twin.plant import CLOCK_S, DAY_S, PlantSpec
from sluice_twin.steps import plant_steps
from sluice_twin.words import people, words


def product_columns(lots: Lots, lot: Ints, names: tuple[str | None, ...]) -> Rows:
    """Product name, package, type, function and bill of process of each lot under the given column names."""
    product = lots.product[lot]
    listed = product_attributes()
    return {
        name: coded([attributes[position] for attributes in listed], product)
        for position, name in enumerate(names)
        if name is not None
    }


def spec_columns(spec: Ints, spec_name: str | None, center_name: str | None) -> Rows:
    """Spec and work-centre names at each event under the given column names."""
    steps = plant_steps()
    rows: Rows = {}
    if spec_name is not None:
        rows[spec_name] = coded(steps.specs, spec)
    if center_name is not None:
        rows[center_name] = coded(steps.centers, np.where(spec < 0, NONE, steps.spec_center[spec]))
    return rows


def current_spec(lots: Lots, lot: Ints) -> Ints:
    """The step at which each lot stands when the clock stands."""
    return plant_steps().spec_at(lots.progress(lot, np.full(len(lot), CLOCK_S)), lots.pick[lot])


def container_rows(lots: Lots, held_for: Ints, reasons: list[str | None], seed: int) -> Iterator[Rows]:
    """All containers, the planted ones first, then by start; `held_for` is each lot's open hold reason or `NONE`."""
    for part in slices(len(lots)):
        lot = np.arange(part.start, part.stop)
        yield {
            **_identity_columns(lots, lot, seed),
            **product_columns(lots, lot, ("PRODUCTNAME", "PRODUCTLINENAME", "PJ_TYPE", "PJ_FUNCTION", "PJ_BOP")),
            **_state_columns(lots, lot, held_for[lot], reasons),
        }


def _identity_columns(lots: Lots, lot: Ints, seed: int) -> Rows:
    material = lots.kind[lot] == MATERIAL
    return {
        "CONTAINERID": refs(lots.ids, lot),
        "CONTAINERNAME": coded(lots.names, lot),
        "OBJECTTYPE": coded(["LOT", "MATERIAL"], material.astype(np.int64)),
        "FIRSTNAME": coded(lots.wafers, lots.wafer[lot]),
        "MFGORDERNAME": coded(lots.orders, np.where(material, NONE, lots.order[lot])),
        "MFGORDERID": ids(make_ids(0x4801, lots.order[lot], seed)),
        "PRODUCTID": ids(make_ids(0x4802, lots.product[lot], seed)),
        "SPLITFROMID": refs(lots.ids, lots.split_from[lot]),
        "ORIGINALCONTAINERID": refs(lots.ids, lots.original[lot]),
        "PJ_PRODUCEREGION": coded(words("regions"), lots.order[lot] % 2),
        "OWNERNAME": coded(words("owners"), np.where(lots.pick[lot] < 30, 1, 0)),
        "PRIORITYCODENAME": coded(words("priorities"), np.where(lots.pick[lot] % 50 == 0, 2, lots.pick[lot] % 10 == 0)),
        "PRODUCTDESC": coded([f"{row[2]} in {row[1].strip()}" for row in product_attributes()], lots.product[lot]),
        "LEADFRAMENAME": coded([f"LF-{row[1].strip()}" for row in product_attributes()], lots.product[lot]),
        "CONTAINERCOMMENTS": coded(
            ["保留 50 pcs", "see traveller; urgent"], np.where(lots.pick[lot] % 200 == 7, lot % 2, NONE)
        ),
    }


def _state_columns(lots: Lots, lot: Ints, held_for: Ints, reasons: list[str | None]) -> Rows:
    spec = current_spec(lots, lot)
    live = lots.status[lot] == LIVE
    end = lots.seen_until[lot]
    quantity = lots.quantity[lot]
    left = quantity - quantity * lots.progress(lot, end) // 20_000
    held = held_for >= 0
    rows: Rows = {
        **spec_columns(spec, "SPECNAME", "WORKCENTERNAME"),
        "QTY": numbers(left, missing=lots.pick[lot] == 999),
        "QTY2": numbers(left // 2500 + 1),
        "ORIGINALQTY": numbers(quantity),
        "MOVEINQTY": numbers(left),
        "STATUS": numbers(lots.status[lot]),
        "HOLDREASONNAME": coded(reasons, held_for),
        "CURRENTHOLDCOUNT": numbers(held.astype(np.int64)),
        "FUTUREHOLDCOUNT": numbers((lots.pick[lot] % 40 == 0).astype(np.int64)),
        "EQUIPMENTCOUNT": numbers((live & ~held & (lots.pick[lot] % 3 == 0)).astype(np.int64)),
        "SPLITCOUNT": numbers(lots.pick[lot] % 4),
        "CURRENTREWORKCOUNT": numbers((lots.original[lot] >= 0).astype(np.int64)),
        "LASTMOVEOUTUSERNAME": coded(people(), lots.pick[lot] % len(people())),
    }
    moments: dict[str, Ints] = {
        "ORIGINALSTARTDATE": lots.start[lot],
        "FACTORYSTARTDATE": lots.start[lot],
        "MOVEINTIMESTAMP": end - 3_600,
        "LASTMOVEOUTTIMESTAMP": end,
        "LASTACTIVITYDATE": end,
        "LASTCOMPLETIONDATE": np.where(live, NO_TIME, end),
        "UTS": (lots.start[lot] + 20 * DAY_S) // DAY_S * DAY_S,
        "LAST_SYNC_DATE": np.full(len(lot), CLOCK_S),
    }
    return {**rows, **{name: times(values) for name, values in moments.items()}}


def combined_lot_rows(spec: PlantSpec, lots: Lots) -> Rows:
    """Source lots of each combined lot: the planted pairs first, then two to five sources per finished lot."""
    count = spec.row_count("DW_MES_PJ_COMBINEDASSYLOTS")
    rng = spec.random("DW_MES_PJ_COMBINEDASSYLOTS")
    source, target = _combinations(rng, lots, count)
    serial: list[str | None] = [f"FN{position:07d}" for position in range(len(lots))]
    serial[genealogy.UNKNOWN_SERIAL[2]] = genealogy.UNKNOWN
    share = np.where(rng.random(count) < 0.7, 1.0, rng.integers(5, 100, count) / 100)
    available = lots.quantity[source]
    rows: dict[str, Any] = {
        "CONTAINERID": refs(lots.ids, source),
        "CONTAINERNAME": coded(lots.names, source),
        "PJ_WORKORDER": coded(lots.orders, lots.order[source]),
        "PJ_COMBINEDASSEMBLYLOTSID": ids(make_ids(0x4883, np.arange(count), spec.seed)),
        "LOTID": refs(lots.ids, target),
        "FINISHEDNAME": coded(serial, np.where(rng.random(count) < 0.005, NONE, target)),
        "PJ_COMBINEDRATIO": numbers(share),
        "PJ_GOODDIEQTY": numbers((available * share).astype(np.int64)),
        "PJ_ORIGINALGOODDIEQTY": numbers(available),
        "PJ_EXCESSLOTQTY": numbers(np.zeros(count, dtype=np.int64)),
        "ORIGINALSTARTDATE": times(lots.start[source]),
    }
    return rows


def combinations(spec: PlantSpec, lots: Lots) -> tuple[Ints, Ints]:
    """Source and target of each row of `DW_MES_PJ_COMBINEDASSYLOTS`, as positions of lots."""
    name = "DW_MES_PJ_COMBINEDASSYLOTS"
    return _combinations(spec.random(name), lots, spec.row_count(name))


def _combinations(rng: np.random.Generator, lots: Lots, count: int) -> tuple[Ints, Ints]:
    planted = np.array(genealogy.merges(), dtype=np.int64)
    rest = count - len(planted)
    targets = np.flatnonzero(lots.kind == FINISHED)
    targets = targets[targets >= genealogy.PLANTED]
    sources = np.flatnonzero(lots.kind == GA)
    sources = sources[sources >= genealogy.PLANTED]
    rounds = rng.integers(2, 6, max(rest, 1))
    target = np.resize(np.repeat(np.resize(targets, len(rounds)), rounds), rest)
    at = np.searchsorted(sources, target)
    source = sources[np.clip(at - rng.integers(1, 60, rest), 0, len(sources) - 1)]
    return np.concatenate([planted[:, 0], source]), np.concatenate([planted[:, 1], target])
