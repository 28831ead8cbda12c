"""The hold views as the query-engine composes them, with filters that never repeat, for cache and bare DuckDB."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice_query_engine import views
from sluice_query_engine.catalog import load_catalog
from sluice_query_engine.dataset import BindPython, Dataset
from sluice_query_engine.execution.manifest import bind_value

from bench.made_holds import FIRST, LAST

ENGINE = Path(__file__).resolve().parents[1] / "services" / "query-engine"
FOUR = ("trend", "reason_pareto", "duration", "list")
RANGES = ("<4h", "4-24h", "1-3d", ">3d")
TYPES = ("quality", "non-quality", "all")
RANKS = (Path(__file__).parent / "rank_view.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Asked:
    """One statement with its values."""

    sql: str
    binds: Mapping[str, BindPython]

    def to_proto(self) -> sql_pb.SqlStatement:
        """Return it as the cache takes it."""
        binds: dict[str, bind_pb2.BindValue] = {name: bind_value(value) for name, value in self.binds.items()}
        return sql_pb.SqlStatement(sql=self.sql, binds=binds)

    def on(self, connection: duckdb.DuckDBPyConnection) -> pa.Table:
        """Return its answer from bare DuckDB."""
        return connection.sql(self.sql, params=dict(self.binds) or None).to_arrow_table()


def click(number: int, names: Sequence[str] = FOUR) -> list[Asked]:
    """Return the statements of these views for one click; no two numbers within 240 ask the same."""
    hold_type, duration, reason = chosen(number)
    filters = {
        "hold_type": hold_type,
        "duration_range": duration,
        "reason": [f"REASON {reason + step:02d}" for step in (1, 21, 41)],
        "record_type": ["new", "on_hold", "released"],
    }
    composed = views.compose(_dataset(), names, filters)
    return [Asked(each.sql, _binds(each)) for each in composed]


def chosen(number: int) -> tuple[str, str, int]:
    """Return type, range of hours and reason that one click filters by."""
    return list(itertools.product(TYPES, RANGES, range(20)))[number * 7 % 240]


def ranks(number: int) -> Asked:
    """Return the statement that ranks every row; the number keeps it from being one that was asked before."""
    return Asked(RANKS, {"least_count": number})


def _binds(view: views.ViewStatement) -> dict[str, BindPython]:
    # Bare DuckDB refuses values that a statement does not use; the manifest's are bound for all.
    days: dict[str, BindPython] = {"start_date": FIRST, "end_date": LAST}
    return {**view.binds, **{name: value for name, value in days.items() if f"${name}" in view.sql}}


@cache
def _dataset() -> Dataset:
    return load_catalog(ENGINE / "datasets", ENGINE / "references").get("hold-history")
