"""The shape of the tree: names, sizes, and words that have no place in it."""

from __future__ import annotations

import ast
import re

import pytest

from tests.repo.tree import files, relative, text_of

MAX_MODULE_LINES = 450
MAX_FUNCTION_LINES = 45

# A letter in brackets matches itself and keeps each pattern from matching this file.
FOREIGN = {
    "package index host": r"py[p]i\.org|pytho[n]hosted|index-ur[l]\s*=|extra-inde[x]",
    "path of one machine": r"(?<![\w.])/(?:wor[k]|hom[e]|roo[t]|User[s])/\w",
    "how it was written": (
        r"cl[a]ude|anthr[o]pic|chat[g]pt|open[a]i\b|copil[o]t|\bll[m]s?\b|language m[o]del"
        r"|\ba[i][- ](?:generated|assist)|fact sh[e]et|design c[a]rd|sub-?[a]gent|co-authored-b[y]"
    ),
}
REFUSED_IN_TESTS = r"pytest\.(?:mark\.)?(?:ski[p]|xfai[l])|ski[p]if|importorski[p]|unittest\.moc[k]|moc[k]\.patch"
REFUSED_IN_CODE = r"\bTOD[O]\b(?!\(#\d+\))|\bFIXM[E]\b|NotImplementedErro[r]|sys\.path\.(?:inser[t]|appen[d])"


def found(pattern: str, *suffixes: str, under: str = "") -> list[str]:
    """Return `file:line` of each match, letter case aside, in files whose path starts with `under`."""
    places = []
    for path in files(*suffixes):
        if relative(path).startswith(under):
            lines = enumerate(text_of(path).splitlines(), 1)
            places += [
                f"{relative(path)}:{number}" for number, line in lines if re.search(pattern, line, re.IGNORECASE)
            ]
    return places


def sleeps() -> list[str]:
    """Return `file:line` of each call of `time.sleep` in a test; text of programs that tests start is not looked at."""
    places = []
    for path in files(".py"):
        if relative(path).startswith("tests/"):
            calls = (node for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, ast.Call))
            places += [f"{relative(path)}:{node.lineno}" for node in calls if ast.unparse(node.func) == "time.sleep"]
    return places


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_mentions(what: str) -> None:
    assert found(FOREIGN[what]) == []


def test_modules_have_nouns_for_names() -> None:
    refused = {"util", "utils", "common", "helper", "helpers", "misc", "base", "core"}
    assert [relative(path) for path in files(".py") if {path.stem, path.parent.name} & refused] == []


def test_no_module_has_outgrown_one_job() -> None:
    sizes = {relative(path): len(text_of(path).splitlines()) for path in files(".py")}
    assert {name: size for name, size in sizes.items() if size > MAX_MODULE_LINES} == {}


def test_no_function_has_outgrown_one_screen() -> None:
    long = []
    for path in files(".py"):
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    long.append(f"{relative(path)}:{node.lineno} {node.name} has {length} lines")
    assert long == []


def test_no_test_is_skipped_or_mocked() -> None:
    assert found(REFUSED_IN_TESTS, ".py", under="tests/") == []


def test_only_the_polling_helper_sleeps() -> None:
    assert [place for place in sleeps() if not place.startswith("tests/polling.py:")] == []


def test_nothing_is_left_to_do_without_an_issue() -> None:
    assert found(REFUSED_IN_CODE, ".py", ".sql", ".toml", ".md", ".proto") == []


def test_every_import_package_is_typed() -> None:
    packages = {
        path.parent for path in files(".py") if path.name == "__init__.py" and path.parent.name.startswith("sluice_")
    }
    assert [relative(folder) for folder in sorted(packages) if not (folder / "py.typed").is_file()] == []


def test_every_module_says_what_lives_in_it() -> None:
    modules = [path for path in files(".py") if text_of(path).strip() and not path.name.startswith("test_")]
    assert [relative(path) for path in modules if not ast.get_docstring(ast.parse(text_of(path)))] == []


def test_test_modules_have_names_of_their_own() -> None:
    names = [path.name for path in files(".py") if path.name.startswith("test_")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_sql_names_its_columns() -> None:
    assert found(r"select\s+\*", ".sql") == []


def test_sql_files_open_with_a_header() -> None:
    assert [relative(path) for path in files(".sql") if not text_of(path).lstrip().startswith("--")] == []
