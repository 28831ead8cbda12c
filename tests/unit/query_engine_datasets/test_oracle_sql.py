"""The SQL of every dataset, reference and walk as Oracle 19c reads it: parsed strictly, kept to the portable core."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlglot
from sluice_lineage import settings as lineage_settings
from sluice_warehouse import Statement, Tag
from sluice_warehouse.oracle import tagged
from sluice_warehouse.statements import load
from sqlglot import exp

from tests.unit.query_engine_datasets.hold_frames import ENGINE

FILES = [
    path
    for path in sorted([*ENGINE.glob("datasets/*/*.sql"), *ENGINE.glob("references/*/*.sql")])
    if path.name != "derive.sql"
]
LINEAGE = Path(lineage_settings.__file__).parent / "sql"
LINEAGE_FILES = sorted(LINEAGE.rglob("*.sql"))
DOMAIN_FILES = sorted(LINEAGE.parents[1].glob("domains/*/events.sql"))


def loaded(path: Path) -> list[Statement]:
    """Return the statement of a file, or each of its alternatives."""
    names = re.findall(r"^-- alternative: (\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [load(path, name=f"{path.parent.name}/{path.stem}", alternative=name) for name in names or [None]]


STATEMENTS = [statement for path in [*FILES, *LINEAGE_FILES, *DOMAIN_FILES] for statement in loaded(path)]

PORTABLE = {
    "AND", "CASE", "CAST", "COALESCE", "COUNT", "EXTRACT", "LENGTH", "LOWER", "MAX", "MIN", "NULLIF", "OR", "PAD",
    "ROW_NUMBER", "STR_POSITION", "SUBSTRING", "SUM", "TRANSLATE", "TRIM", "UPPER",
}  # fmt: skip
"""Functions that Oracle and DuckDB both have, and that mean the same in both."""

FOREIGN = {
    "a cast by colons": r"::",
    "a limit": r"\blimit\s+[:\d]",
    "a filter of an aggregate": r"\bfilter\s*\(",
    "a qualify clause": r"\bqualify\b",
    "an ilike": r"\bilike\b",
    "a boolean": r"\b(true|false)\b",
    "a select without a table": r"\bselect\b(?!.*\bfrom\b)",
    "with recursive": r"\bwith\s+recursive\b",
    "using": r"\busing\s*\(",
    "an alias of a table by as": r"\bfrom\s+[\w.]+\s+as\s+\w+",
    "an alias that begins with an underscore": r"\bas\s+_",
    "an outer join by plus": r"\(\+\)",
}
"""What sqlglot would read as Oracle's and Oracle would not."""

LONGEST_NAME = 128


def named(statement: Statement) -> str:
    """Return a test id."""
    return f"{statement.name} {'connect by' if 'connect by' in statement.text else ''}".strip()


def parsed(statement: Statement) -> exp.Expr:
    """Return the one query of a statement, strictly as Oracle's."""
    [tree] = sqlglot.parse(statement.text, dialect="oracle", error_level=sqlglot.ErrorLevel.RAISE)
    assert tree is not None
    return tree


@pytest.mark.parametrize("statement", STATEMENTS, ids=named)
def test_a_statement_is_one_query_that_oracle_writes_the_same_way(statement: Statement) -> None:
    tree = parsed(statement)
    written = tree.sql(dialect="oracle", unsupported_level=sqlglot.ErrorLevel.RAISE)
    assert isinstance(tree, exp.Query)
    assert sqlglot.parse_one(written, dialect="oracle") == tree


@pytest.mark.parametrize("statement", STATEMENTS, ids=named)
def test_a_statement_calls_only_what_both_databases_have(statement: Statement) -> None:
    # The parser's name for the WHEN of a CASE is IF.
    functions = [item for item in parsed(statement).find_all(exp.Func) if not isinstance(item.parent, exp.Case)]
    called = {item.sql_name().upper() for item in functions}
    unknown = {item.name.upper() for item in parsed(statement).find_all(exp.Anonymous)}
    assert (called - PORTABLE, unknown) == (set(), set())


@pytest.mark.parametrize("statement", STATEMENTS, ids=named)
@pytest.mark.parametrize("pattern", FOREIGN.values(), ids=FOREIGN)
def test_a_statement_has_nothing_that_oracle_19c_does_not_know(statement: Statement, pattern: str) -> None:
    text = re.sub(r"'(?:[^']|'')*'", "''", statement.text)
    assert re.search(pattern, text, re.IGNORECASE | re.DOTALL) is None


@pytest.mark.parametrize("statement", STATEMENTS, ids=named)
def test_names_fit_into_oracle(statement: Statement) -> None:
    names = {item.name for item in parsed(statement).find_all(exp.Identifier)}
    assert [name for name in names if len(name.encode()) > LONGEST_NAME or name.startswith(("_", "$"))] == []


@pytest.mark.parametrize("statement", STATEMENTS, ids=named)
def test_the_tag_changes_nothing_of_a_statement(statement: Statement) -> None:
    sent = tagged(statement, Tag("m", "a", "*/ for update --"))
    assert parsed(statement) == sqlglot.parse_one(sent, dialect="oracle")


def test_the_lint_sees_every_file_that_goes_to_the_warehouse() -> None:
    assert len(FILES) >= 3
    seen = {path.relative_to(LINEAGE).as_posix() for path in LINEAGE_FILES}
    assert len(DOMAIN_FILES) == 7
    assert {"split_ancestors.sql", "known_lots.sql", "resolve/order_names_like.sql"} <= seen
