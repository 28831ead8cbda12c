"""Oracle's SQL to DuckDB's, from the parsed statement.

What cannot be carried over is refused and never run as something else.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError, UnsupportedError
from sqlglot.tokenizer_core import Token, TokenType

from sluice_twin.oracle_wire.connect_by import expand_hierarchies
from sluice_twin.oracle_wire.errors import OraError
from sluice_twin.oracle_wire.schema import ServedSchema

MAX_IN_LIST: Final = 1000
_TEXT_MAKERS: Final = (exp.Trim, exp.Substring, exp.Replace, exp.Translate)
"""Functions that may come out empty, which to Oracle is NULL."""


@dataclass(frozen=True)
class Translated:
    """A query for DuckDB, and the query it was made from."""

    duckdb_sql: str
    query: exp.Expr
    """As the client wrote it, binds renamed; columns are described from it."""


@dataclass(frozen=True)
class NumberedBinds:
    """A statement in which every occurrence of a bind has a name of its own, as the driver sends a value for each."""

    sql: str
    names: tuple[str, ...]


def number_binds(sql: str) -> NumberedBinds:
    """Return the statement with binds `:b1`, `:b2` and so on, in the order of the text.

    Raises:
        OraError: the text cannot be cut into words.
    """
    tokens = _tokens(sql)
    parts: list[str] = []
    names: list[str] = []
    done = 0
    for colon, word in itertools.pairwise(tokens):
        if colon.token_type is TokenType.COLON and word.start == colon.end + 1:
            names.append(f"b{len(names) + 1}")
            parts += (sql[done : colon.start], f":{names[-1]}")
            done = word.end + 1
    return NumberedBinds("".join((*parts, sql[done:])), tuple(names))


def first_words(sql: str, count: int) -> list[str]:
    """Return the first words of a statement, upper case, comments and hints left out.

    Raises:
        OraError: the text cannot be cut into words.
    """
    words = (token for token in _tokens(sql) if token.token_type is not TokenType.HINT)
    return [token.text.upper() for token in itertools.islice(words, count)]


def _tokens(sql: str) -> list[Token]:
    try:
        return sqlglot.tokenize(sql, read="oracle")
    except SqlglotError:
        raise OraError(900) from None


def translate(sql: str, schema: ServedSchema, clock: datetime) -> Translated:
    """Return the query that DuckDB runs for an Oracle query.

    Args:
        sql: one query, binds numbered.
        schema: which tables there are.
        clock: what SYSDATE shows.

    Raises:
        OraError: no query, a table that is not there, a list that is too long, or something without a counterpart.
    """
    try:
        tree = sqlglot.parse_one(sql, dialect="oracle")
    except SqlglotError:
        raise OraError(900) from None
    if not isinstance(tree, exp.Query):
        raise OraError(1031)
    query = tree.copy()
    for select in tree.find_all(exp.Select):
        # Hints speak to an optimiser that is not here.
        select.set("hint", None)
    _check_lists(tree)
    _apply_empty_text(tree)
    _apply_clock(tree, clock)
    _apply_row_numbers(tree)
    schema.qualify(tree)
    expand_hierarchies(tree)
    for clause in tree.find_all(exp.With):
        clause.set("recursive", True)
    try:
        return Translated(tree.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE), query)
    except UnsupportedError as error:
        raise OraError(3001, f"unimplemented feature: {error}") from None


def _check_lists(tree: exp.Expr) -> None:
    if any(len(found.expressions) > MAX_IN_LIST for found in tree.find_all(exp.In)):
        raise OraError(1795)


def _apply_empty_text(tree: exp.Expr) -> None:
    """Make '' NULL wherever a text can come out empty, and let `||` pass over NULL."""
    for literal in list(tree.find_all(exp.Literal)):
        if literal.is_string and literal.this == "" and literal.parent is not None:
            literal.replace(exp.null())
    # Inner ones first, so that the copy of an outer one has them.
    for node in reversed(list(tree.find_all(*_TEXT_MAKERS, exp.DPipe))):
        made = node.copy()
        if isinstance(node, exp.DPipe):
            made = exp.Anonymous(this="concat", expressions=[node.left.copy(), node.right.copy()])
        node.replace(exp.Nullif(this=made, expression=exp.Literal.string("")))


def _apply_clock(tree: exp.Expr, clock: datetime) -> None:
    kinds = (exp.CurrentTimestamp, exp.CurrentDate, exp.Systimestamp)
    names = ("SYSDATE", "SYSTIMESTAMP", "CURRENT_DATE")
    found: list[exp.Expr] = [*tree.find_all(*kinds)]
    found += [column for column in tree.find_all(exp.Column) if not column.table and column.name.upper() in names]
    for node in found:
        moment = exp.Literal.string(clock.isoformat(sep=" ", timespec="seconds"))
        node.replace(exp.Cast(this=moment, to=exp.DataType.build("TIMESTAMP_S", dialect="duckdb")))


def _apply_row_numbers(tree: exp.Expr) -> None:
    """Turn `where rownum <= n` into a limit; every other use of ROWNUM is refused."""
    for select in tree.find_all(exp.Select):
        where = select.args.get("where")
        for test in list(where.find_all(exp.LTE)) if where else ():
            if _is_row_number(test.this) and test.parent_select is select:
                select.limit(test.expression.copy(), copy=False)
                test.replace(exp.true())
    if any(_is_row_number(column) for column in tree.find_all(exp.Column, exp.Pseudocolumn)):
        raise OraError(3001, "unimplemented feature: ROWNUM other than in `where rownum <= n`")


def _is_row_number(node: exp.Expr) -> bool:
    return node.name.upper() == "ROWNUM"
