"""`python -m sluice_lineage.doctor URL`: whether both texts of each walk over splits agree on a warehouse."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from sluice_warehouse import Bind, Statement
from sluice_warehouse.doctor import SameAnswer, report
from sluice_warehouse.statements import expand_ids, load

from sluice_lineage.edge_reader import MAX_DEPTH, load_statements, walk_binds
from sluice_lineage.edges import CONTAINER_SCHEMA

_Text = Callable[[Sequence[str]], tuple[Statement, Mapping[str, Bind]]]


def walks(url: str) -> list[SameAnswer]:
    """Return what must give the same answer; DuckDB has no CONNECT BY, so there is nothing to compare there."""
    names = ("connect_by", "recursive_with") if url.startswith("oracle:") else ("recursive_with",)
    seeds = load(Path(__file__).parent / "sql" / "known_lots.sql")
    return [
        SameAnswer(walk.replace("_", " "), seeds, _texts(walk, names), CONTAINER_SCHEMA)
        for walk in ("split_ancestors", "split_descendants")
    ]


def _texts(walk: str, names: Sequence[str]) -> dict[str, _Text]:
    return {name: partial(_text, walk, name) for name in names}


def _text(walk: str, alternative: str, ids: Sequence[str]) -> tuple[Statement, Mapping[str, Bind]]:
    return expand_ids(load_statements(alternative)[walk], "ids", len(ids)), walk_binds(list(ids), MAX_DEPTH)


if __name__ == "__main__":
    raise SystemExit(report(sys.argv[1], (), walks(sys.argv[1]), sys.stdout.write))
