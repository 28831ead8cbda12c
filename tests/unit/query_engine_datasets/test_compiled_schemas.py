"""What compiled once: it is not compiled again, unless a byte of it or its note is another one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from sluice_query_engine.catalog import CatalogError, load_catalog

from tests.unit.query_engine_datasets.hold_frames import ENGINE

NAME = "hold-history"
VIEW = f"datasets/{NAME}/views/trend.sql"
REASONS = "references/non_quality_reasons/reference.toml"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of hold history and of the repository's references."""
    for name in (f"datasets/{NAME}", "references"):
        shutil.copytree(ENGINE / name, tmp_path / name)
    return tmp_path


def loaded(tree: Path, notes: Path | None) -> Mapping[str, pa.Schema]:
    return load_catalog(tree / "datasets", tree / "references", compiled_dir=notes).columns(NAME)


def note(tree: Path) -> Path:
    [path] = (tree / "notes").iterdir()
    return path


def when_noted(tree: Path) -> int:
    """Return when the note was written; whatever is compiled is noted."""
    return note(tree).stat().st_mtime_ns


def edit(path: Path, old: str, new: str) -> None:
    source = path.read_text(encoding="utf-8")
    assert old in source
    path.write_text(source.replace(old, new, 1), encoding="utf-8")


def test_what_is_remembered_is_what_compiling_yields(tree: Path) -> None:
    loaded(tree, tree / "notes")
    remembered, compiled = loaded(tree, tree / "notes"), loaded(tree, None)
    assert list(remembered) == list(compiled)
    assert all(remembered[name].equals(compiled[name], check_metadata=True) for name in compiled)


def test_what_has_not_changed_is_compiled_once(tree: Path) -> None:
    loaded(tree, tree / "notes")
    first = when_noted(tree)
    loaded(tree, tree / "notes")
    assert when_noted(tree) == first


@pytest.mark.parametrize("file", [VIEW, REASONS])
def test_a_file_with_another_byte_is_compiled_again(tree: Path, file: str) -> None:
    loaded(tree, tree / "notes")
    first = note(tree).read_bytes()
    with (tree / file).open("a", encoding="utf-8") as end:
        end.write("\n")
    loaded(tree, tree / "notes")
    assert note(tree).read_bytes() != first


def test_a_fault_is_found_though_the_folder_compiled_before(tree: Path) -> None:
    loaded(tree, tree / "notes")
    edit(tree / VIEW, "select", "select nothing_of_this_name,")
    for _ in range(2):
        with pytest.raises(CatalogError, match="does not compile"):
            loaded(tree, tree / "notes")


@pytest.mark.parametrize("kept", [0, 40, -1])
def test_a_note_that_was_cut_is_written_anew(tree: Path, kept: int) -> None:
    compiled = loaded(tree, tree / "notes")
    whole = note(tree).read_bytes()
    note(tree).write_bytes(whole[:kept])
    assert loaded(tree, tree / "notes") == compiled
    assert note(tree).read_bytes() == whole


def test_a_note_with_a_changed_byte_is_written_anew(tree: Path) -> None:
    compiled = loaded(tree, tree / "notes")
    whole = note(tree).read_bytes()
    note(tree).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert loaded(tree, tree / "notes") == compiled
    assert note(tree).read_bytes() == whole


def test_where_nothing_can_be_written_everything_is_compiled(tree: Path) -> None:
    (tree / "notes").write_bytes(b"a file, not a folder")
    assert loaded(tree, tree / "notes") == loaded(tree, None)
