"""requirements.lock fits pyproject.toml: everything asked for is there, at a version that fits, with its hashes."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repo.tree import ROOT, text_of

LOCK = text_of(ROOT / "requirements.lock")
PROJECT = tomllib.loads(text_of(ROOT / "pyproject.toml"))
ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?P<rest>(?:.*\\\n)*.*)$", re.MULTILINE)


def locked() -> dict[str, set[str]]:
    """Return the versions of each package; more than one where they differ by Python or platform."""
    versions: dict[str, set[str]] = {}
    for entry in ENTRY.finditer(LOCK):
        versions.setdefault(canonicalize_name(entry["name"]), set()).add(entry["version"])
    return versions


def asked() -> list[Requirement]:
    """Return what pyproject.toml asks for in any group, and to build; its own extras aside."""
    project = PROJECT["project"]
    groups = [PROJECT["build-system"]["requires"], project["dependencies"], *project["optional-dependencies"].values()]
    found = [Requirement(text) for group in groups for text in group]
    return [requirement for requirement in found if requirement.name != project["name"]]


def test_everything_asked_for_is_locked_at_a_version_that_fits() -> None:
    versions = locked()
    unmet = [
        str(requirement)
        for requirement in asked()
        if not any(requirement.specifier.contains(v) for v in versions.get(canonicalize_name(requirement.name), ()))
    ]
    assert unmet == [], "run `make lock`"


def test_every_locked_package_has_hashes() -> None:
    assert [entry["name"] for entry in ENTRY.finditer(LOCK) if "--hash=sha256:" not in entry["rest"]] == []


def test_the_lock_names_no_place_to_download_from() -> None:
    assert re.findall(r"https?://|--(?:extra-)?index|--find-links| @ ", LOCK) == []


def test_no_dependency_of_the_lock_is_the_project_itself() -> None:
    assert PROJECT["project"]["name"] not in locked()


FIXED = (
    "grpcio",
    "grpcio-tools",
    "protobuf",
    "pandas",
    "pyarrow",
    "oracledb",
    "redis",
    "pytest",
    "grpcio-health-checking",
)
"""Packages that the suite is asked to be built with."""


@pytest.mark.parametrize("name", FIXED)
def test_a_package_the_suite_is_built_with_is_asked_for(name: str) -> None:
    assert name in {canonicalize_name(requirement.name) for requirement in asked()}
