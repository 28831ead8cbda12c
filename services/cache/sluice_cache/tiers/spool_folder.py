"""The spool's files on any file system that `pyarrow.fs` speaks to: by plain name, whole or not at all."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import fs

from sluice_cache import files, seals
from sluice_cache.seals import Seal

DATA_SUFFIX: Final = ".parquet"
POINTER_SUFFIX: Final = ".json"
_IDENTITY: Final = ".identity"


@dataclass(frozen=True)
class Listed:
    """A file of the spool as a listing shows it; `changed_time` in UTC."""

    name: str
    bytes: int
    changed_time: datetime

    @property
    def is_temporary(self) -> bool:
        return self.name.endswith(files.TEMP_SUFFIX)

    @property
    def is_data(self) -> bool:
        return self.name.endswith(DATA_SUFFIX)

    @property
    def is_pointer(self) -> bool:
        return self.name.endswith(POINTER_SUFFIX)


class SpoolFolder:
    """One folder of a file system.

    Args:
        disk: the file system.
        root: the folder on it; empty where the file system itself ends there.
        local: the same folder as a path of this machine, if it is one: then files are synced before they get their
            names, and DuckDB reads them in place.
        owner: names the process in what it has not completed, so that it can clear that away after its own death.
    """

    def __init__(self, disk: fs.FileSystem, root: str = "", *, local: Path | None = None, owner: str = "one") -> None:
        self._disk = disk
        self._root = root.rstrip("/")
        self._local = local
        self._owner = owner
        self._intact: set[str] = set()
        if self._root:
            disk.create_dir(self._root, recursive=True)

    @classmethod
    def on_disk(cls, folder: Path, owner: str = "one") -> SpoolFolder:
        """Return a folder of this machine."""
        return cls(fs.LocalFileSystem(), str(folder), local=folder, owner=owner)

    @property
    def in_place(self) -> bool:
        """Whether the files lie on this machine, where DuckDB reads them as they are."""
        return self._local is not None

    def path(self, name: str) -> str:
        """Return the path of a plain file name on the file system.

        Raises:
            ValueError: the name is not plain, or leads out of the folder.
        """
        files.check_name(name)
        if self._local is not None and (self._local / name).resolve().parent != self._local.resolve():
            raise ValueError(f"{name!r} leads out of its folder")
        return f"{self._root}/{name}" if self._root else name

    def local_path(self, name: str) -> Path | None:
        """Return the path on this machine, where there is one."""
        self.path(name)
        return self._local / name if self._local is not None else None

    def create(self, stem: str) -> SpoolFile:
        """Begin a data file under a private name; it will be called `stem`, its seal, and `.parquet`."""
        return SpoolFile(self, self._disk, stem, f"{stem}.{secrets.token_hex(4)}.{self._owner}{files.TEMP_SUFFIX}")

    def open(self, name: str) -> pa.NativeFile:
        """Open a file for reading.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self._disk.open_input_file(self.path(name))

    def has(self, name: str) -> bool:
        """Return whether a file is there."""
        return bool(self._disk.get_file_info(self.path(name)).type is fs.FileType.File)

    def intact(self, name: str) -> bool:
        """Return whether a data file is the one that its name was given to; its bytes are read at the first asking.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        local = self.local_path(name)
        if local is not None and not seals.intact(local):
            self._intact.discard(name)
            return False
        seal = seals.seal_of(name)
        if seal is None:
            return False
        if name not in self._intact:
            with self.open(name) as file:
                if seals.crc_of(file) != seal.crc:
                    return False
            self._intact.add(name)
        return True

    def point(self, data_name: str, content: bytes) -> None:
        """Write the pointer of a data file, which says whose rows it holds and until when; replaces an earlier one."""
        pointer = pointer_of(data_name)
        temporary = f"{pointer}.{secrets.token_hex(4)}.{self._owner}{files.TEMP_SUFFIX}"
        with self._disk.open_output_stream(self.path(temporary)) as sink:
            sink.write(content)
        self._disk.move(self.path(temporary), self.path(pointer))

    def pointer(self, data_name: str) -> bytes | None:
        """Return the pointer of a data file, or None when it has none."""
        try:
            with self.open(pointer_of(data_name)) as file:
                content: bytes = file.read()
        except FileNotFoundError:
            return None
        return content

    def remove(self, data_name: str) -> None:
        """Remove a data file and its pointer, the pointer first; removing what is not there succeeds."""
        self.discard(pointer_of(data_name))
        self.discard(data_name)
        self._intact.discard(data_name)

    def discard(self, name: str) -> None:
        """Remove one file; removing what is not there succeeds."""
        with suppress(FileNotFoundError):
            self._disk.delete_file(self.path(name))

    def listed(self) -> list[Listed]:
        """Return every file of the folder."""
        return list(self._entries())

    def identity(self) -> str:
        """Return what names this folder, wherever it is seen from; made up at the first asking."""
        path = f"{self._root}/{_IDENTITY}" if self._root else _IDENTITY
        if self._disk.get_file_info(path).type is not fs.FileType.File:
            with self._disk.open_output_stream(path) as sink:
                sink.write(secrets.token_hex(8).encode())
        with self._disk.open_input_file(path) as file:
            return str(file.read().decode())

    def clear_own(self) -> int:
        """Remove what this process was writing when it died; nothing may be in the making."""
        left = [item.name for item in self._entries() if item.name.endswith(f".{self._owner}{files.TEMP_SUFFIX}")]
        for name in left:
            self.discard(name)
        return len(left)

    def sync(self, name: str) -> None:
        """Wait until a file's bytes are on the disk; object stores have them once they were closed."""
        local = self.local_path(name)
        if local is not None:
            files.sync(local)

    def publish(self, temporary: str, name: str, seal: Seal) -> None:
        """Give a complete file its name; readers see all of it or nothing."""
        local = self.local_path(temporary)
        if local is not None:
            os.utime(local, ns=(seal.stamp_ns, seal.stamp_ns))
        self.sync(temporary)
        self._disk.move(self.path(temporary), self.path(name))
        if self._local is not None:
            files.sync(self._local)

    def _entries(self) -> Iterator[Listed]:
        for entry in self._disk.get_file_info(fs.FileSelector(self._root, allow_not_found=True)):
            if entry.type is fs.FileType.File and files.is_name(entry.base_name):
                yield Listed(entry.base_name, entry.size, entry.mtime.astimezone(UTC))


class SpoolFile:
    """A data file in the making; invisible to readers until it has its name."""

    def __init__(self, folder: SpoolFolder, disk: fs.FileSystem, stem: str, temporary: str) -> None:
        self._folder = folder
        self._stem = stem
        self._temporary = temporary
        self.sink: pa.NativeFile = disk.open_output_stream(folder.path(temporary))

    def publish(self) -> str:
        """Complete the file and return its name."""
        self.sink.close()
        with self._folder.open(self._temporary) as written:
            seal = Seal(time.time_ns(), seals.crc_of(written))
        name = f"{self._stem}.{seal}{DATA_SUFFIX}"
        self._folder.publish(self._temporary, name, seal)
        return name

    def abort(self) -> None:
        """Leave nothing behind; harmless after `publish`."""
        with suppress(OSError):
            # A disk that is full or gone may refuse what was still to be written; the file goes all the same.
            self.sink.close()
        self._folder.discard(self._temporary)


def pointer_of(data_name: str) -> str:
    """Return the name of a data file's pointer."""
    return data_name.removesuffix(DATA_SUFFIX) + POINTER_SUFFIX


def data_of(pointer_name: str) -> str:
    """Return the name of a pointer's data file."""
    return pointer_name.removesuffix(POINTER_SUFFIX) + DATA_SUFFIX
