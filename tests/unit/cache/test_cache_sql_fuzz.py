"""SQL made at random: answered, or refused with a typed error, and never reading what it was not given."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import FakeClock

from tests.unit.cache.driver import NOW, Cache, frame_source, running

SECRET = "only the canary says this"
TYPED = {"answered", "INVALID_PARAMETER", "QUERY_TIMEOUT", "MEMORY_PRESSURE", "RESULT_TOO_LARGE"}

_DATASET = Path(__file__).parents[3] / "services" / "query-engine" / "datasets" / "hold-history"
VIEWS = [path.read_text(encoding="utf-8") for path in sorted((_DATASET / "views").glob("*.sql"))]
_CORPUS = tomllib.loads((Path(__file__).parent / "hostile_statements.toml").read_text(encoding="utf-8"))["group"]
REFUSED = [sql for group in _CORPUS if group["outcome"] in ("refused", "answered") for sql in group["statements"]]

_TOKEN = re.compile(r"\s+|--[^\n]*|'[^']*'|\"[^\"]*\"|\w+|[^\w\s]")

WORDS = [
    "select", "from", "where", "group", "order", "by", "having", "limit", "offset", "with", "recursive", "as",
    "materialized", "not", "and", "or", "in", "is", "null", "case", "when", "then", "else", "end", "distinct",
    "all", "union", "intersect", "except", "join", "left", "right", "full", "cross", "lateral", "on", "using",
    "natural", "asof", "positional", "semi", "anti", "values", "table", "unnest", "over", "partition", "rows",
    "between", "unbounded", "preceding", "following", "current", "row", "filter", "within", "qualify", "window",
    "exists", "any", "cast", "try_cast", "interval", "date", "timestamp", "array", "struct", "map", "lambda",
    "for", "if", "pivot", "unpivot", "into", "describe", "summarize", "show", "tablesample", "using", "sample",
    "collate", "escape", "like", "ilike", "similar", "to", "at", "time", "zone", "columns", "exclude",
    "replace", "rename", "star", "count", "sum", "min", "max", "avg", "list", "string_agg", "range",
    "generate_series", "read_text", "read_csv", "read_parquet", "glob", "query", "query_table", "getenv",
    "current_setting", "duckdb_settings", "pg_catalog", "information_schema", "main", "temp", "memory",
    "system", "holds", "selected", "lot_id", "qty", "hold_day", "hold_reason", "x", "y", "n", "copy", "attach",
    "install", "load", "pragma", "set", "create", "insert", "delete", "update", "drop", "explain", "call", "(",
    ")", "[", "]", "{", "}", ",", ".", ";", "*", "+", "-", "/", "%", "=", "<", ">", "<>", "<=", ">=", ":=",
    "=>", "->", "::", "||", "!", "~", "~~", "^", "?", "@", "#", "&", "|", '\\', "$start_date", "$end_date",
    "$x", "$1", "0", "1", "-1", "1e999", "99999999999999999999", "0x1f", "1_000", "0.5", "''", "'a'", "'a''b'",
    '"holds"', '"qty"', '""', "'{canary}'", '"{canary}"', "$$a$$", "E'\\n'", "x'00'", "--", "/*", "*/",
]  # fmt: skip


@dataclass(frozen=True)
class Ground:
    """A cache with the hold views' table and a file that nothing may read."""

    cache: Cache
    canary: Path

    def outcome(self, sql: str) -> str:
        """Run a statement within tight limits and return what it came to."""
        binds = {
            "start_date": bind_pb2.BindValue(date_value="2024-01-01"),
            "end_date": bind_pb2.BindValue(date_value="2024-01-31"),
            "x": bind_pb2.BindValue(string_value=str(self.canary)),
        }
        text = sql.replace("{canary}", str(self.canary))
        request = sql_pb.RunQueryRequest(
            sources=[frame_source("holds", "holds-1"), frame_source("selected", "holds-1")],
            statements=[
                sql_pb.SqlStatement(sql=text, binds={name: binds[name] for name in binds if f"${name}" in text})
            ],
            max_row_count=10_000,
            max_result_bytes=1 << 20,
            timeout_s=0.5,
        )
        try:
            answered = b"".join(
                response.SerializeToString() for response in self.cache.sql.RunQuery(request, timeout=60)
            )
        except ServiceError as error:
            assert SECRET not in str(error)
            return error.reason
        assert SECRET.encode() not in answered
        return "answered"


def holds() -> pa.Table:
    """Return a few rows with the columns that the hold views read."""
    day, instant = date(2024, 1, 10), datetime(2024, 1, 10, 8)
    texts = "lot_id workorder product package workcenter_group hold_reason hold_employee hold_comment release_employee"
    columns = {name: ["a", None, "c"] for name in [*texts.split(), "release_comment", "ncr", "history_id"]}
    return pa.table(
        {
            **columns,
            "future_hold_comment": ["a", None, None],
            "hold_type": ["quality", "non-quality", "quality"],
            "qty": pa.array([1, 2, 3], pa.int64()),
            "hold_day": [day, day, day],
            "release_day": [day, None, day],
            "hold_time": pa.array([instant] * 3, pa.timestamp("s")),
            "release_time": pa.array([instant, None, instant], pa.timestamp("s")),
            "hold_hours": [1.0, 30.0, 80.0],
            "is_future_hold": [True, False, False],
            "rn_hold_day": pa.array([1, 1, 2], pa.int32()),
            "rn_reason": pa.array([1, 2, 1], pa.int32()),
        }
    )


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    root = tmp_path_factory.mktemp("ground")
    canary = root / "canary.csv"
    canary.write_text(f"lot\n{SECRET}\n", encoding="utf-8")
    with running(root / "cache", FakeClock(NOW), apart_memory_bytes=128 << 20) as cache:
        cache.put("holds-1", holds())
        yield Ground(cache, canary)


@st.composite
def mutations(draw: st.DrawFn, texts: list[str]) -> str:
    """Draw one of the texts with a few of its tokens gone, doubled, swapped, or replaced by others."""
    tokens = _TOKEN.findall(draw(st.sampled_from(texts))) or [""]
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(tokens) - 1))
        to = draw(st.integers(0, len(tokens) - 1))
        match draw(st.sampled_from(["drop", "double", "swap", "replace", "insert"])):
            case "drop":
                tokens[at] = ""
            case "double":
                tokens[at] = f"{tokens[at]} {tokens[at]}"
            case "swap":
                tokens[at], tokens[to] = tokens[to], tokens[at]
            case "replace":
                tokens[at] = draw(st.sampled_from(WORDS))
            case _:
                tokens[at] = f"{tokens[at]} {draw(st.sampled_from(WORDS))} "
    return "".join(tokens)


soups = st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)
selects = soups.map(lambda soup: f"select {soup}")
sources = soups.map(lambda soup: f"select * from {soup}")

# The cache outlives the examples on purpose: a statement must not harm the next one.
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.mark.parametrize("sql", VIEWS)
def test_the_views_that_are_mutated_are_answered_as_they_are(ground: Ground, sql: str) -> None:
    assert ground.outcome(sql) == "answered"


@shared
@given(st.one_of(soups, selects, sources))
def test_a_soup_of_tokens_is_answered_or_refused(ground: Ground, sql: str) -> None:
    assert ground.outcome(sql) in TYPED


@shared
@given(mutations(VIEWS))
def test_a_mutated_view_is_answered_or_refused(ground: Ground, sql: str) -> None:
    assert ground.outcome(sql) in TYPED


@shared
@given(mutations(REFUSED))
def test_a_mutated_hostile_statement_is_answered_or_refused(ground: Ground, sql: str) -> None:
    assert ground.outcome(sql) in TYPED


@shared
@given(st.text(max_size=200))
def test_any_text_is_answered_or_refused(ground: Ground, sql: str) -> None:
    assert ground.outcome(sql) in TYPED
