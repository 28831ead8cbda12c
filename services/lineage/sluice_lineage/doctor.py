"""`python -m sluice_lineage.doctor URL`: whether both ways to walk to split ancestors agree on a warehouse."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from sluice_warehouse import Bind, Statement
from sluice_warehouse.doctor import SameAnswer, report
from sluice_warehouse.statements import expand_ids, load

from sluice_lineage.genealogy import MAX_DEPTH, SPLIT_SCHEMA, load_split_ancestors, split_binds

_Text = Callable[[Sequence[str]], tuple[Statement, Mapping[str, Bind]]]


def walks(url: str) -> list[SameAnswer]:
    """Return what must give the same answer; DuckDB has no CONNECT BY, so there is nothing to compare there."""
    names = ("connect_by", "recursive_with") if url.startswith("oracle:") else ("recursive_with",)
    texts: dict[str, _Text] = {name: partial(_text, name) for name in names}
    seeds = load(Path(__file__).parent / "sql" / "known_lots.sql")
    return [SameAnswer("split ancestors", seeds, texts, SPLIT_SCHEMA)]


def _text(alternative: str, ids: Sequence[str]) -> tuple[Statement, Mapping[str, Bind]]:
    return expand_ids(load_split_ancestors(alternative), "ids", len(ids)), split_binds(ids, MAX_DEPTH)


if __name__ == "__main__":
    raise SystemExit(report(sys.argv[1], (), walks(sys.argv[1]), sys.stdout.write))
