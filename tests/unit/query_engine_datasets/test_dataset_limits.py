"""Whose limits of a dataset stand above whose: an override, the dataset's folder, a setting."""

from __future__ import annotations

import pytest
from sluice_query_engine.catalog import Catalog, CatalogError, load_catalog
from sluice_query_engine.dataset import LimitDefaults, Limits

from tests.engine_rig import REPOSITORY
from tests.unit.query_engine_datasets.hold_frames import ENGINE

ONLY_HOLDS = REPOSITORY / "tests" / "only_holds"


def limits(defaults: LimitDefaults, overrides: dict[str, dict[str, int]]) -> Limits:
    """Return the limits of hold history."""
    catalog = load_catalog(ONLY_HOLDS, ENGINE / "references", defaults, overrides)
    return catalog.get("hold-history").limits


def test_a_limit_that_the_folder_leaves_out_is_the_settings() -> None:
    found = limits(LimitDefaults(direct_max_days=10, grain_days=5, direct_max_ids=500), {})
    assert (found.direct_max_days, found.grain_days, found.direct_max_ids) == (10, 5, 500)


@pytest.mark.parametrize("dataset", ["hold-history", "resource-history", "reject-history", "mid-section-defect"])
def test_histories_are_read_again_after_nine_hundred_seconds(catalog: Catalog, dataset: str) -> None:
    # Chunks whose rows cannot change any more are kept for longer; what may change is not.
    assert catalog.get(dataset).limits.ttl_s == 900


def test_an_override_stands_above_setting_and_folder() -> None:
    found = limits(LimitDefaults(grain_days=5), {"hold-history": {"grain_days": 10, "parallel": 1}})
    assert (found.grain_days, found.parallel) == (10, 1)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"hold-story": {"grain_days": 10}}, "holds no dataset 'hold-story'"),
        ({"hold-history": {"grain": 10}}, "limits.grain: cannot be overridden"),
        ({"hold-history": {"grain_days": 0}}, "limits.grain_days: cannot be overridden with 0"),
        ({"hold-history": {"id_batch_size": 1001}}, "limits.id_batch_size: cannot be overridden with 1001"),
    ],
)
def test_an_override_that_fits_nothing_is_refused(overrides: dict[str, dict[str, int]], words: str) -> None:
    with pytest.raises(CatalogError, match=words):
        limits(LimitDefaults(), overrides)
