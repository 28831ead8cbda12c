"""A plant of small families that together have everything genealogy has to get right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
from sluice_twin import plant_of

Merge = tuple[str, str, str | None]
"""Source, target, serial."""


def cid(name: str) -> str:
    """Return the container id of a name of the zoo."""
    return name.ljust(16, ".")


def cids(*names: str) -> list[str]:
    """Return the container ids of names of the zoo."""
    return [cid(name) for name in names]


PARENTS: Final[Mapping[str, str | None]] = {
    # A chain, and a sibling that was not asked for.
    "a": None,
    "b": "a",
    "c": "b",
    "c2": "b",
    # Twenty-four splits deep.
    **{f"k{number}": f"k{number - 1}" if number else None for number in range(25)},
    # Cycles.
    "x1": "x2",
    "x2": "x1",
    "self": "self",
    # A lot split from a combined lot, and where its sources came from.
    "xp": None,
    "x": "xp",
    "yp": None,
    "y": "yp",
    "t": None,
    "l": "t",
    # Merges of merges.
    "m1": None,
    "m2": None,
    "n1": None,
    "n2": None,
    "n3": None,
    # A diamond.
    "d0": None,
    "d1": "d0",
    "d2": "d0",
    "d3": None,
    # A rework, with its source as origin and as parent.
    "s": None,
    "gd": None,
    "gs": "s",
    # A wafer lot and what was made of it.
    "w": None,
    "w1": None,
    "w2": "w1",
    # Split from a container that is not there.
    "orphan": "nobody",
}
MERGES: Final[Sequence[Merge]] = (
    ("x", "t", "FN-T"),
    ("y", "t", "FN-T"),
    ("y", "t", "FN-T"),
    ("t", "t", "FN-T"),
    ("m1", "n1", None),
    ("m2", "n1", None),
    ("n1", "n2", "FN-N2"),
    ("n2", "n3", "FN-N3"),
    ("d1", "d3", "FN-D"),
    ("d2", "d3", "FN-D"),
    ("c", "c", "FN-C"),
    ("c2", "c2", "Unknown"),
    ("c2", "c2", "FN-C2"),
)
ORDERS: Final = {"gd": "GD24001", "gs": "GD24002", "a": "GA24001", "b": "GC24001"}
ORIGINS: Final = {"gd": "s"}
WAFERS: Final = {"w1": "lot w", "w2": "lot w", "w": "lot w", "l": "bought elsewhere"}


def write_family(
    path: Path,
    parents: Mapping[str, str | None],
    merges: Iterable[Merge] = (),
    *,
    orders: Mapping[str, str] | None = None,
    origins: Mapping[str, str] | None = None,
    wafers: Mapping[str, str] | None = None,
) -> Path:
    """Write a plant of these containers, named `lot <name>`, and merges; names become ids by `cid`."""
    plant_of({}, path, datetime(2025, 12, 31, 7, 30))
    names = list(parents)
    containers = pa.table(
        {
            "CONTAINERID": cids(*names),
            "CONTAINERNAME": [f"lot {name}" for name in names],
            "SPLITFROMID": pa.array([parent and cid(parent) for parent in parents.values()], pa.string()),
            "OBJECTTYPE": ["LOT"] * len(names),
            "MFGORDERNAME": pa.array([(orders or {}).get(name) for name in names], pa.string()),
            "ORIGINALCONTAINERID": pa.array(
                [cid(origins[name]) if origins and name in origins else None for name in names], pa.string()
            ),
            "FIRSTNAME": pa.array([(wafers or {}).get(name) for name in names], pa.string()),
        }
    )
    rows = list(merges)
    combined = pa.table(
        {
            "CONTAINERID": pa.array([cid(source) for source, _, _ in rows], pa.string()),
            "LOTID": pa.array([cid(target) for _, target, _ in rows], pa.string()),
            "FINISHEDNAME": pa.array([serial for _, _, serial in rows], pa.string()),
        }
    )
    with duckdb.connect(str(path)) as connection:
        connection.register("containers", containers)
        connection.register("combined", combined)
        connection.execute("insert into DWH.DW_MES_CONTAINER by name select * from containers")
        connection.execute("insert into DWH.DW_MES_PJ_COMBINEDASSYLOTS by name select * from combined")
    return path


def write_zoo(path: Path) -> Path:
    """Write the whole zoo."""
    return write_family(path, PARENTS, MERGES, orders=ORDERS, origins=ORIGINS, wafers=WAFERS)
