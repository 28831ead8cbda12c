"""What a statement for the warehouse must not hold, so that Oracle 19c and DuckDB read it the same way.

sqlglot reads more than Oracle does; what it would let through is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import sqlglot
from sluice_warehouse.statements import Statement
from sqlglot import exp

PORTABLE: Final = frozenset(
    {
        "AND", "CASE", "CAST", "COALESCE", "COUNT", "EXTRACT", "LENGTH", "LOWER", "MAX", "MIN", "NULLIF", "OR", "PAD",
        "ROW_NUMBER", "STR_POSITION", "SUBSTRING", "SUM", "TRANSLATE", "TRIM", "UPPER",
    }
)  # fmt: skip
"""Functions that Oracle and DuckDB both have, and that mean the same in both."""

FOREIGN: Final = {
    "a cast by colons": re.compile(r"::"),
    "a limit": re.compile(r"\blimit\s+[:\d]", re.IGNORECASE),
    "a filter of an aggregate": re.compile(r"\bfilter\s*\(", re.IGNORECASE),
    "a qualify clause": re.compile(r"\bqualify\b", re.IGNORECASE),
    "an ilike": re.compile(r"\bilike\b", re.IGNORECASE),
    "a boolean": re.compile(r"\b(true|false)\b", re.IGNORECASE),
    "a select without a table": re.compile(r"\bselect\b(?!.*\bfrom\b)", re.IGNORECASE | re.DOTALL),
    "with recursive": re.compile(r"\bwith\s+recursive\b", re.IGNORECASE),
    "using": re.compile(r"\busing\s*\(", re.IGNORECASE),
    "an alias of a table by as": re.compile(r"\bfrom\s+[\w.]+\s+as\s+\w+", re.IGNORECASE),
    "an alias that begins with an underscore": re.compile(r"\bas\s+_", re.IGNORECASE),
    "an outer join by plus": re.compile(r"\(\+\)"),
}
"""What sqlglot would read as Oracle's and Oracle would not."""

LONGEST_NAME: Final = 128
_TEXT: Final = re.compile(r"'(?:[^']|'')*'")


def faults(statement: Statement) -> Iterator[str]:
    """Yield what is wrong with a statement, in words; nothing for one that both databases read the same way."""
    try:
        trees = sqlglot.parse(statement.text, dialect="oracle", error_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.errors.ParseError as error:
        yield f"does not parse as Oracle's: {str(error).splitlines()[0]}"
        return
    [tree] = trees if len(trees) == 1 else [None]
    if not isinstance(tree, exp.Query):
        yield "is not one query"
        return
    try:
        written = tree.sql(dialect="oracle", unsupported_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.errors.UnsupportedError as error:
        yield f"holds what Oracle does not have: {error}"
        return
    if sqlglot.parse_one(written, dialect="oracle") != tree:
        yield "is written otherwise by Oracle"
    yield from _foreign_functions(tree)
    yield from (f"has {name}" for name, found in FOREIGN.items() if found.search(_TEXT.sub("''", statement.text)))
    for name in sorted({item.name for item in tree.find_all(exp.Identifier)}):
        if len(name.encode()) > LONGEST_NAME or name.startswith(("_", "$")):
            yield f"has a name that Oracle does not take: {name[:LONGEST_NAME]}"


def _foreign_functions(tree: exp.Expr) -> Iterator[str]:
    # The parser's name for the WHEN of a CASE is IF.
    functions = [item for item in tree.find_all(exp.Func) if not isinstance(item.parent, exp.Case)]
    called = {item.sql_name().upper() for item in functions if not isinstance(item, exp.Anonymous)} - PORTABLE
    called |= {item.name.upper() for item in tree.find_all(exp.Anonymous)}
    yield from (f"calls {name}, which is not the same in both databases" for name in sorted(called))
