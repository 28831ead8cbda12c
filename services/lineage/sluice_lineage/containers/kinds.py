"""What people may type, kind by kind: which names it is looked up among, in which case, and how it must begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sluice.lineage.v1 import container_service_pb2 as pb
from sluice_warehouse import Bind, Statement
from sluice_warehouse.statements import load

PATTERN_BIND_COUNT: Final = 10
"""Patterns in one statement. Each is a range of the index; more of them and the database rather reads it all."""

_FOLDER: Final = Path(__file__).parent.parent / "sql" / "resolve"


@dataclass(frozen=True)
class Source:
    """Names among which values are looked up.

    Attributes:
        match_source: what the answer calls it.
        exact: finds names by list.
        like: finds names by patterns.
        binds: what both bind besides.
        folded: both compare names in upper case, whatever case they are kept in.
    """

    match_source: str
    exact: Statement
    like: Statement
    binds: Mapping[str, Bind]
    folded: bool = False


@dataclass(frozen=True)
class Kind:
    """What values may be.

    Attributes:
        name: as people and the HTTP contract call it.
        sources: where to look, by priority: a container found in several counts once, by the first.
        any_case: where to look in vain found values again, whatever the case of the names; None for kinds whose names
            are in upper case or whose case matters.
        folded: values are taken in upper case.
        prefixes: how each value must begin; empty for anyhow.
        hint: what to do about a value that begins otherwise.
    """

    name: str
    sources: tuple[Source, ...]
    any_case: Source | None = None
    folded: bool = False
    prefixes: tuple[str, ...] = ()
    hint: str = ""


def load_kinds() -> dict[pb.ContainerKind.ValueType, Kind]:
    """Return all kinds with their statements."""
    lots = _source("container_name", "container_names", lots_only=1)
    anything = _source("container_name", "container_names", lots_only=0)
    wafers = _source("first_name", "first_names")
    orders = _source("mfgorder_name", "order_names")
    any_lot = _source("container_name", "container_names_any_case", folded=True)
    any_order = _source("mfgorder_name", "order_names_any_case", folded=True)
    serials = _source("finished_name", "finished_names")
    return {
        pb.CONTAINER_KIND_LOT_ID: Kind("lot_id", (anything,), folded=True),
        pb.CONTAINER_KIND_WAFER_LOT: Kind("wafer_lot", (wafers,)),
        pb.CONTAINER_KIND_WORK_ORDER: Kind(
            "work_order",
            (orders,),
            any_order,
            folded=True,
            prefixes=("GA", "GC"),
            hint="must begin with GA or GC; a GD order is of kind gd_work_order",
        ),
        pb.CONTAINER_KIND_GD_WORK_ORDER: Kind(
            "gd_work_order",
            (orders,),
            any_order,
            folded=True,
            prefixes=("GD",),
            hint="must begin with GD; a GA or GC order is of kind work_order",
        ),
        pb.CONTAINER_KIND_GD_LOT_ID: Kind(
            "gd_lot_id",
            (anything,),
            any_lot,
            folded=True,
            prefixes=("GD",),
            hint="must begin with GD; any other lot is of kind lot_id",
        ),
        pb.CONTAINER_KIND_SERIAL_NUMBER: Kind("serial_number", (serials, lots, wafers)),
    }


def _source(match_source: str, stem: str, *, folded: bool = False, **binds: Bind) -> Source:
    return Source(match_source, load(_FOLDER / f"{stem}.sql"), load(_FOLDER / f"{stem}_like.sql"), binds, folded)
