"""What is served is what the source builds, and stays small enough."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from tests.browser.web_source import BUILT_DIR, WEB_DIR, installed, run_npm
from tests.repo.tree import text_of

KB = 1024
ASSETS = BUILT_DIR / "assets"


def packed(*names: str) -> int:
    """Return the bytes of the files whose names begin so, in gzip."""
    files = [path for path in ASSETS.iterdir() if path.name.startswith(names)]
    assert files
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in files)


@pytest.mark.node
@pytest.mark.timeout(600)
def test_the_pure_parts_of_the_page_pass_their_own_tests() -> None:
    installed()

    assert re.search(r"Tests +.*passed", run_npm("test", environment={**os.environ, "NO_COLOR": "1"}))


@pytest.mark.node
@pytest.mark.timeout(600)
def test_the_served_files_are_those_the_source_builds(tmp_path: Path) -> None:
    installed()
    run_npm("run", "build", environment={**os.environ, "WEB_OUT_DIR": str(tmp_path)})

    built = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.*")}
    served = {path.relative_to(BUILT_DIR).as_posix(): path.read_bytes() for path in BUILT_DIR.rglob("*.*")}
    assert sorted(built) == sorted(served)
    assert [name for name in built if built[name] != served[name]] == []


def loaded_with(name: str) -> set[str]:
    """Return the scripts that a script loads before it runs, itself included."""
    found, waiting = set(), [name]
    while waiting:
        script = waiting.pop()
        if script not in found:
            found.add(script)
            waiting += re.findall(r'(?:from|import)"\./([^"]+\.js)"', (ASSETS / script).read_text(encoding="utf-8"))
    return found


def test_the_scripts_before_the_first_paint_of_a_dataset_are_within_their_budget() -> None:
    (entry,) = re.findall(r'src="\./assets/([^"]+\.js)"', text_of(BUILT_DIR / "index.html"))
    (page,) = (path.name for path in ASSETS.glob("DatasetPage-*.js"))
    scripts = loaded_with(entry) | loaded_with(page)

    assert not any(script.startswith("TrendChart-") for script in scripts)
    assert packed(*scripts) <= 90 * KB


def test_the_drawing_of_trends_is_a_chunk_of_its_own_within_its_budget() -> None:
    assert packed("TrendChart-") <= 240 * KB


def test_the_thread_that_looks_at_rows_is_a_file_of_its_own_within_its_budget() -> None:
    assert packed("worker-") <= 24 * KB


def test_the_whole_page_is_within_its_budget() -> None:
    assert packed("") <= 400 * KB


def test_the_lock_names_no_address() -> None:
    assert re.findall(r"https?:", text_of(WEB_DIR / "package-lock.json")) == []


def test_the_page_names_every_version_exactly() -> None:
    package = json.loads(text_of(WEB_DIR / "package.json"))
    versions = {**package["dependencies"], **package["devDependencies"]}

    assert {name: said for name, said in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", said)} == {}
