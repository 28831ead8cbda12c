"""The relations of one request by name, and what each is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_rpc.errors import InvalidParameter

from sluice_cache import binds
from sluice_cache.binds import Bind
from sluice_cache.catalogue import Catalogue
from sluice_cache.errors import InvalidSql
from sluice_cache.sql import check
from sluice_cache.sql.relations import Source


@dataclass(frozen=True)
class Statement:
    """One SELECT and its values."""

    sql: str
    values: Mapping[str, Bind]


@dataclass(frozen=True)
class Table:
    """A relation by its name: a frame, or a table of a manifest."""

    name: str
    frame_id: str = ""
    manifest: pb.Manifest | None = None
    entry: pb.ManifestTable | None = None

    @property
    def derived(self) -> tuple[pb.Manifest, pb.ManifestTable] | None:
        """Manifest and entry of a derived table; None for any other."""
        if self.manifest is None or self.entry is None or self.entry.WhichOneof("source") != "derived":
            return None
        return self.manifest, self.entry


@dataclass(frozen=True)
class Bound:
    """A checked statement with the values it binds."""

    select: check.Select
    values: dict[str, Bind]

    @property
    def plain(self) -> bool:
        """Whether it can run inside the process."""
        days = [self.values[name] for name in self.select.traits.series_binds]
        return self.select.traits.plain and all(isinstance(day, binds.Day) for day in days)


def tables_of(frames: Mapping[str, str], manifests: Sequence[pb.Manifest]) -> dict[str, Table]:
    """Return the relations by name.

    Raises:
        InvalidParameter: two have the same name.
    """
    tables = {name: Table(name, frame_id=frame_id) for name, frame_id in frames.items()}
    for manifest in manifests:
        for entry in manifest.tables:
            if entry.name in tables:
                raise InvalidParameter("sources", f"two sources are named {entry.name!r}")
            tables[entry.name] = Table(entry.name, manifest=manifest, entry=entry)
    return tables


def values_of(manifests: Iterable[pb.Manifest]) -> dict[str, Bind]:
    """Return the values that the manifests bind, without those of which two say different things."""
    values: dict[str, Bind] = {}
    disputed: set[str] = set()
    for manifest in manifests:
        for name, value in binds.all_from_proto(manifest.binds).items():
            if values.setdefault(name, value) != value:
                disputed.add(name)
    return {name: value for name, value in values.items() if name not in disputed}


def bound(statement: Statement, tables: Iterable[str], values: Mapping[str, Bind], parse: check.Parse) -> Bound:
    """Return a statement, checked against the relations and values there are; its own values win.

    Raises:
        InvalidSql: it is not one SELECT over them.
    """
    select = check.select_of(statement.sql, parse)
    check.require_known(select, tables)
    known = {**values, **statement.values}
    missing = sorted(select.binds - known.keys())
    if missing:
        raise InvalidSql(f"${missing[0]} is not bound, or by two manifests to different values", field="binds")
    return Bound(select, {name: known[name] for name in select.binds})


def frame_ids_of(sources: Iterable[Source]) -> frozenset[str]:
    """Return the frames whose rows the sources are made of."""
    slices = [item for source in sources for item in source.slices]
    return frozenset(item.frame_id for item in slices) | {item.ids.frame_id for item in slices if item.HasField("ids")}


def result_key(bound: Bound, sources: Iterable[Source], catalogue: Catalogue) -> str:
    """Return what a statement's table depends on: rows by frame and version, the statement, its values.

    Raises:
        CacheExpired: a frame is gone.
    """
    read = [source for source in sources if source.name in bound.select.relations]
    told = [
        bound.select.traits.canonical,
        binds.to_json(bound.values),
        [[source.name, list(_rows(source, catalogue)), source.clip, _values(source)] for source in read],
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _rows(source: Source, catalogue: Catalogue) -> Iterator[list[object]]:
    for item in source.slices:
        yield [item.SerializeToString(deterministic=True).hex(), catalogue.get(item.frame_id).version]
        if item.HasField("ids"):
            yield [item.ids.frame_id, catalogue.get(item.ids.frame_id).version]


def _values(source: Source) -> dict[str, list[object]]:
    return binds.to_json(source.values or {}) if source.clip else {}
