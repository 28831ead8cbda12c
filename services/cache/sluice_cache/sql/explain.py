"""Turns DuckDB's plan into text that says what a statement does and nothing of where frames lie."""

from __future__ import annotations

import json
from typing import Any, Final

_SHOWN: Final = (
    "Projections", "Expression", "Expressions", "Filters", "Groups", "Aggregates", "Join Type", "Conditions",
    "Order By", "Top", "Limit", "Offset", "CTE Name", "Estimated Cardinality",
)  # fmt: skip
"""What is told of an operator; names of files, of tables of ours and of scanning functions are not among it."""

_INDENT: Final = "  "


def plan_text(plan: str) -> str:
    """Return one operator a line, each indented under the operator that reads it.

    Args:
        plan: what `explain (format json)` gives.
    """
    lines: list[str] = []
    for node in json.loads(plan):
        _tell(node, 0, lines)
    return "\n".join(lines)


def _tell(node: dict[str, Any], depth: int, lines: list[str]) -> None:
    extra = node.get("extra_info") or {}
    told = [f"{key}: {_joined(extra[key])}" for key in _SHOWN if extra.get(key)]
    lines.append(_INDENT * depth + " | ".join([str(node.get("name", "")).strip(), *told]))
    for child in node.get("children", []):
        _tell(child, depth + 1, lines)


def _joined(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else " ".join(str(value).split())
