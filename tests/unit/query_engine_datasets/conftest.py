"""The catalog of the repository, loaded once."""

from __future__ import annotations

import pytest
from sluice_query_engine.catalog import Catalog
from sluice_query_engine.dataset import Dataset

from tests.unit.query_engine_datasets import hold_frames


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """All datasets of the repository."""
    return hold_frames.load()


@pytest.fixture(scope="session")
def dataset(catalog: Catalog) -> Dataset:
    """Hold history."""
    return catalog.get("hold-history")
