"""Manifests: tables that together answer a query, kept by id and version in memory, on disk and in the shared index."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime
from pathlib import Path

import structlog
from google.protobuf.message import DecodeError
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_rpc.errors import InvalidParameter
from sluice_rpc.ports import Clock

from sluice_cache import binds, convert, files
from sluice_cache.catalogue import Catalogue
from sluice_cache.errors import CacheExpired, InvalidSql
from sluice_cache.frames import check_id, check_table_name
from sluice_cache.index import SharedIndex
from sluice_cache.sql import check
from sluice_cache.sql.division import check_division

log = structlog.get_logger()

SUFFIX = ".manifest"


class Manifests:
    """Live manifests.

    Args:
        folder: one file per manifest, the message as it travels.
        catalogue: frames that manifests name, whose life they prolong.
        shared: index that outlives the disk.
        parse: DuckDB's parser, for clips and derived tables.
        clock: decides what has expired.
    """

    def __init__(
        self, folder: Path, catalogue: Catalogue, shared: SharedIndex, parse: check.Parse, clock: Clock
    ) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._shared = shared
        self._parse = parse
        self._clock = clock
        # Guards the map and the files: version checks and their effect are one step.
        self._lock = threading.RLock()
        self._manifests: dict[str, pb.Manifest] = {}

    def load(self) -> int:
        """Take in the manifests of an earlier process and return how many; broken files are dropped and logged."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                manifest = pb.Manifest.FromString(path.read_bytes())
            except DecodeError:
                log.warning("manifest dropped", file=path.name)
                path.unlink(missing_ok=True)
                continue
            self._manifests[manifest.manifest_id] = manifest
        return len(self._manifests)

    def put(self, manifest: pb.Manifest) -> tuple[pb.Manifest, bool]:
        """Store a manifest and keep its frames as long as itself.

        Returns:
            The manifest as it now stands, and whether it is this one: an older version never replaces a newer one.

        Raises:
            InvalidParameter: it is malformed.
            CacheExpired: a frame it names is gone.
        """
        self._check(manifest)
        keep_until = manifest.keep_until_time.ToDatetime(tzinfo=UTC)
        for frame_id in frame_ids(manifest):
            self._catalogue.touch(frame_id, None, keep_until)
        with self._lock:
            present = self._manifests.get(manifest.manifest_id) or self._from_shared(manifest.manifest_id)
            if present is not None and present.version > manifest.version and self._live(present):
                return present, False
            self._write(manifest)
        content = manifest.SerializeToString()
        self._shared.put_manifest(manifest.manifest_id, content, keep_until.timestamp())
        return manifest, True

    def get(self, manifest_id: str) -> pb.Manifest:
        """Return a live manifest.

        Raises:
            CacheExpired: it is not there or past its time.
        """
        with self._lock:
            manifest = self._manifests.get(manifest_id)
        if manifest is None:
            manifest = self._from_shared(manifest_id)
            if manifest is not None:
                with self._lock:
                    self._write(manifest)
        if manifest is None or not self._live(manifest):
            raise CacheExpired("manifest", manifest_id)
        return manifest

    def drop_expired(self) -> int:
        """Forget the manifests past their time and return how many."""
        with self._lock:
            expired = [manifest_id for manifest_id, item in self._manifests.items() if not self._live(item)]
            for manifest_id in expired:
                del self._manifests[manifest_id]
                self._remove_file(manifest_id)
        for manifest_id in expired:
            self._shared.delete_manifest(manifest_id)
        return len(expired)

    def _live(self, manifest: pb.Manifest) -> bool:
        return _keep_until(manifest) > self._clock.now()

    def _write(self, manifest: pb.Manifest) -> None:
        kept = pb.Manifest()
        kept.CopyFrom(manifest)
        try:
            files.write_whole(self._path(manifest.manifest_id), kept.SerializeToString())
        except OSError as error:
            # It is served all the same, until the process ends; an older one must not come back after that.
            log.warning("manifest not kept", manifest_id=manifest.manifest_id, reason=str(error))
            self._remove_file(manifest.manifest_id)
        self._manifests[manifest.manifest_id] = kept

    def _remove_file(self, manifest_id: str) -> None:
        try:
            self._path(manifest_id).unlink(missing_ok=True)
        except OSError as error:
            log.warning("manifest not removed", manifest_id=manifest_id, reason=str(error))

    def _from_shared(self, manifest_id: str) -> pb.Manifest | None:
        content = self._shared.get_manifest(manifest_id)
        if content is None:
            return None
        try:
            return pb.Manifest.FromString(content)
        except DecodeError:
            return None

    def _path(self, manifest_id: str) -> Path:
        return files.inside(self._folder, f"{manifest_id}{SUFFIX}")

    def _check(self, manifest: pb.Manifest) -> None:
        check_id(manifest.manifest_id, "manifest_id")
        if not manifest.tables:
            raise InvalidParameter("tables", "a manifest has at least one table")
        keep_until = convert.time_from_proto(manifest.keep_until_time, set_=True)
        if keep_until is None or keep_until <= self._clock.now():
            raise InvalidParameter("keep_until_time", "must lie in the future")
        values = binds.all_from_proto(manifest.binds)
        names: list[str] = []
        for table in manifest.tables:
            if check_table_name(table.name) in names:
                raise InvalidParameter("tables", f"two tables are named {table.name!r}")
            self._check_table(table, names, set(values))
            names.append(table.name)

    def _check_table(self, table: pb.ManifestTable, before: list[str], bound: set[str]) -> None:
        match table.WhichOneof("source"):
            case "slices":
                if not table.slices.frames:
                    raise InvalidParameter("slices", f"table {table.name!r} has no frame")
                for item in table.slices.frames:
                    _check_slice(item)
                if table.slices.clip:
                    tree = check.expression_of(table.slices.clip, self._parse)
                    _check_binds(check.binds_of(tree), bound)
            case "derived":
                select = check.select_of(table.derived.sql, self._parse)
                check.require_known(select, before)
                _check_binds(select.binds, bound)
                check_division(table.derived, self._parse)
            case _:
                raise InvalidParameter("tables", f"table {table.name!r} has no source")


def frame_ids(manifest: pb.Manifest) -> list[str]:
    """Return the ids of the frames that a manifest names, each once, in order."""
    slices = [item for table in manifest.tables for item in table.slices.frames]
    named = [item.frame_id for item in slices]
    named += [item.ids.frame_id for item in slices if item.HasField("ids")]
    return list(dict.fromkeys(named))


def derived_frame_id(manifest: pb.Manifest, table: pb.ManifestTable) -> str:
    """Return the id under which a derived table is kept; it changes with everything that its rows depend on."""
    rest = pb.Manifest(manifest_id=manifest.manifest_id, version=manifest.version, tables=manifest.tables)
    for name, value in manifest.binds.items():
        rest.binds[name].CopyFrom(value)
    digest = hashlib.sha256(rest.SerializeToString(deterministic=True))
    digest.update(table.name.encode())
    return f"derived-{digest.hexdigest()[:32]}"


def _keep_until(manifest: pb.Manifest) -> datetime:
    return manifest.keep_until_time.ToDatetime(tzinfo=UTC)


def _check_slice(item: pb.FrameSlice) -> None:
    check_id(item.frame_id)
    if item.HasField("ids"):
        check_id(item.ids.frame_id)
        if not item.ids.column:
            raise InvalidParameter("column", "ids need the column they compare")
    if (item.start or item.end) and not item.column:
        raise InvalidParameter("column", "a range needs the column it compares")
    for name, text in (("start", item.start), ("end", item.end)):
        try:
            if text:
                binds.timestamp(text)
        except ValueError as error:
            raise InvalidParameter(name, str(error)) from error


def _check_binds(used: frozenset[str], bound: set[str]) -> None:
    unbound = sorted(used - bound)
    if unbound:
        raise InvalidSql(f"${unbound[0]} is not bound by the manifest")
