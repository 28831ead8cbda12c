"""Tells the statements that DuckDB can always be stopped in, within memory that it counts, from all others.

DuckDB asks for an interrupt between two vectors of 2,048 rows, and counts the memory of its own buffers. What one
function does to one vector it neither counts nor interrupts: `list_reduce` doubles a text thirty times in one call. The
optimizer is not interrupted at all, and inlines what `not materialized` names. So only statements made of the parts
listed here run inside the process; the rest runs in one that can be ended (ADR 0019). The views of datasets are plain.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

Node = dict[str, Any]

MAX_NODE_COUNT: Final = 6_000
MAX_RELATION_COUNT: Final = 40
"""Relations of all FROM clauses; ordering 200 joins took the optimizer 17 s, 40 took 0.1 s."""
MAX_GROUPING_SET_COUNT: Final = 64

_CLASSES = frozenset(
    {
        "", "BETWEEN", "CASE", "CAST", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "OPERATOR",
        "PARAMETER", "STAR", "SUBQUERY", "TYPE", "WINDOW",
    }
)  # fmt: skip

_FUNCTIONS = frozenset(
    {
        # numbers
        "%", "*", "+", "-", "/", "//", "abs", "ceil", "ceiling", "exp", "floor", "greatest", "isfinite", "isnan",
        "least", "ln", "log", "log10", "log2", "mod", "pow", "power", "round", "sign", "sqrt", "trunc",
        # times
        "date_diff", "date_part", "date_sub", "date_trunc", "datediff", "datepart", "datetrunc", "day", "dayofweek",
        "dayofyear", "epoch", "epoch_ms", "hour", "isodow", "isoyear", "last_day", "make_date", "make_timestamp",
        "minute", "month", "quarter", "second", "time_bucket", "to_days", "to_hours", "to_microseconds",
        "to_milliseconds", "to_minutes", "to_months", "to_seconds", "to_weeks", "to_years", "week", "weekofyear",
        "year", "yearweek",
        # questions about texts and lists, and what passes values on
        "!~~", "!~~*", "coalesce", "contains", "ends_with", "if", "ifnull", "ilike_escape", "len", "length",
        "like_escape", "list_contains", "not_ilike_escape", "not_like_escape", "nullif", "prefix", "regexp_full_match",
        "regexp_matches", "starts_with", "strlen", "suffix", "unnest", "~~", "~~*",
        # aggregates whose state does not grow with the rows
        "any_value", "arbitrary", "arg_max", "arg_min", "argmax", "argmin", "avg", "bool_and", "bool_or", "corr",
        "count", "count_if", "count_star", "countif", "covar_pop", "covar_samp", "first", "last", "max", "max_by",
        "mean", "min", "min_by", "regr_intercept", "regr_r2", "regr_slope", "stddev", "stddev_pop", "stddev_samp",
        "sum", "var_pop", "var_samp", "variance",
        # windows
        "cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "ntile", "percent_rank",
        "rank", "row_number",
    }
)  # fmt: skip

_TYPES = frozenset(
    {
        "BIGINT", "BOOLEAN", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "INTEGER", "INTERVAL", "SMALLINT", "TIME",
        "TIMESTAMP", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP_S", "TINYINT", "UBIGINT", "UINTEGER", "VARCHAR",
    }
)  # fmt: skip

_SERIES = frozenset({"generate_series", "range"})
_DAY_STEPS = frozenset({"to_days", "to_weeks", "to_months", "to_years"})

_FICKLE_FUNCTIONS = frozenset(
    {
        "age", "current_date", "current_localtime", "current_localtimestamp", "current_time", "current_timestamp",
        "gen_random_uuid", "get_current_time", "get_current_timestamp", "localtime", "localtimestamp", "now", "random",
        "reservoir_quantile", "today", "transaction_timestamp", "uuid", "uuidv4", "uuidv7",
    }
)  # fmt: skip
_TIMELY_NAMES = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "today"})


@dataclass(frozen=True)
class Traits:
    """What a statement is made of.

    Attributes:
        plain: made of nothing but the parts of this module's lists.
        repeatable: gives the same table for the same rows and values, whenever it runs.
        series_binds: values that end a series of days; it is plain only if each is a date or timestamp.
        canonical: the same for two texts that differ in blanks, comments and the case of keywords only.
    """

    plain: bool
    repeatable: bool
    series_binds: frozenset[str]
    canonical: str


def traits_of(tree: Node) -> Traits:
    """Return what a parsed statement is made of."""
    found = _Parts()
    found.visit(tree)
    within = found.node_count <= MAX_NODE_COUNT and found.relation_count <= MAX_RELATION_COUNT
    return Traits(found.plain and within, found.repeatable, frozenset(found.series_binds), canonical(tree))


def canonical(tree: Node) -> str:
    """Return the tree as text, without where its parts stood."""
    return json.dumps(_unplaced(tree), sort_keys=True, separators=(",", ":"))


def _unplaced(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            # Most values are numbers and texts: asked here, they cost no call.
            key: _unplaced(item) if isinstance(item, (dict, list)) else item
            for key, item in value.items()
            if not key.startswith("query_location")
        }
    if isinstance(value, list):
        return [_unplaced(item) for item in value]
    return value


class _Parts:
    """Counts and judges the parts of a tree."""

    def __init__(self) -> None:
        self.plain = True
        self.repeatable = True
        self.node_count = 0
        self.relation_count = 0
        self.series_binds: set[str] = set()

    def visit(self, node: Node) -> None:
        self.node_count += 1
        kind = str(node.get("type", ""))
        if node.get("class", "") not in _CLASSES or kind == "RECURSIVE_CTE_NODE":
            self.plain = False
        if node.get("materialized") == "CTE_MATERIALIZE_NEVER":
            self.plain = False
        if node.get("sample"):
            self.plain = self.repeatable = False
        if len(node.get("group_sets") or ()) > MAX_GROUPING_SET_COUNT:
            self.plain = False
        if kind in ("BASE_TABLE", "TABLE_FUNCTION", "EXPRESSION_LIST") or "subquery" in node:
            self.relation_count += 1
        self._named(node, kind)
        for child in children(node):
            self.visit(child)

    def _named(self, node: Node, kind: str) -> None:
        if node.get("function_name"):
            self._function(str(node["function_name"]).lower(), node)
        if kind == "TABLE_FUNCTION":
            self.plain = False
        if node.get("class") == "TYPE" and str(node.get("type_name", "")).upper() not in _TYPES:
            self.plain = False
        if node.get("class") == "COLUMN_REF" and str(node["column_names"][-1]).lower() in _TIMELY_NAMES:
            # Without a column of that name DuckDB reads these words as functions.
            self.repeatable = False

    def _function(self, name: str, node: Node) -> None:
        if name in _FICKLE_FUNCTIONS:
            self.repeatable = False
        if (node.get("order_bys") or {}).get("orders"):
            # An ordered aggregate keeps all its rows.
            self.plain = False
        if name in _SERIES:
            self._series([argument["expression"] for argument in node.get("arguments", [])])
        elif name not in _FUNCTIONS:
            self.plain = False

    def _series(self, arguments: list[Node]) -> None:
        # From one bound day to another, whole days apart: the widest calendar has 3.7 million of them.
        binds = [_bind(argument) for argument in arguments[:2]]
        steps = arguments[2:]
        whole_days = len(steps) == 1 and steps[0].get("function_name") in _DAY_STEPS
        if len(binds) == 2 and all(binds) and whole_days and _is_constant(steps[0]):
            self.series_binds.update(bind for bind in binds if bind)
        else:
            self.plain = False


def _bind(node: Node) -> str:
    """Return the name of the value that an argument is, casts aside; empty when it is anything else."""
    while node.get("class") == "CAST":
        node = node["child"]
    return str(node["identifier"]) if node.get("type") == "VALUE_PARAMETER" else ""


def _is_constant(node: Node) -> bool:
    inner = [child for child in children(node) if child.get("class") in ("COLUMN_REF", "PARAMETER", "SUBQUERY")]
    return not inner and all(_is_constant(child) for child in children(node))


def children(node: Node, but: str = "") -> list[Node]:
    """Return the nodes right below one, in order; not those under the key `but`."""
    found: list[Node] = []
    for key, value in node.items():
        # Most are numbers and texts: asked here, they cost no call.
        if isinstance(value, (dict, list)) and key != but:
            _collect(value, found)
    return found


def _collect(value: Any, found: list[Node]) -> None:
    if isinstance(value, dict):
        found.append(value)
    elif isinstance(value, list):
        for item in value:
            _collect(item, found)
