"""`sluice datasets check`: every fault of every folder, without a warehouse."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from sluice_query_engine.check import check

from tests.engine_rig import REPOSITORY

REFERENCES = REPOSITORY / "services" / "query-engine" / "references"
SOURCE = REPOSITORY / "tests" / "datasets"


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A copy of two datasets."""
    for name in ("container-holds", "traced-holds"):
        shutil.copytree(SOURCE / name, tmp_path / name)
    return tmp_path


def checked(folders: Path) -> tuple[int, list[str]]:
    out = io.StringIO()
    code = check(folders, REFERENCES, out)
    return code, out.getvalue().splitlines()


def test_folders_that_the_engine_takes_are_right(folders: Path) -> None:
    code, lines = checked(folders)
    assert (code, lines[-1]) == (0, "nothing is wrong")
    assert {"right  dataset container-holds", "right  dataset traced-holds"} <= set(lines)


def test_the_faults_of_all_folders_are_told_at_once(folders: Path) -> None:
    declared = folders / "traced-holds" / "dataset.toml"
    text = declared.read_text(encoding="utf-8")
    declared.write_text(text.replace("select container_id from containers", "select lot from placed"), encoding="utf-8")
    part = folders / "container-holds" / "holds_of.sql"
    text = part.read_text(encoding="utf-8")
    part.write_text(text.replace("h.CONTAINERID as", "cast(h.CONTAINERID as text)::text as"), encoding="utf-8")
    code, lines = checked(folders)
    assert (code, lines[-1]) == (1, "2 faults")
    told = " ".join(lines)
    assert "modes.container: reads holds_of, but nothing that gives its ids" in told
    assert "holds_of.sql: has a cast by colons" in told


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("select container_id from containers", "select container_id from passed", "parts.holds_of.ids_from"),
        ("select container_id from containers", "select lot from containers", "ids_from: does not compile"),
        ('source = "lineage.ancestors"', 'source = "lineage.cousins"', "parts.ancestors.source"),
        ('kind_parameter = "container_input_type"', 'kind_parameter = "mode"', "parts.containers.kind_parameter"),
        ('parts = ["placed"]', 'parts = ["placd"]', "modes.date_range.parts"),
        ('parameters = ["granularity"]', "parameters = []", "trend.sql: binds $granularity"),
        ('role = "measure", unit', 'role = "id", unit', "views.trend.columns.hold_count.role"),
        ('default = "day"', 'default = "hour"', "view_parameters.granularity.default"),
        ('[parts.placed]\ncut = "time"', '[parts.placed]\ncut = "whole"', "placed.sql: a part cut by"),
        ("reasons]\ntype", 'reasons]\ndefault = "x"\ntype', "parameters.reasons.default"),
    ],
)
def test_what_does_not_fit_together_is_told_by_file_and_key(folders: Path, old: str, new: str, told: str) -> None:
    declared = folders / "traced-holds" / "dataset.toml"
    text = declared.read_text(encoding="utf-8")
    assert old in text
    declared.write_text(text.replace(old, new, 1), encoding="utf-8")
    code, lines = checked(folders)
    assert code == 1
    assert told in " ".join(lines)


def test_a_folder_that_is_not_there_or_holds_none_is_a_fault(tmp_path: Path) -> None:
    code, lines = checked(tmp_path)
    assert (code, lines[-1]) == (1, "1 faults")
    assert f"{tmp_path}: holds no dataset folder" in " ".join(lines)
    missing = tmp_path / "missing"
    code, lines = checked(missing)
    assert (code, lines[-1]) == (1, "1 faults")
    assert f"{missing}: cannot be read" in " ".join(lines)
