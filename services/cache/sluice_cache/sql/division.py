"""How a derived table is made in passes: which statements, and which rows each reads. Pure; the deriver runs them.

A SELECT is taken apart at those of its common table expressions that are steps: what they stand for is derived first,
in passes over some values of a column each, and then read like a table by the SELECT, whose own passes are ranges of
the column that it orders by. Each pass gives rows that the undivided statement gives too, and laid end to end the
passes are in its order (ADR 0032).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.cache.v1 import frame_service_pb2 as pb

from sluice_cache.binds import Bind, identifier, literal
from sluice_cache.errors import InvalidSql
from sluice_cache.sql import check

_ASCENDING = frozenset({"ORDER_DEFAULT", "ASCENDING"})
_NULLS_LAST = frozenset({"ORDER_DEFAULT", "NULLS LAST"})


@dataclass(frozen=True)
class Share:
    """The rows of one pass: of relations that have the column those that meet the condition, of others every row."""

    column: str
    condition: str


@dataclass(frozen=True)
class Step:
    """What a common table expression stands for, as a statement of its own."""

    name: str
    sql: str
    divide_by: str


@dataclass(frozen=True)
class Division:
    """A SELECT taken apart.

    Attributes:
        steps: in the order in which they must be derived; each may read those before it.
        sql: the SELECT that reads the steps as tables.
        divide_by: column over whose ranges it may run.
    """

    steps: tuple[Step, ...]
    sql: str
    divide_by: str


def check_division(derived: pb.DerivedTable, parse: check.Parse) -> None:
    """Raise InvalidSql unless the table can be divided as it says, or says nothing of it."""
    division_of(derived, parse, lambda node: "")


def division_of(derived: pb.DerivedTable, parse: check.Parse, text_of: Callable[[check.Node], str]) -> Division | None:
    """Return the derived table's SELECT taken apart; None where it does not say how.

    Raises:
        InvalidSql: a step is no common table expression of it, or it is in another order.
    """
    if not derived.divide_by:
        if derived.steps:
            raise InvalidSql("steps need a column to divide by", field="divide_by")
        return None
    tree = parse(derived.sql)["statements"][0]
    node = tree["node"]
    if not _ordered_by(node, derived.divide_by):
        raise InvalidSql(f"does not order by {derived.divide_by!r} first, ascending", field="divide_by")
    wanted = {step.name: step for step in derived.steps}
    steps: list[Step] = []
    before: list[check.Node] = []
    for entry in node["cte_map"]["map"]:
        step = wanted.pop(str(entry["key"]), None)
        if step is None:
            before.append(entry)
            continue
        if not step.divide_by:
            raise InvalidSql(f"step {step.name!r} needs a column to divide by", field="steps")
        inner = entry["value"]["query_node"]
        steps.append(Step(step.name, text_of(statement_reading(tree, inner, before)), step.divide_by))
    if wanted:
        raise InvalidSql(f"there is no common table expression {min(wanted)!r}", field="steps")
    own = {**node, "cte_map": {"map": []}}
    return Division(tuple(steps), text_of(statement_reading(tree, own, before)), derived.divide_by)


def shares_of_values(column: str, count: int) -> list[Share]:
    """Return `count` shares, rows of equal values always in the same one."""
    number = f"coalesce(hash({identifier(column)}::varchar) % {count}, 0)"
    return [Share(column, f"{number} = {index}") for index in range(count)]


def shares_of_ranges(column: str, bounds: Sequence[Bind]) -> list[Share]:
    """Return the shares between bounds that ascend, in order; rows without a value are in the last, as they sort."""
    name, edges = identifier(column), [literal(bound) for bound in dict.fromkeys(bounds)]
    shares = []
    for after, before in zip([None, *edges], [*edges, None], strict=True):
        terms = [f"{name} >= {after}"] if after else []
        terms += [f"{name} < {before}"] if before else []
        condition = " and ".join(terms) or "true"
        shares.append(Share(column, condition if before else f"({condition} or {name} is null)"))
    return shares


def bounds_sql(column: str, relations: Sequence[str], count: int) -> str:
    """Return the statement for the bounds, as one list, of `count` ranges with about as many rows each."""
    name = identifier(column)
    rows = " union all ".join(f"select {name} from {identifier(relation)}" for relation in relations)  # noqa: S608  # quoted
    quantiles = ", ".join(repr(index / count) for index in range(1, count))
    return f"select approx_quantile({name}, [{quantiles}]) as bounds from ({rows})"  # noqa: S608  # quoted names


def _ordered_by(node: check.Node, column: str) -> bool:
    orders = [
        order
        for modifier in node.get("modifiers", [])
        if modifier["type"] == "ORDER_MODIFIER"
        for order in modifier["orders"]
    ]
    if not orders or orders[0]["type"] not in _ASCENDING or orders[0]["null_order"] not in _NULLS_LAST:
        return False
    names = orders[0]["expression"].get("column_names", [])
    return bool(names) and names[-1] == column


def statement_reading(tree: check.Node, node: check.Node, before: Sequence[check.Node]) -> check.Node:
    """Return the statement of a node that may read some common table expressions, with those that it does read."""
    own = (node.get("cte_map") or {}).get("map", [])
    kept: list[check.Node] = []
    read = set(_relations(node))
    for entry in reversed(before):
        if str(entry["key"]).lower() in read:
            kept.insert(0, entry)
            read.update(_relations(entry["value"]))
    return {**tree, "node": {**node, "cte_map": {"map": [*kept, *own]}}}


def _relations(value: Any) -> Iterator[str]:
    """Yield the names that are read, in lower case: DuckDB does not tell them apart by it."""
    if isinstance(value, dict):
        if value.get("type") == "BASE_TABLE":
            yield str(value["table_name"]).lower()
        for item in value.values():
            yield from _relations(item)
    elif isinstance(value, list):
        for item in value:
            yield from _relations(item)
