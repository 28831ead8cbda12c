"""`python -m sluice_lineage.doctor URL`: whether a warehouse has what lineage and events need, and walks alike."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import pyarrow as pa
from sluice_rpc.settings import SettingsError
from sluice_warehouse import Bind, Statement
from sluice_warehouse.doctor import Finding, Need, SameAnswer, report
from sluice_warehouse.statements import expand_ids, load

from sluice_lineage.containers.kinds import load_kinds
from sluice_lineage.containers.resolve import FOUND_SCHEMA
from sluice_lineage.edge_reader import MAX_DEPTH, load_statements, walk_binds
from sluice_lineage.edges import CONTAINER_SCHEMA, MERGE_SCHEMA
from sluice_lineage.events.domain import DomainError, EventDomain, load_domains
from sluice_lineage.settings import Settings

_Text: TypeAlias = Callable[[Sequence[str]], tuple[Statement, Mapping[str, Bind]]]

_LOOK_UPS: Final[Mapping[str, pa.Schema]] = {
    "containers": CONTAINER_SCHEMA,
    "lots_by_name": CONTAINER_SCHEMA,
    "merge_sources": MERGE_SCHEMA,
    "merge_targets": MERGE_SCHEMA,
}


def needs(domains: Iterable[EventDomain]) -> Iterator[Need]:
    """Yield each statement of lineage, of resolving containers and of the event domains, for ids that nothing has."""
    statements = load_statements("recursive_with")
    for name, schema in _LOOK_UPS.items():
        yield _need(name.replace("_", " "), statements[name], schema)
    for kind in load_kinds().values():
        for source in (*kind.sources, *([kind.any_case] if kind.any_case else [])):
            for statement in (source.exact, source.like):
                yield _need(f"resolve {statement.name}", statement, FOUND_SCHEMA)
    for domain in domains:
        yield _need(f"events {domain.name}", domain.statement, domain.read_schema)


def _need(name: str, statement: Statement, schema: pa.Schema) -> Need:
    return Need(name, statement, schema, partial(_no_values, statement))


def _no_values(statement: Statement, plant_time: datetime) -> Mapping[str, Bind]:
    return dict.fromkeys(statement.bind_names)


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


def main(url: str) -> int:
    """Write what was found to standard output and return the exit code; the domains are those lineage would load."""
    try:
        domains = load_domains(Settings.load(warehouse_url=url).domains_dir)
    except (SettingsError, DomainError) as error:
        sys.stdout.write(f"{Finding('settings', 'failed', str(error), 'correct the variable or the file')}\n")
        return 2
    return report(url, needs(domains.values()), walks(url), sys.stdout.write)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
