"""Statements from `.sql` files: what is kept, what is refused, and where binds are found."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_warehouse.statements import (
    MAX_ID_COUNT,
    StatementError,
    expand_ids,
    id_binds,
    load,
    parse,
    to_duckdb,
)


def write(folder: Path, text: str) -> Path:
    path = folder / "slice.sql"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_statement_is_named_for_its_file(tmp_path: Path) -> None:
    assert load(write(tmp_path, "-- One row per lot.\nselect 1 from DWH.T\n")).name == "slice"


def test_a_given_name_wins_over_the_files(tmp_path: Path) -> None:
    assert load(write(tmp_path, "-- One row per lot.\nselect 1 from DWH.T"), name="holds.slice").name == "holds.slice"


def test_comments_and_the_closing_semicolon_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "-- One row.\nselect a, -- the :first\n /* :second; */ b\nfrom DWH.T;\n-- end\n")
    assert load(path).text == "select a,\n   b\nfrom DWH.T"


def test_a_comment_parts_words_like_a_blank() -> None:
    assert parse("s", "select/**/1").text == "select 1"


def test_hints_stay() -> None:
    assert parse("s", "select /*+ index(t) */ a from t").text == "select /*+ index(t) */ a from t"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("select '--no comment :no_bind' from t", ()),
        ("select 'it''s :no_bind' from t", ()),
        ('select ":no_bind" from t', ()),
        ("select q'[it's :no_bind]' from t", ()),
        ("select a::date from t where b = :day", ("day",)),
        ("select a from t where b = :b and c = :a or d = :b", ("b", "a")),
        ("select a from t where b=:b||':c'", ("b",)),
    ],
)
def test_binds_are_found_only_where_they_are_binds(text: str, kept: tuple[str, ...]) -> None:
    assert parse("s", text).bind_names == kept


@pytest.mark.parametrize(
    "text",
    [
        "select 1; select 2",
        ";",
        "",
        "-- only a comment",
        "select 'open",
        "select /* open",
        'select "open',
        "select :1 from t",
        "select : from t",
        "select :Day from t",
    ],
)
def test_what_is_not_one_sound_statement_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse("s", text)


def test_a_file_without_a_header_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(StatementError, match=r"slice\.sql: has no header"):
        load(write(tmp_path, "select 1 from DWH.T"))


def test_a_missing_file_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(StatementError, match=r"gone\.sql"):
        load(tmp_path / "gone.sql")


ALTERNATIVES = """-- One row.
-- alternative: oracle
select a from t connect by nocycle x = :x
-- alternative: twin
select b from t where x = :x
"""


@pytest.mark.parametrize(("name", "text"), [("oracle", "connect by"), ("twin", "select b")])
def test_the_named_alternative_is_taken(tmp_path: Path, name: str, text: str) -> None:
    assert text in load(write(tmp_path, ALTERNATIVES), alternative=name).text


@pytest.mark.parametrize("name", [None, "db2"])
def test_an_alternative_that_is_not_there_is_refused(tmp_path: Path, name: str | None) -> None:
    with pytest.raises(StatementError, match="is not among"):
        load(write(tmp_path, ALTERNATIVES), alternative=name)


def test_alternatives_with_different_binds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StatementError, match="same binds"):
        load(write(tmp_path, ALTERNATIVES.replace("where x = :x", "where x = :y")), alternative="twin")


def test_duckdb_gets_its_own_bind_marker_and_nothing_else() -> None:
    statement = parse("s", "select ':a', x::int from t where a = :a fetch first :n rows only")
    assert to_duckdb(statement) == "select ':a', x::int from t where a = $a fetch first $n rows only"


def test_duckdb_is_told_that_a_with_may_be_recursive() -> None:
    statement = parse("s", "with w (n) as (select 1 union all select n + 1 from w where n < :n) select n from w")
    assert duckdb.connect().execute(to_duckdb(statement), {"n": 3}).fetchall() == [(1,), (2,), (3,)]


def test_a_with_that_says_recursive_stays_as_it_is() -> None:
    assert to_duckdb(parse("s", "WITH RECURSIVE w as (select 1) select 1")).startswith("WITH RECURSIVE w")


def test_an_id_list_gets_one_bind_for_each_id() -> None:
    statement = expand_ids(parse("s", "select a from t where x in (:ids) and y <= :ids_max"), "ids", 3)
    assert statement.text == "select a from t where x in (:ids_1, :ids_2, :ids_3) and y <= :ids_max"


def test_the_binds_of_an_id_list_are_those_of_its_values() -> None:
    statement = expand_ids(parse("s", "select a from t where x in ( :ids ) or y in (:ids)"), "ids", 2)
    assert set(statement.bind_names) == set(id_binds("ids", ["a", "b"]))


@pytest.mark.parametrize("count", [0, -1, MAX_ID_COUNT + 1])
def test_an_empty_or_too_long_id_list_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        expand_ids(parse("s", "select a from t where x in (:ids)"), "ids", count)


@pytest.mark.parametrize(
    "text",
    ["select a from t where x = :ids", "select a from t where x in (:ids, 1)", "select f(:ids) from t"],
)
def test_a_list_bind_outside_an_in_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="stand alone"):
        expand_ids(parse("s", text), "ids", 2)


def test_a_list_bind_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no bind :ids"):
        expand_ids(parse("s", "select a from t where x in (':ids')"), "ids", 2)


@given(st.text(alphabet="'\"-/*:;qa[]\n ", max_size=30))
def test_text_inside_quotes_never_becomes_a_bind(text: str) -> None:
    quoted = text.replace("'", "''")
    assert parse("s", f"select '{quoted}' from t where a = :a").bind_names == ("a",)
