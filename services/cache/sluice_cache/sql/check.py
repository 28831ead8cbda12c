"""Decides whether a text is one SELECT that reads only what it may. DuckDB's own parser is asked, so that the gate and
the engine never disagree about what a text means; the tree is walked with lists of what is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sluice_cache.errors import InvalidSql
from sluice_cache.sql.plain import Traits, children, traits_of

MAX_SQL_CHARS = 200_000

Node = dict[str, Any]
Parse = Callable[[str], Node]
"""Gives DuckDB's `json_serialize_sql` of a text."""

_TABLE_FUNCTIONS = frozenset({"unnest", "generate_series", "range"})

_FROM_KINDS = frozenset({"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EMPTY", "EXPRESSION_LIST"})

_QUERY_KINDS = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})

_REFUSED_FUNCTIONS = frozenset(
    {
        "can_cast_implicitly", "col_description", "current_catalog", "current_connection_id", "current_database",
        "current_query", "current_query_id", "current_role", "current_schema", "current_schemas", "current_setting",
        "current_transaction_id", "current_user", "currval", "format_pg_type", "get_block_size", "getenv",
        "getvariable", "in_search_path", "index_key", "inet_client_addr", "inet_client_port", "inet_server_addr",
        "inet_server_port", "json_deserialize_sql", "json_execute_serialized_sql", "json_serialize_plan",
        "json_serialize_sql", "map_to_pg_oid", "nextval", "obj_description", "query", "query_table", "read_blob",
        "read_csv", "read_text", "session_user", "setseed", "setval", "shobj_description", "sleep_ms", "stats",
        "txid_current", "user", "vector_type", "version", "write_log",
    }
)  # fmt: skip
"""Functions that tell of the process, wait, or write; file readers are table functions and not allowed as such."""

_BOUNDLESS_FUNCTIONS = frozenset({"array_resize", "bar", "format", "list_resize", "lpad", "printf", "repeat", "rpad"})
"""Functions that make values of any size out of a number. DuckDB neither counts that memory nor can be interrupted
in it: `lpad('x', 2000000000, 'y')` took 37 s and 2 GB past a deadline of 0.5 s."""

_REFUSED_FUNCTION_PREFIXES = ("pg_", "duckdb_", "has_", "pragma_", "st_")


@dataclass(frozen=True)
class Select:
    """What a checked SELECT reads.

    Attributes:
        relations: names it reads that are not its own common table expressions, lower case.
        binds: names of its `$name` parameters.
        traits: what it is made of.
    """

    sql: str
    relations: frozenset[str]
    binds: frozenset[str]
    traits: Traits


def select_of(sql: str, parse: Parse) -> Select:
    """Return what a SELECT reads.

    Raises:
        InvalidSql: it is no single SELECT, or uses what no statement may.
    """
    tree = _tree(sql, parse)
    found = _Walk()
    found.visit(tree["node"], frozenset())
    return Select(sql, frozenset(found.relations), frozenset(found.binds), traits_of(tree))


def require_known(select: Select, relations: Iterable[str]) -> None:
    """Raise InvalidSql unless the statement reads only the given relations."""
    known = set(relations)
    unknown = sorted(select.relations - known)
    if unknown:
        raise InvalidSql(f"unknown relation {unknown[0]!r}; there are {', '.join(sorted(known)) or 'none'}")


def expression_of(text: str, parse: Parse) -> Node:
    """Return the tree `select <text>` of a row predicate, which reads columns and binds and no relation.

    Raises:
        InvalidSql: it is anything else.
    """
    tree = _tree(f"select {text}", parse)
    node = tree["node"]
    found = _Walk()
    found.visit(node, frozenset())
    plain = node["type"] == "SELECT_NODE" and node["from_table"]["type"] == "EMPTY" and len(node["select_list"]) == 1
    rest = [
        name for name in ("where_clause", "having", "qualify", "sample", "modifiers", "group_sets") if node.get(name)
    ]
    if not plain or rest or found.relations or found.subquery_count:
        raise InvalidSql("a clip is one expression over the table's columns", field="clip")
    return tree


def with_values(tree: Node, values: Callable[[str], Node]) -> Node:
    """Return the tree with each `$name` replaced by the expression that stands for its value."""
    if tree.get("type") == "VALUE_PARAMETER":
        return values(str(tree["identifier"]))
    return {key: _replaced(value, values) for key, value in tree.items()}


def _replaced(value: Any, values: Callable[[str], Node]) -> Any:
    if isinstance(value, dict):
        return with_values(value, values)
    if isinstance(value, list):
        return [_replaced(item, values) for item in value]
    return value


def _tree(sql: str, parse: Parse) -> Node:
    if len(sql) > MAX_SQL_CHARS:
        raise InvalidSql(f"at most {MAX_SQL_CHARS} characters")
    answer = parse(sql)
    if answer.get("error_type") == "not implemented":
        raise InvalidSql("must be one SELECT")
    if answer.get("error"):
        raise InvalidSql(str(answer.get("error_message", "cannot be parsed"))[:500])
    statements = answer.get("statements", [])
    if len(statements) != 1:
        raise InvalidSql(f"must be one SELECT; there are {len(statements)} statements")
    tree: Node = statements[0]
    return tree


class _Walk:
    """Collects what a tree reads; refuses what is not allowed."""

    def __init__(self) -> None:
        self.relations: set[str] = set()
        self.binds: set[str] = set()
        self.subquery_count = 0

    def visit(self, node: Node, scope: frozenset[str]) -> None:
        kind = str(node.get("type", ""))
        scope = self._common_table_expressions(node, scope, own=_own_name(node, kind))
        if "from_table" in node:
            self._source(node["from_table"])
        if kind == "BASE_TABLE":
            self._relation(node, scope)
        elif kind == "JOIN":
            self._source(node["left"])
            self._source(node["right"])
        elif kind == "TABLE_FUNCTION":
            self._table_function(node)
        elif kind == "VALUE_PARAMETER":
            self._bind(str(node["identifier"]))
        elif kind == "SUBQUERY":
            self.subquery_count += 1
        if node.get("function_name"):
            _function(node)
        for child in _children(node):
            self.visit(child, scope)

    def _common_table_expressions(self, node: Node, scope: frozenset[str], own: str | None) -> frozenset[str]:
        # In order, because a common table expression sees those before it and not those after it.
        if own is not None:
            scope = scope | {own}
        for entry in (node.get("cte_map") or {}).get("map", []):
            name = str(entry["key"]).lower()
            body = entry["value"]["query_node"] if "query_node" in entry["value"] else entry["value"]["query"]["node"]
            if body.get("type") not in _QUERY_KINDS:
                raise InvalidSql("a common table expression must be a SELECT")
            self.visit(body, scope)
            scope = scope | {name}
        return scope

    def _source(self, node: Node) -> None:
        if node["type"] not in _FROM_KINDS:
            raise InvalidSql(f"{str(node['type']).lower().replace('_', ' ')} cannot be read from")

    def _relation(self, node: Node, scope: frozenset[str]) -> None:
        if node.get("schema_name") or node.get("catalog_name") or len(node["qualified_name"]["path"]) != 1:
            raise InvalidSql("relations are named without catalog and schema")
        name = str(node["table_name"]).lower()
        if name not in scope:
            self.relations.add(name)

    def _table_function(self, node: Node) -> None:
        name = str(node["function"].get("function_name", "")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise InvalidSql(f"table function {name!r} is not allowed")

    def _bind(self, name: str) -> None:
        if name.isdigit():
            raise InvalidSql("values are bound as `$name`, not by position")
        self.binds.add(name)


def _own_name(node: Node, kind: str) -> str | None:
    return str(node["cte_name"]).lower() if kind == "RECURSIVE_CTE_NODE" else None


def _function(node: Node) -> None:
    name = str(node["function_name"]).lower()
    if node.get("schema") not in (None, "", "main", "pg_catalog") or node.get("catalog"):
        raise InvalidSql("functions are named without catalog and schema")
    if name in _REFUSED_FUNCTIONS or name in _BOUNDLESS_FUNCTIONS or name.startswith(_REFUSED_FUNCTION_PREFIXES):
        raise InvalidSql(f"function {name!r} is not allowed")


def _children(node: Node) -> list[Node]:
    return children(node, but="cte_map")


def parsed(text: str) -> Node:
    """Return what DuckDB serialised, as a tree."""
    tree: Node = json.loads(text)
    return tree


def binds_of(tree: Node) -> frozenset[str]:
    """Return the names of the `$name` parameters of a checked tree."""
    found = _Walk()
    found.visit(tree["node"], frozenset())
    return frozenset(found.binds)
