"""All datasets and references by name, read whole at start; one bad folder stops the process with file and key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pyarrow as pa
from sluice_warehouse.statements import MAX_ID_COUNT

from sluice_query_engine.compiled import CompiledSchemas
from sluice_query_engine.dataset import Dataset, LimitDefaults, Limits
from sluice_query_engine.errors import DatasetNotFound
from sluice_query_engine.folder import LIMIT_DEFAULTS, read_dataset, read_reference
from sluice_query_engine.toml_section import CatalogError
from sluice_query_engine.violations import shortened

__all__ = ["Catalog", "CatalogError", "dataset_folders", "folders", "load_catalog", "take_route"]


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


def load_catalog(
    datasets_dir: Path,
    references_dir: Path,
    defaults: LimitDefaults = LIMIT_DEFAULTS,
    overrides: Mapping[str, Mapping[str, int]] | None = None,
    compiled_dir: Path | None = None,
) -> Catalog:
    """Return the catalog of two directories of folders; every statement has been compiled on zero rows.

    Args:
        datasets_dir: dataset folders.
        references_dir: reference folders.
        defaults: limits of datasets that do not give their own.
        overrides: limits by dataset and name that stand above what the dataset's folder gives.
        compiled_dir: where it is remembered what compiled before; None compiles everything.

    Raises:
        CatalogError: naming the file and the key of the first fault, or an override that fits no dataset or limit.
    """
    reference_folders = folders(references_dir)
    references = {folder.name: read_reference(folder) for folder in reference_folders}
    compiled = CompiledSchemas(compiled_dir, reference_folders)
    datasets: dict[str, Dataset] = {}
    schemas: dict[str, Mapping[str, pa.Schema]] = {}
    routes: dict[str, str] = {}
    for folder in dataset_folders(datasets_dir):
        declared = read_dataset(folder, references, defaults)
        dataset = _overridden(folder, declared, (overrides or {}).get(folder.name, {}))
        take_route(folder, dataset, routes)
        datasets[dataset.name] = dataset
        schemas[dataset.name] = compiled.of(dataset, folder)
    for name in sorted(set(overrides or {}) - set(datasets)):
        raise CatalogError(datasets_dir, "", f"holds no dataset {name!r}, whose limits are overridden")
    return Catalog(datasets, schemas)


def _overridden(folder: Path, dataset: Dataset, limits: Mapping[str, int]) -> Dataset:
    known = {item.name for item in fields(Limits)}
    for name, value in limits.items():
        most = MAX_ID_COUNT if name in ("direct_max_ids", "id_batch_size") else None
        if name not in known or value < 1 or (most is not None and value > most):
            raise CatalogError(folder / "dataset.toml", f"limits.{name}", f"cannot be overridden with {value}")
    return replace(dataset, limits=replace(dataset.limits, **limits))


def dataset_folders(directory: Path) -> list[Path]:
    """Return the dataset folders of a directory. Raises CatalogError: as `folders`, or it holds none."""
    found = folders(directory)
    if not found:
        raise CatalogError(directory, "", "holds no dataset folder")
    return found


def take_route(folder: Path, dataset: Dataset, routes: dict[str, str]) -> None:
    """Note whose the dataset's route is. Raises CatalogError: it is another's already."""
    taken = routes.setdefault(dataset.route, dataset.name)
    if taken != dataset.name:
        raise CatalogError(folder / "dataset.toml", "route", f"{dataset.route!r} is already the route of {taken}")


def folders(directory: Path) -> list[Path]:
    """Return the folders of a directory in name order; hidden ones are an editor's or a tool's.

    Raises:
        CatalogError: it is not there, or cannot be read.
    """
    try:
        return sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise CatalogError(directory, "", f"cannot be read: {error.strerror}") from error
