"""One folder of a run in which engines note what datasets compile to; without it each start compiles them all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

import pytest

_VARIABLE: Final = "SLUICE_QUERY_ENGINE_COMPILED_DIR"


def compiled_dir() -> Path | None:
    """Return the folder of this run; None outside of one."""
    folder = os.environ.get(_VARIABLE)
    return None if folder is None else Path(folder)


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder where the run begins; its workers, and every engine they start, inherit the variable."""
    if hasattr(config, "workerinput"):
        return
    environment = pytest.MonkeyPatch()
    folder = tempfile.mkdtemp(prefix="sluice-compiled-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    config.add_cleanup(environment.undo)
    environment.setenv(_VARIABLE, folder)
