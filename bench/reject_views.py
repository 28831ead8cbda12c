"""(p) Every view of the reject page on a 1 M-row frame in one request over HTTP, against bare DuckDB and pandas.

Bare DuckDB runs the same statements on the same Arrow one after the other, with as many threads; pandas works out the
same views. No look repeats one of before, so nobody's kept results answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
from sluice_query_engine import views

from bench import pandas_rejects
from bench.measure import Comparison, alternate, await_idle
from bench.pandas_rejects import Click
from bench.reject_plant import reject_plant
from bench.serving import serving
from tests.dataset_frames import load
from tests.running_suite import RunningSuite

REJECT_COUNT = 2_000_000
"""Over two years, the second of which has a little more than half."""
YEAR = {"start_date": "2025-01-01", "end_date": "2025-12-31"}
PAGE = ("summary", "trend", "analytics", "reason_pareto", "package_pareto", "type_pareto", "list", "count")
ROUNDS = 9
PANDAS_ROUNDS = 3
BARE_AT_MOST = 1.4
PANDAS_AT_LEAST = 4
_DATASET = "reject-history"
_CHARTS = {"loss_reason": "sel_reason", "package": "sel_package", "pj_type": "sel_type"}
_TOLERANCE = 1e-3
_LOOK_COUNT = 400
_NUMBERS = ("_qty", "_pct", "_count")
_NAMES = {"loss_reason_pareto": "reason_pareto", "pj_type_pareto": "type_pareto"}

Json = dict[str, Any]


def run() -> tuple[list[Comparison], list[str]]:
    """Return the comparisons and the rows of the frame."""
    plant = reject_plant(REJECT_COUNT)
    with serving(plant) as (suite, http):
        query_id = _start(http)
        table = _table(http, query_id)
        return _compare(suite, http, query_id, table), [f"rows in the frame: {table.num_rows:,}"]


def _start(http: httpx.Client) -> str:
    answer = http.post(f"/api/{_DATASET}/query", json=YEAR, headers={"Prefer": "wait=300"}, timeout=320)
    answer.raise_for_status()
    receipt = answer.json()["receipt"]
    if receipt["status"] != "complete":
        raise RuntimeError(f"the query is {receipt['status']}")
    return str(answer.json()["query_id"])


def _table(http: httpx.Client, query_id: str) -> pa.Table:
    answer = http.get(f"/api/{_DATASET}/frame", params={"query_id": query_id, "format": "arrow"}, timeout=320)
    answer.raise_for_status()
    return pa.ipc.open_stream(answer.content).read_all()


def _compare(suite: RunningSuite, http: httpx.Client, query_id: str, table: pa.Table) -> list[Comparison]:
    rows = pandas_rejects.prepared(table.to_pandas())
    whole, clicks = _looks(rows), _clicks(rows)
    dataset = load().get(_DATASET)
    with duckdb.connect() as bare:
        bare.execute("set threads = 2")
        bare.register(dataset.derived.name, table)

        def on_bare(click: Click) -> None:
            for statement in views.compose(dataset, PAGE, _filters(click)):
                bare.sql(statement.sql, params=statement.binds).to_arrow_table()
                if statement.count_sql is not None:
                    bare.sql(statement.count_sql, params=statement.count_binds).to_arrow_table()

        def ours(click: Click) -> None:
            _ask(http, query_id, click)

        def pandas(click: Click) -> None:
            pandas_rejects.page(rows, click)

        def settle() -> None:
            await_idle(suite.pids().values())

        _require_equal(_ask(http, query_id, whole[-1]), pandas_rejects.page(rows, whole[-1]))
        _require_equal(_ask(http, query_id, clicks[-1]), pandas_rejects.page(rows, clicks[-1]))
        settle()
        compared = []
        for name, looks in (("page of 8 views", whole), ("click across charts", clicks)):
            rest = looks[2 * ROUNDS :]
            against_bare = alternate(_each(looks, ours), _each(looks, on_bare), rounds=ROUNDS, settle=settle)
            against_pandas = alternate(_each(rest, ours), _each(rest, pandas), rounds=PANDAS_ROUNDS, settle=settle)
            compared += [
                Comparison(f"{name}, against bare DuckDB", *against_bare, at_most=BARE_AT_MOST),
                Comparison(f"{name}, against pandas", *against_pandas, at_least=PANDAS_AT_LEAST),
            ]
        return compared


def _each(looks: Sequence[Click], look: Callable[[Click], None]) -> Callable[[int], None]:
    """Return what takes the next look at each call."""
    coming = iter(looks)
    return lambda _: look(next(coming))


def _looks(rows: pd.DataFrame) -> list[Click]:
    """Looks at the whole year; each leaves out a reason that no row has, so that none is the same as another."""
    if not len(rows):
        raise RuntimeError("there are no rejects to look at")
    return [Click(f"no reason {number}") for number in range(_LOOK_COUNT)]


def _clicks(rows: pd.DataFrame) -> list[Click]:
    """A reason and a package are chosen: the charts of both and of types, and the list, each obey the others."""
    frequent = {column: rows[column].value_counts().index.astype(str)[:8].tolist() for column in _CHARTS}
    pairs = itertools.cycle(itertools.product(frequent["loss_reason"], frequent["package"]))
    return [
        Click(f"no reason {number}", {"loss_reason": reason, "package": package})
        for number, (reason, package) in zip(range(_LOOK_COUNT), pairs, strict=False)
    ]


def _filters(click: Click) -> dict[str, object]:
    chosen = {_CHARTS[column]: [value] for column, value in click.chosen.items()}
    return {"loss_reason": {"exclude": [click.left_out]}, **chosen}


def _ask(http: httpx.Client, query_id: str, click: Click) -> Json:
    asked = {"query_id": query_id, "view": list(PAGE), **_filters(click)}
    answer = http.post(f"/api/{_DATASET}/view", json=asked)
    answer.raise_for_status()
    views_by_name: Json = answer.json()["views"]
    return views_by_name


def _require_equal(ours: Json, anchor: dict[str, pd.DataFrame]) -> None:
    """Raise where pandas works out something else.

    Raises:
        RuntimeError: in the first view where it does.
    """
    for name, table in anchor.items():
        view = ours[_NAMES.get(name, name)]
        rows = pd.DataFrame(view["rows"], columns=[column["name"] for column in view["columns"]])
        for column in (column for column in table.columns if column in rows and column.endswith(_NUMBERS)):
            mine, theirs = rows[column].to_numpy(dtype=float), table[column].to_numpy(dtype=float)
            if len(mine) != len(theirs) or not np.allclose(mine, theirs, rtol=0, atol=_TOLERANCE):
                raise RuntimeError(f"pandas does not find the {column} of {name}")
