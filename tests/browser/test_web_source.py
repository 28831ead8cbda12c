"""What is served is what the source builds, and stays small enough."""

from __future__ import annotations

import gzip
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


def test_what_is_loaded_before_the_first_paint_is_within_its_budget() -> None:
    assert packed("index-", "DatasetPage-") <= 96 * KB


def test_the_drawing_of_trends_is_a_chunk_of_its_own_within_its_budget() -> None:
    assert packed("TrendChart-") <= 240 * KB


def test_the_whole_page_is_within_its_budget() -> None:
    assert packed("") <= 400 * KB


def test_the_lock_names_no_address() -> None:
    assert re.findall(r"https?:", text_of(WEB_DIR / "package-lock.json")) == []


def test_the_page_names_every_version_exactly() -> None:
    versions = re.findall(r'^    "[^"]+": "([^"]+)"', text_of(WEB_DIR / "package.json"), re.MULTILINE)
    pinned = [version for version in versions if re.match(r"[~^><*]|.*[xX]", version) and "=" not in version]
    assert [version for version in pinned if re.match(r"[\^~]?\d", version)] == []
