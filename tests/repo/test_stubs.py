"""The committed stubs are what the protos say, and what pyproject.toml installs can import them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from protos.generate import generate
from tests.repo.tree import ROOT

GENERATED = ROOT / "protos" / "gen"


def contents(folder: Path) -> dict[str, str]:
    """Return the text of each file below the folder by its path in it."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def requirement(name: str) -> Requirement:
    """Return what pyproject.toml asks of a package, in whichever group it stands."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    everything = [
        *project["dependencies"],
        *(item for group in project["optional-dependencies"].values() for item in group),
    ]
    return next(found for found in map(Requirement, everything) if found.name == name)


def version_asked(name: str) -> Version:
    """Return the version in the only clause of a requirement, a floor or a pin."""
    (clause,) = requirement(name).specifier
    return Version(clause.version)


def versions_in_stubs(pattern: str) -> set[Version]:
    """Return every version the stubs name, by a pattern whose groups are its parts."""
    texts = [path.read_text(encoding="utf-8") for path in GENERATED.rglob("*.py")]
    return {Version(".".join(match.groups())) for text in texts for match in re.finditer(pattern, text)}


def test_regenerated_stubs_equal_the_committed_ones(tmp_path: Path) -> None:
    generate(tmp_path / "gen")
    assert contents(tmp_path / "gen") == contents(GENERATED), "run `make proto` and commit protos/gen"


def test_the_generator_is_pinned() -> None:
    assert [clause.operator for clause in requirement("grpcio-tools").specifier] == ["=="]


def test_grpcio_floor_is_the_pinned_generator() -> None:
    assert version_asked("grpcio") == version_asked("grpcio-tools")


@pytest.mark.parametrize(
    ("package", "pattern"),
    [
        ("grpcio", r"GRPC_GENERATED_VERSION = '(\d+)\.(\d+)\.(\d+)'"),
        ("protobuf", r"ValidateProtobufRuntimeVersion\(\s*_runtime_version\.Domain\.PUBLIC,\s*(\d+),\s*(\d+),\s*(\d+)"),
    ],
)
def test_floor_is_no_lower_than_the_stubs_demand(package: str, pattern: str) -> None:
    assert max(versions_in_stubs(pattern)) <= version_asked(package)
