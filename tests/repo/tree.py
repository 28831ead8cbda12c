"""The files of the repository as a reviewer sees them: without what .gitignore names and without generated stubs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = {
    "query-engine": ROOT / "services" / "query-engine",
    "lineage": ROOT / "services" / "lineage",
    "cache": ROOT / "services" / "cache",
    "gateway": ROOT / "gateway",
}
"""Folder of each process by the name it has everywhere."""

_GENERATED = {ROOT / "protos" / "gen", ROOT / "requirements.lock"}


def _ignored_names() -> set[str]:
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    return {line.strip("/") for line in lines} | {".git"}


def files(*suffixes: str) -> Iterator[Path]:
    """Yield the repository's own files, in path order; with suffixes only those that end in one of them."""
    ignored = _ignored_names()
    for folder, folders, names in os.walk(ROOT):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if name not in ignored and here / name not in _GENERATED)
        for name in sorted(names):
            path = here / name
            if path not in _GENERATED and name not in ignored and (not suffixes or path.suffix in suffixes):
                yield path


def linked_folders() -> Iterator[Path]:
    """Yield the links that stand for another folder of the repository; their files are yielded where they lie."""
    ignored = _ignored_names()
    for folder, folders, _ in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in ignored and Path(folder, name) not in _GENERATED)
        yield from (Path(folder, name) for name in folders if Path(folder, name).is_symlink())


def relative(path: Path) -> str:
    """Return the path as people write it, from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    """Return the text of a file; empty for a binary file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
