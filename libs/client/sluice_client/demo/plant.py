"""The demo's plant: generated once per scale, seed and generator version, then used again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sluice_twin import truth_path, write_plant
from sluice_twin.plant import GENERATOR_VERSION


@dataclass(frozen=True)
class PlantFolder:
    """Folder of one plant: its file, and whatever else holds only while this plant is asked."""

    path: Path

    @property
    def plant(self) -> Path:
        """The DuckDB file."""
        return self.path / "plant.duckdb"

    @property
    def cache_dir(self) -> Path:
        """Where frames read from this plant are kept."""
        return self.path / "cache"

    @property
    def exists(self) -> bool:
        """Whether the plant is complete; the generator renames its files only when all rows are in."""
        return self.plant.exists() and truth_path(self.plant).exists()

    def generate(self, scale: float, seed: int, progress: Callable[[str, int], None]) -> None:
        """Write the plant; `progress` is told each table's name and row count when it is done.

        Raises:
            sluice_twin.UnusableSize: the scale or seed makes no plant.
        """
        write_plant(self.plant, scale=scale, seed=seed, progress=progress)


def plant_folder(data_dir: Path, scale: float, seed: int) -> PlantFolder:
    """Return the folder of this plant; another scale, seed or generator gets another folder."""
    return PlantFolder(data_dir / "plants" / f"scale-{scale:g}-seed-{seed}-v{GENERATOR_VERSION}")
