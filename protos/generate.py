"""Writes protos/gen, the committed stubs, from protos/sluice; nothing else writes there.

Run by `make proto`; tests/repo/test_stubs.py runs it into a temporary folder and compares.
"""

from __future__ import annotations

import importlib.resources
import shutil
import sys
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

SOURCE = Path(__file__).resolve().parent


def generate(out: Path) -> None:
    """Write the stubs of every proto file below `out`, replacing what is there.

    Raises:
        RuntimeError: protoc refused a file; its message is on stderr.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    files = sorted(SOURCE.glob("sluice/**/*.proto"))
    services = [path for path in files if "\nservice " in path.read_text(encoding="utf-8")]
    _protoc([f"--python_out={out}", f"--mypy_out=quiet:{out}"], files)
    _protoc([f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}"], services)
    for folder in sorted(path for path in (out / "sluice", *(out / "sluice").rglob("*")) if path.is_dir()):
        (folder / "__init__.py").touch()
    (out / "sluice" / "py.typed").touch()


def _protoc(outputs: list[str], files: list[Path]) -> None:
    plugins = [
        f"--plugin={name}={Path(sys.executable).parent / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
    ]
    well_known = importlib.resources.files(grpc_tools) / "_proto"
    arguments = ["protoc", f"-I{SOURCE}", f"-I{well_known}", *plugins, *outputs]
    if protoc.main([*arguments, *(str(path) for path in files)]) != 0:
        raise RuntimeError("protoc failed")


if __name__ == "__main__":
    generate(SOURCE / "gen")
