"""The SQL of every dataset, reference and walk as Oracle 19c reads it: parsed strictly, kept to the portable core."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlglot
from sluice_lineage import settings as lineage_settings
from sluice_query_engine.oracle_lint import faults
from sluice_warehouse import Statement, Tag
from sluice_warehouse.oracle import tagged
from sluice_warehouse.statements import load, parse
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


def named(statement: Statement) -> str:
    """Return a test id."""
    return f"{statement.name} {'connect by' if 'connect by' in statement.text else ''}".strip()


def parsed(statement: Statement) -> exp.Expr:
    """Return the one query of a statement, strictly as Oracle's."""
    [tree] = sqlglot.parse(statement.text, dialect="oracle", error_level=sqlglot.ErrorLevel.RAISE)
    assert tree is not None
    return tree


@pytest.mark.parametrize("statement", STATEMENTS, ids=named)
def test_a_statement_is_read_the_same_way_by_both_databases(statement: Statement) -> None:
    assert list(faults(statement)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("select a from t where", "does not parse as Oracle's"),
        ("delete from t", "is not one query"),
        ("select a::int from t", "has a cast by colons"),
        ("select a from t limit 3", "has a limit"),
        ("select list_contains(a, b) from t", "calls LIST_CONTAINS"),
        ("select a from t as u", "has an alias of a table by as"),
        ("select 1", "has a select without a table"),
        ("select a as _b from t", "has an alias that begins with an underscore"),
    ],
)
def test_what_oracle_would_not_read_is_told_in_words(text: str, fault: str) -> None:
    assert any(told.startswith(fault) for told in faults(parse("wrong", text)))


@pytest.mark.parametrize("statement", STATEMENTS, ids=named)
def test_the_tag_changes_nothing_of_a_statement(statement: Statement) -> None:
    sent = tagged(statement, Tag("m", "a", "*/ for update --"))
    assert parsed(statement) == sqlglot.parse_one(sent, dialect="oracle")


def test_the_lint_sees_every_file_that_goes_to_the_warehouse() -> None:
    assert len(FILES) >= 3
    seen = {path.relative_to(LINEAGE).as_posix() for path in LINEAGE_FILES}
    assert len(DOMAIN_FILES) == 7
    assert {"split_ancestors.sql", "known_lots.sql", "resolve/order_names_like.sql"} <= seen
