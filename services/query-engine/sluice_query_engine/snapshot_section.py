"""The `[snapshot]` table of a dataset.toml: a dataset that is read whole, again and again, and has no parameters."""

from __future__ import annotations

from pathlib import Path

from sluice_query_engine.dataset import Dataset, Snapshot
from sluice_query_engine.part_section import read_statement
from sluice_query_engine.toml_section import CatalogError, Section


def read_snapshot(folder: Path, file: Section) -> Snapshot | None:
    """Return how the dataset is kept fresh, or None where it is queried.

    Raises:
        CatalogError: a key is missing, unknown or wrong, or the version is no statement without binds.
    """
    if "snapshot" not in file:
        return None
    section = file.section("snapshot")
    version_file = section.optional_text("version")
    version = None if version_file is None else read_statement(folder / version_file, "version")
    if version is not None and version.bind_names:
        raise CatalogError(folder / str(version_file), "", "binds something; the version of a table has no parameters")
    snapshot = Snapshot(
        interval_s=section.integer("interval_s"),
        version=version,
        allow_empty=section.boolean("allow_empty", False),
    )
    section.close()
    return snapshot


def check_snapshot(file: Section, dataset: Dataset) -> None:
    """Check that parts read whole, and only these, are those of a snapshot.

    Raises:
        CatalogError: it has parameters, or a part of another cut, or a part is read whole without a snapshot.
    """
    for part in dataset.parts:
        whole = part.cut == "start" and not part.time_column
        if whole != (dataset.snapshot is not None) and not (dataset.snapshot is not None and part.ids_from):
            raise file.error(f"parts.{part.name}.cut", "is whole in snapshots, and nowhere else")
    if dataset.snapshot is not None and dataset.parameters:
        raise file.error("parameters", "belong to datasets that are queried, not to snapshots")
