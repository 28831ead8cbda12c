"""All datasets and references by name, read whole at start; one bad folder stops the process with file and key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from sluice_query_engine.compilation import compile_dataset
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.errors import DatasetNotFound
from sluice_query_engine.folder import read_dataset, read_reference
from sluice_query_engine.toml_section import CatalogError
from sluice_query_engine.violations import shortened

__all__ = ["Catalog", "CatalogError", "load_catalog"]


@dataclass(frozen=True)
class Catalog:
    """The datasets of a process, in name order.

    Attributes:
        schemas: by dataset name, the output columns of each view, and of the main table under its own name.
    """

    datasets: Mapping[str, Dataset]
    schemas: Mapping[str, Mapping[str, pa.Schema]]

    def __iter__(self) -> Iterator[Dataset]:
        return iter(self.datasets.values())

    def __len__(self) -> int:
        return len(self.datasets)

    def get(self, name: str) -> Dataset:
        """Return the dataset of this name.

        Raises:
            DatasetNotFound: there is none.
        """
        try:
            return self.datasets[name]
        except KeyError:
            raise DatasetNotFound(shortened(name)) from None

    @property
    def by_route(self) -> Mapping[str, Dataset]:
        """The datasets by their path under `/api/`."""
        return {dataset.route: dataset for dataset in self}

    def columns(self, name: str) -> Mapping[str, pa.Schema]:
        """Return the output columns of each view of a dataset, and of its main table under its own name.

        Raises:
            DatasetNotFound: there is no such dataset.
        """
        return self.schemas[self.get(name).name]


def load_catalog(datasets_dir: Path, references_dir: Path) -> Catalog:
    """Return the catalog of two directories of folders; every statement is compiled on zero rows.

    Raises:
        CatalogError: naming the file and the key of the first fault.
    """
    references = {folder.name: read_reference(folder) for folder in _folders(references_dir)}
    datasets: dict[str, Dataset] = {}
    schemas: dict[str, Mapping[str, pa.Schema]] = {}
    routes: dict[str, str] = {}
    for folder in _folders(datasets_dir):
        dataset = read_dataset(folder, references)
        if routes.setdefault(dataset.route, dataset.name) != dataset.name:
            taken = routes[dataset.route]
            raise CatalogError(folder / "dataset.toml", "route", f"{dataset.route!r} is already the route of {taken}")
        datasets[dataset.name] = dataset
        schemas[dataset.name] = compile_dataset(dataset, folder)
    if not datasets:
        raise CatalogError(datasets_dir, "", "holds no dataset folder")
    return Catalog(datasets, schemas)


def _folders(directory: Path) -> list[Path]:
    """Return the folders of a directory in name order; hidden ones are an editor's or a tool's."""
    try:
        return sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise CatalogError(directory, "", f"cannot be read: {error.strerror}") from error
