"""A file system of this machine whose every step can be watched, refused, or be the process's last."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

Before = Callable[[str, str], None]
"""Called with the name of a step and its path before the step is taken; may raise, or end the process."""


def faulty_disk(before: Before) -> fs.FileSystem:
    """Return the machine's file system with `before` in front of every step that changes something, and of reads."""
    return fs.PyFileSystem(_Handler(before))


class _Handler(fs.FileSystemHandler):  # type: ignore[misc]  # pyarrow has no types
    def __init__(self, before: Before) -> None:
        self._before = before
        self._inner = fs.LocalFileSystem()

    def get_type_name(self) -> str:
        return "faulty"

    def normalize_path(self, path: str) -> str:
        return str(self._inner.normalize_path(path))

    def get_file_info(self, paths: Sequence[str]) -> Any:
        return self._inner.get_file_info(paths)

    def get_file_info_selector(self, selector: fs.FileSelector) -> Any:
        self._before("list", selector.base_dir)
        return self._inner.get_file_info(selector)

    def create_dir(self, path: str, recursive: bool) -> None:
        self._inner.create_dir(path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        self._inner.delete_dir(path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        self._inner.delete_dir_contents(path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self) -> None:
        raise OSError("nobody empties the whole machine")

    def delete_file(self, path: str) -> None:
        self._before("delete", path)
        self._inner.delete_file(path)

    def move(self, src: str, dest: str) -> None:
        self._before("move", src)
        self._inner.move(src, dest)
        self._before("moved", dest)

    def copy_file(self, src: str, dest: str) -> None:
        self._inner.copy_file(src, dest)

    def open_input_stream(self, path: str) -> pa.NativeFile:
        self._before("open", path)
        return self._inner.open_input_stream(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        self._before("open", path)
        return self._inner.open_input_file(path)

    def open_output_stream(self, path: str, metadata: object) -> pa.NativeFile:
        self._before("create", path)
        return pa.PythonFile(_Written(path, self._before), mode="w")

    def open_append_stream(self, path: str, metadata: object) -> pa.NativeFile:
        raise OSError("the spool never appends")


class _Written(io.RawIOBase):
    """A file whose every write is a step."""

    def __init__(self, path: str, before: Before) -> None:
        self._path = path
        self._before = before
        self._file = Path(path).open("wb", buffering=0)  # noqa: SIM115  # closed with this one

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._before("write", self._path)
        view = memoryview(data)
        self._file.write(view)
        return view.nbytes

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
