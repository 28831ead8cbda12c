"""The twin: a seeded plant in a DuckDB file with the warehouse's tables, and the truths planted in it.

Nothing here reads the product's datasets; the judge in `truth` works from the plant's rules alone.
"""

from sluice_twin.digests import digests
from sluice_twin.handmade import plant_of
from sluice_twin.plant import DEFAULT_SEED, PLANT_TIME, UnusableSize
from sluice_twin.planted import read_raw
from sluice_twin.tables import UnknownTable, catalogue
from sluice_twin.words import NON_QUALITY_REASONS
from sluice_twin.write import PlantSummary, truth_path, write_plant

__all__ = [
    "DEFAULT_SEED",
    "NON_QUALITY_REASONS",
    "PLANT_TIME",
    "PlantSummary",
    "UnknownTable",
    "UnusableSize",
    "catalogue",
    "digests",
    "plant_of",
    "read_raw",
    "truth_path",
    "write_plant",
]
