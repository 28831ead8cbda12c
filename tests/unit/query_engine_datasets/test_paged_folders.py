"""Folders whose parts are read in pages: refused unless the order is total and the count is of what the pages hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from sluice_query_engine.catalog import CatalogError, load_catalog

from tests.dataset_frames import load
from tests.engine_rig import DATASET
from tests.row_pages import paged_datasets
from tests.unit.query_engine_datasets.hold_frames import ENGINE

TOML, PAGE, COUNT = "dataset.toml", "slice.page.sql", "slice.count.sql"


def complaint(datasets: Path) -> str:
    """Return what loading the folders complains of."""
    with pytest.raises(CatalogError) as caught:
        load_catalog(datasets, ENGINE / "references")
    return str(caught.value).removeprefix(f"{datasets / DATASET}/")


def test_a_folder_with_a_total_order_and_a_count_of_the_same_rows_is_read_in_pages(tmp_path: Path) -> None:
    catalog = load_catalog(paged_datasets(tmp_path, 7), ENGINE / "references")
    dataset = catalog.get(DATASET)
    pages = {part.name: part.pages and part.pages.order_key for part in dataset.parts}
    assert pages == {"slice": ("hold_time", "history_id"), "carry_in": None, "renewed": None}
    assert dataset.limits.rows_per_chunk == 7


def test_no_part_is_read_in_pages_unless_its_folder_says_so() -> None:
    assert [part.pages for dataset in load() for part in dataset.parts if part.pages] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (TOML, 'unique_key = ["history_id"]\n', "", f"{TOML}: parts.slice.order_key: does not include a unique_key"),
        (
            TOML,
            'order_key = ["hold_time", "history_id"]',
            'order_key = ["hold_time"]',
            f"{TOML}: parts.slice.order_key: does not include a unique_key",
        ),
        (TOML, 'order_key = ["hold_time", "history_id"]\n', "", f"{TOML}: parts.slice.unique_key: belongs to parts"),
        (TOML, '["hold_time", "history_id"]', '["held", "history_id"]', f"{TOML}: parts.slice.order_key: 'held'"),
        (PAGE, "h.HOLDTXNDATE, h.HISTORYMAINLINEID)", "h.HOLDTXNDATE)", f"{PAGE}: does not number its rows by"),
        (PAGE, "HISTORYMAINLINEID) as", "HISTORYMAINLINEID desc) as", f"{PAGE}: numbers its rows in descending"),
        (PAGE, "over (order", "over (partition by h.HOLDREASONID order", f"{PAGE}: does not number all its rows"),
        (PAGE, "and :last_row", "and 100", f"{PAGE}: binds end_time, first_row, last_row, start_time"),
        (COUNT, "and h.HOLDTXNDATE < :end_time", "and h.HOLDTXNDATE <= :end_time", f"{COUNT}: counts other rows"),
        (COUNT, "left join", "inner join", f"{COUNT}: counts other rows than {PAGE} numbers"),
        (COUNT, "count(*)", "count(distinct h.CONTAINERID)", f"{COUNT}: counts something else than rows"),
    ],
)
def test_a_folder_that_could_lose_or_double_rows_is_refused(
    tmp_path: Path, file: str, old: str, new: str, words: str
) -> None:
    datasets = paged_datasets(tmp_path, 7)
    path = datasets / DATASET / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert complaint(datasets).startswith(words)
