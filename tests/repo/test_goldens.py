"""Every view has reviewed answers, and each of them is given from the plant's file and through the Oracle driver."""

from __future__ import annotations

import re

from tests.repo.tree import ROOT

GOLDEN = ROOT / "tests" / "golden"
DATASETS = ROOT / "services" / "query-engine" / "datasets"
BOTH_DOORS = re.compile(r"params=DOORS|\beach_suite\b")


def test_every_view_of_every_dataset_has_reviewed_answers() -> None:
    reviewed = {(path.parent.name, path.stem) for path in GOLDEN.rglob("*.csv")}
    views = {(path.parent.parent.name, path.stem) for path in DATASETS.glob("*/views/*.sql")}
    assert views - reviewed == set()


def test_every_reviewed_answer_is_given_through_the_oracle_driver_too() -> None:
    modules = list(GOLDEN.rglob("test_*.py"))
    assert modules
    assert [path.name for path in modules if not BOTH_DOORS.search(path.read_text(encoding="utf-8"))] == []
