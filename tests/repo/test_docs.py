"""The documents say what is so: links lead somewhere, commands and settings are named, decisions are whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from sluice.cache.v1 import frame_service_pb2, sql_service_pb2
from sluice.lineage.v1 import container_service_pb2, event_service_pb2, lineage_service_pb2
from sluice.query.v1 import query_service_pb2

from tests.repo.settings_page import PAGE, docstrings, page, settings_class
from tests.repo.tree import PROCESSES, ROOT, files, relative, text_of

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PROTOS = (
    frame_service_pb2,
    sql_service_pb2,
    container_service_pb2,
    event_service_pb2,
    lineage_service_pb2,
    query_service_pb2,
)
"""Importing a stub is what puts its services into the pool."""
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Return the fragment of each heading of a page, as code hosts build it."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text_of(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page_path: Path) -> list[str]:
    """Return the links of a page that lead to no file or no heading of this repository."""
    broken = []
    for target in LINK.findall(FENCED.sub("", text_of(page_path))):
        name, _, fragment = target.partition("#")
        if re.match(r"[a-z]+:", name):
            continue
        linked = (page_path.parent / name).resolve() if name else page_path
        if not linked.exists() or (fragment and linked.suffix == ".md" and fragment not in anchors(linked)):
            broken.append(f"{relative(page_path)}: {target}")
    return broken


def targets() -> list[str]:
    """Return the targets of the Makefile that people type."""
    (line,) = re.findall(r"^\.PHONY: (.+)$", text_of(ROOT / "Makefile"), re.MULTILINE)
    return str(line).split()


def grpc_calls() -> list[tuple[str, str, str]]:
    """Return body, service and method of each call that docs/grpc.md shows."""
    text = text_of(ROOT / "docs" / "grpc.md").replace("\\\n", " ")
    return re.findall(r"-d '([^']*)'\s+(?:http://)?127\.0\.0\.1:\d+[/ ](sluice\.[\w.]+)/(\w+)", text)


@pytest.mark.parametrize(("body", "service", "method"), grpc_calls())
def test_a_grpc_example_fits_its_proto(body: str, service: str, method: str) -> None:
    request = descriptor_pool.Default().FindServiceByName(service).FindMethodByName(method).input_type
    json_format.Parse(body, message_factory.GetMessageClass(request)())


def test_every_link_leads_somewhere() -> None:
    assert [link for path in files(".md") for link in broken_links(path)] == []


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_shows(command: str) -> None:
    assert command in text_of(ROOT / "README.md")


def test_every_make_target_is_explained() -> None:
    explained = text_of(ROOT / "README.md") + text_of(ROOT / "CONTRIBUTING.md")
    assert [name for name in targets() if f"`make {name}" not in explained] == []


def test_the_settings_page_is_what_the_classes_say() -> None:
    assert text_of(PAGE) == page(), "run `make docs`"


@pytest.mark.parametrize("process", PROCESSES)
def test_every_setting_says_what_it_does(process: str) -> None:
    assert set(settings_class(process).model_fields) == set(docstrings(settings_class(process)))


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_has_a_page(process: str) -> None:
    assert text_of(PROCESSES[process] / "README.md").startswith("# ")


def test_every_process_stands_in_the_operations_page() -> None:
    operations = text_of(ROOT / "docs" / "operations.md")
    assert [process for process in PROCESSES if f"| {process} |" not in operations] == []


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")), ids=lambda path: path.stem)
def test_a_decision_is_whole(path: Path) -> None:
    headings = re.findall(r"^## (.+)$", text_of(path), re.MULTILINE)
    assert headings == ["Context", "Choice", "Rejected", "Consequence"]


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    listed = LINK.findall(text_of(folder / "README.md"))
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))


def test_every_page_of_docs_is_linked() -> None:
    linked = {
        (path.parent / target.partition("#")[0]).resolve()
        for path in files(".md")
        for target in LINK.findall(text_of(path))
    }
    assert [relative(path) for path in (ROOT / "docs").rglob("*.md") if path.resolve() not in linked] == []


def test_the_changelog_has_room_for_the_next_change() -> None:
    assert "\n## [Unreleased]\n" in text_of(ROOT / "CHANGELOG.md")


def test_every_module_that_the_dba_sees_is_ours_by_name_and_documented() -> None:
    shown = {
        name
        for folder in ("libs", "services")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r'\bTag\(\s*"([^"]+)"', text_of(path))
    }
    (row,) = re.findall(r"^\| `MODULE` \|(.+)\|$", text_of(ROOT / "docs" / "oracle.md"), re.MULTILINE)
    assert shown == set(re.findall(r"`(sluice-[a-z-]+)`", row))
