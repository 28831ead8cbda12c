"""`python -m sluice_query_engine.check [DATASETS] [REFERENCES]`: everything that is wrong with the folders.

What the engine would refuse at its start is told folder by folder, and besides it what Oracle would not read. Nothing
is asked of a warehouse; `doctor` does that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO

from sluice_warehouse.statements import Statement

from sluice_query_engine.catalog import dataset_folders, folders, take_route
from sluice_query_engine.compilation import compile_dataset
from sluice_query_engine.dataset import Dataset, Reference
from sluice_query_engine.folder import read_dataset, read_reference
from sluice_query_engine.oracle_lint import faults
from sluice_query_engine.toml_section import CatalogError

_HOME: Final = Path(__file__).resolve().parent.parent


def check(datasets_dir: Path, references_dir: Path, out: TextIO) -> int:
    """Write a line for each folder and each fault, and return the exit code: 0 where nothing is wrong, else 1."""
    unlisted: list[str] = []
    fault_count = 0
    references: dict[str, Reference] = {}
    for folder in _listed(folders, references_dir, unlisted):
        try:
            references[folder.name] = read_reference(folder)
            found = [*_of_reference(references[folder.name])]
        except CatalogError as error:
            found = [str(error)]
        fault_count += _told(out, f"reference {folder.name}", found)
    routes: dict[str, str] = {}
    for folder in _listed(dataset_folders, datasets_dir, unlisted):
        fault_count += _told(out, f"dataset {folder.name}", [*_of_folder(folder, references, routes)])
    for fault in unlisted:
        fault_count += _told(out, "folders", [fault])
    out.write("nothing is wrong\n" if not fault_count else f"{fault_count} faults\n")
    return min(fault_count, 1)


def statements_of(dataset: Dataset) -> Iterator[Statement]:
    """Yield every statement that a dataset sends to the warehouse."""
    for part in dataset.parts:
        yield part.statement
        if part.pages is not None:
            yield from (part.pages.count, part.pages.page)
    if dataset.snapshot is not None and dataset.snapshot.version is not None:
        yield dataset.snapshot.version


def _of_folder(folder: Path, references: Mapping[str, Reference], routes: dict[str, str]) -> Iterator[str]:
    try:
        dataset = read_dataset(folder, references)
        compile_dataset(dataset, folder)
        take_route(folder, dataset, routes)
    except CatalogError as error:
        yield str(error)
        return
    for statement in statements_of(dataset):
        yield from (f"{folder / statement.name}.sql: {fault}" for fault in faults(statement))


def _of_reference(reference: Reference) -> Iterator[str]:
    if reference.statement is not None:
        yield from (f"{reference.name}: {fault}" for fault in faults(reference.statement))


def _told(out: TextIO, name: str, found: Sequence[str]) -> int:
    out.write(f"{'wrong' if found else 'right'}  {name}\n")
    for fault in found:
        out.write(f"       {fault}\n")
    return len(found)


def _listed(listing: Callable[[Path], list[Path]], directory: Path, unlisted: list[str]) -> list[Path]:
    """Return the folders of a directory; where there are none to return, note why."""
    try:
        return listing(directory)
    except CatalogError as error:
        unlisted.append(str(error))
        return []


def main(arguments: Sequence[str]) -> int:
    """Check the folders named, or those of this installation."""
    datasets, references = [*map(Path, arguments[:2]), *(_HOME / "datasets", _HOME / "references")[len(arguments) :]]
    return check(datasets, references, sys.stdout)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
