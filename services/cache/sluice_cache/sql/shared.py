"""What the statements of one request have in common: groups that two of them or more begin with are made once.

Views of a page group the same selected rows by the same columns before each does its own. Such a common table
expression is found by its text and its values, made as a temporary table when the first statement that reads it runs,
and gone with the request (ADR 0046). A statement that shares nothing runs as it was sent.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import duckdb

from sluice_cache.binds import Bind, identifier
from sluice_cache.sql import check
from sluice_cache.sql.division import statement_reading
from sluice_cache.sql.place import BROKEN
from sluice_cache.sql.tables import Bound

_READ_COUNT = 512
"""Texts whose parts are remembered; a page has a dozen statements, and its clicks have the same texts."""

_Key = tuple[str, str]


@dataclass(frozen=True)
class Group:
    """A common table expression as a statement of its own, with its values; two are the same if their keys are."""

    key: _Key
    sql: str
    values: Mapping[str, Bind]


@dataclass(frozen=True)
class Shared:
    """A statement that reads groups of others: those by the table that each is read from, and its own text."""

    groups: Mapping[str, Group]
    sql: str
    values: Mapping[str, Bind]


@dataclass(frozen=True)
class _Part:
    """A common table expression: as a statement of its own, and what that binds."""

    sql: str
    binds: frozenset[str]


class Sharing:
    """Finds what statements have in common.

    Args:
        parse, text_of: DuckDB's tree of a text, and back.
    """

    def __init__(self, parse: check.Parse, text_of: Callable[[check.Node], str]) -> None:
        self._parse = parse
        self._text_of = text_of
        # A name that no statement and no source of others has.
        self._prefix = f"_shared_{secrets.token_hex(8)}"
        self._parts = lru_cache(maxsize=_READ_COUNT)(self._read)
        self._rewritten = lru_cache(maxsize=_READ_COUNT)(self._rewrite)

    def of(self, statements: Sequence[Bound]) -> list[Shared | None]:
        """Return of each statement what it has in common with another; None of one that has nothing."""
        found = [self._groups(item) if item.select.traits.repeatable else {} for item in statements]
        counts = Counter(group.key for groups in found for group in groups.values())
        names = {key: f"{self._prefix}_{number}" for number, key in enumerate(counts)}
        return [
            self._shared(item, {name: group for name, group in groups.items() if counts[group.key] > 1}, names)
            for item, groups in zip(statements, found, strict=True)
        ]

    def _groups(self, item: Bound) -> dict[str, Group]:
        groups = {}
        for name, part in self._parts(item.select.sql).items():
            values = {bind: item.values[bind] for bind in sorted(part.binds)}
            groups[name] = Group((part.sql, repr(values)), part.sql, values)
        return groups

    def _shared(self, item: Bound, groups: Mapping[str, Group], names: Mapping[_Key, str]) -> Shared | None:
        if not groups:
            return None
        read_from = tuple((name, names[group.key]) for name, group in groups.items())
        sql, used, binds = self._rewritten(item.select.sql, read_from)
        if not used:
            return None
        return Shared(
            {table: groups[name] for name, table in read_from if name in used},
            sql,
            {name: value for name, value in item.values.items() if name in binds},
        )

    def _read(self, sql: str) -> dict[str, _Part]:
        """Return the common table expressions of a text that group rows, by name."""
        tree = self._parse(sql)["statements"][0]
        parts: dict[str, _Part] = {}
        before: list[check.Node] = []
        for entry in _entries(tree["node"]):
            node = entry["value"].get("query_node") or {}
            if _groups_rows(node) and not entry["value"].get("aliases"):
                own = statement_reading(tree, node, before)
                text = self._text(own)
                if text:
                    parts[str(entry["key"])] = _Part(text, check.binds_of(own))
            before.append(entry)
        return parts

    def _rewrite(self, sql: str, read_from: tuple[_Key, ...]) -> tuple[str, frozenset[str], frozenset[str]]:
        """Return a text that reads tables in place of some parts, which of these it still reads, and its binds."""
        tables = dict(read_from)
        tree = self._parse(sql)["statements"][0]
        node = tree["node"]
        entries = [self._replaced(entry, tables) for entry in _entries(node)]
        own = statement_reading(tree, {**node, "cte_map": {"map": []}}, entries)
        used = frozenset(str(entry["key"]) for entry in _entries(own["node"])).intersection(tables)
        text = self._text(own)
        return text, used if text else frozenset(), check.binds_of(own)

    def _text(self, tree: check.Node) -> str:
        """Return the SQL of a tree; empty where DuckDB cannot write it: such a statement runs as it was sent."""
        try:
            return self._text_of(tree)
        except BROKEN:
            raise
        except duckdb.Error:
            return ""

    def _replaced(self, entry: check.Node, tables: Mapping[str, str]) -> check.Node:
        table = tables.get(str(entry["key"]))
        if table is None:
            return entry
        whole = self._parse(f"select * from {identifier(table)}")["statements"][0]["node"]  # noqa: S608  # our own name
        # Read where it stands: a table is not to be written down a second time.
        value = {**entry["value"], "query_node": whole, "materialized": "CTE_MATERIALIZE_NEVER"}
        return {**entry, "value": value}


def _entries(node: check.Node) -> list[check.Node]:
    entries: list[check.Node] = (node.get("cte_map") or {}).get("map", [])
    return entries


def _groups_rows(node: check.Node) -> bool:
    """Return whether a SELECT gives one row for many: what it reads is large, and what it gives is not."""
    if node.get("type") != "SELECT_NODE":
        return False
    distinct = any(modifier["type"] == "DISTINCT_MODIFIER" for modifier in node.get("modifiers", []))
    return distinct or bool(node.get("group_expressions"))
