"""Hierarchical queries: CONNECT BY evaluated from the parsed statement, as a recursive query for DuckDB."""

from __future__ import annotations

from sqlglot import exp

from sluice_twin.oracle_wire.errors import OraError


def expand_hierarchies(tree: exp.Expr) -> None:
    """Put a recursive query in the place of every CONNECT BY.

    Raises:
        OraError: a hierarchical query of a shape that is not evaluated.
    """
    if tree.find(exp.Connect):
        raise OraError(3001, "unimplemented feature: CONNECT BY")
