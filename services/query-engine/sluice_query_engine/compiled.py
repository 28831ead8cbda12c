"""What the SQL of datasets yields, remembered by content: a folder that compiled once need not compile at every start.

What is remembered holds for exactly the same bytes: the dataset's files, all references, this package, and the versions
of the libraries that read SQL; limits, which settings may change, have no part in what SQL yields. Whatever else is
found is compiled, as if nothing had been remembered.
"""

from __future__ import annotations

import functools
import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import pyarrow as pa
import sluice_warehouse
import structlog

from sluice_query_engine.dataset import Dataset

log = structlog.get_logger()

_LIBRARIES: Final = ("duckdb", "pyarrow", "sqlglot")
_PROGRAMS: Final = (Path(__file__).parent, Path(sluice_warehouse.__file__ or "").parent)
_SUFFIX: Final = ".schemas"
_DIGEST_SIZE: Final = 32


class CompiledSchemas:
    """The output columns of datasets, compiled or remembered.

    Args:
        directory: holds one file for each dataset, made if it is missing; None remembers nothing.
        references: the reference folders that the datasets were read with.
    """

    def __init__(self, directory: Path | None = None, references: Sequence[Path] = ()) -> None:
        self._directory = directory
        self._same = b"" if directory is None else _digest([_readers(), *map(_files, references)])

    def of(self, dataset: Dataset, folder: Path) -> Mapping[str, pa.Schema]:
        """Return the output columns of each view, and of the main table under its own name.

        Raises:
            CatalogError: as `compile_dataset`.
        """
        if self._directory is None:
            return _compiled(dataset, folder)
        path = self._directory / f"{dataset.name}{_SUFFIX}"
        key = _digest([self._same, _files(folder)])
        remembered = _read(path, key)
        if remembered is not None:
            return remembered
        schemas = _compiled(dataset, folder)
        _write(path, key, schemas)
        return schemas


def _compiled(dataset: Dataset, folder: Path) -> Mapping[str, pa.Schema]:
    # Whoever remembers everything needs no parser of SQL.
    from sluice_query_engine.compilation import compile_dataset

    return compile_dataset(dataset, folder)


def _read(path: Path, key: bytes) -> Mapping[str, pa.Schema] | None:
    """Return what is remembered under a key; None where nothing is, or another content, or a damaged file."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    written, digest, body = (
        content[:_DIGEST_SIZE],
        content[_DIGEST_SIZE : 2 * _DIGEST_SIZE],
        content[2 * _DIGEST_SIZE :],
    )
    if written != key or hashlib.sha256(body).digest() != digest:
        return None
    together = pa.ipc.read_schema(pa.py_buffer(body))
    return {
        field.name: pa.schema([field.type.field(index) for index in range(field.type.num_fields)]) for field in together
    }


def _write(path: Path, key: bytes, schemas: Mapping[str, pa.Schema]) -> None:
    # A struct for each table makes one schema of all.
    together = pa.schema([pa.field(name, pa.struct(list(schema))) for name, schema in schemas.items()])
    body = together.serialize().to_pybytes()
    # Engines in containers share process ids, and may share the folder.
    draft = path.with_suffix(f".{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(key + hashlib.sha256(body).digest() + body)
        draft.replace(path)
    except OSError as error:
        log.warning("compiled dataset not remembered", path=str(path), reason=error.strerror)


@functools.cache
def _readers() -> bytes:
    """Return a digest of who reads the SQL: our own code and the versions of the libraries; a process has one."""
    versions = " ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES)
    return _digest([versions.encode(), *(_digest_of(home, sorted(home.rglob("*.py"))) for home in _PROGRAMS)])


def _files(folder: Path) -> bytes:
    return _digest_of(folder, sorted(path for path in folder.rglob("*") if path.is_file()))


def _digest_of(folder: Path, paths: Iterable[Path]) -> bytes:
    return _digest(text for path in paths for text in (path.relative_to(folder).as_posix().encode(), path.read_bytes()))


def _digest(parts: Iterable[bytes]) -> bytes:
    """Return a digest of parts that tells where each of them ends."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.digest()
