"""A plant whose lots have families as deep as those of a real plant; the twin's own have 0.7 ancestors each.

1 M containers are some four thousand families, each the lots of one wafer lot, of which there are "hundreds". The
older seven tenths are assembly lots, split from one another: chains reach 25 splits, more than anybody has seen, and
have eight or nine on average. The younger are finished lots: a third of them combined of two to five assembly lots of
the family, as many merge rows as the plant has that the twin is modelled on (0.36 a container), the others split from
those; one combined lot in twenty has a finished lot among its sources, a merge of merges. Families overlap in time as
lots on a floor do. What the twin plants by hand, its chain of 25 splits, cycles and diamonds included, stays as it is.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final, TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sluice_twin import write_plant
from sluice_twin.genealogy import PLANTED, merges
from sluice_twin.plant import DEFAULT_SEED, GENERATOR_VERSION

from bench.hold_plant import BUILD_DIR

CONTAINERS: Final = "DW_MES_CONTAINER"
MERGES: Final = "DW_MES_PJ_COMBINEDASSYLOTS"
SIZES: Final = {CONTAINERS: 1_000_000, MERGES: 360_000}
_SQL: Final = Path(__file__).parent / "families.sql"
_VERSION: Final = 2
_MEDIAN_SIZE, _SPREAD, _LARGEST = 200, 0.6, 1_500
"""Lots of a wafer lot; the plant's own people speak of hundreds."""
_ASSEMBLY_SHARE: Final = 0.7
_COMBINED_SHARE: Final = 0.103
_AGAIN_SHARE: Final = 0.05 / 3.5
"""Of merge rows: those whose source was combined itself."""
_YOUNGER_SHARE: Final = 0.5
"""A lot is split from one of the younger half of those before it."""
_OVERLAP: Final = 60
"""Families at work at once."""

_NO_LOT: Final = -PLANTED - 1

_Ints: TypeAlias = npt.NDArray[np.int64]


def flat_plant() -> Path:
    """Return the twin as it is, at 1 M containers."""
    path = BUILD_DIR / f"lineage-{SIZES[CONTAINERS]}-v{GENERATOR_VERSION}.duckdb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_plant(path, scale=1, seed=DEFAULT_SEED, sizes=SIZES, tables=tuple(SIZES))
    return path


def family_plant() -> Path:
    """Return the twin at 1 M containers with families in place of its own splits and merges."""
    path = BUILD_DIR / f"families-{SIZES[CONTAINERS]}-v{GENERATOR_VERSION}.{_VERSION}.duckdb"
    if path.exists():
        return path
    made = path.with_suffix(".making")
    shutil.copyfile(flat_plant(), made)
    parent, wafer, source, target = _families(np.random.default_rng(DEFAULT_SEED), SIZES[CONTAINERS] - PLANTED)
    by_hand = len(merges())
    rows = {
        "lots_rows": pa.table({"position": _after(PLANTED, parent), "parent": parent, "wafer": wafer}),
        "merges_rows": pa.table({"position": _after(by_hand, source), "source": source, "target": target}),
    }
    binds = {"planted": PLANTED, "planted_merges": by_hand}
    with duckdb.connect(str(made)) as connection:
        for name, table in rows.items():
            connection.register(name, table)
        for statement in connection.extract_statements(_SQL.read_text(encoding="utf-8")):
            connection.execute(statement, {name: binds[name] for name in statement.named_parameters})
    made.rename(path)
    return path


def _after(planted_count: int, rows: _Ints) -> _Ints:
    return np.arange(len(rows)) + planted_count


def _families(rng: np.random.Generator, count: int) -> tuple[_Ints, _Ints, _Ints, _Ints]:
    """Split parent and wafer lot of each lot in time order, and sources and targets of combinations, as positions.

    A lot without one has a position that no lot has.
    """
    sizes = np.clip(rng.lognormal(np.log(_MEDIAN_SIZE), _SPREAD, count // 50), 2, _LARGEST).astype(np.int64)
    family = np.repeat(np.arange(len(sizes)), sizes)[:count]
    sizes = np.bincount(family)
    family = family[np.argsort(family + rng.random(count) * _OVERLAP)]
    lots = np.argsort(family, kind="stable")
    firsts = np.cumsum(sizes) - sizes
    within = np.empty(count, np.int64)
    within[lots] = np.arange(count) - firsts[family[lots]]
    finished = np.maximum(np.ceil(sizes * _ASSEMBLY_SHARE), 1).astype(np.int64)[family]

    def member(of: _Ints, low: _Ints, high: _Ints) -> _Ints:
        chosen: _Ints = lots[firsts[family[of]] + low + (rng.random(len(of)) * (high - low)).astype(np.int64)]
        return chosen

    everyone = np.arange(count)
    begins = np.where(within >= finished, finished, 0)
    share = _COMBINED_SHARE / (1 - _ASSEMBLY_SHARE)
    combined = (within == finished) | ((within > finished) & (rng.random(count) < share))
    younger = begins + ((within - begins) * _YOUNGER_SHARE).astype(np.int64)
    parent = np.where((within > 0) & ~combined, member(everyone, younger, within), _NO_LOT)
    target = np.repeat(np.flatnonzero(combined), rng.integers(2, 6, combined.sum()))
    source = member(target, np.zeros(len(target), np.int64), finished[target])
    again = (rng.random(len(target)) < _AGAIN_SHARE) & (within[target] > finished[target])
    source[again] = member(target[again], finished[target[again]], within[target[again]])
    wafer = np.where(within > 0, lots[firsts[family]], _NO_LOT)
    return parent + PLANTED, wafer + PLANTED, source + PLANTED, target + PLANTED
