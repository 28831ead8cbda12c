"""The dataset that docs/datasets.md spells out, taken out of its fenced blocks as a reader would."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

NAME = "repair-jobs"
_PAGE = Path(__file__).resolve().parents[1] / "docs" / "datasets.md"


def page_files() -> Mapping[str, str]:
    """Return the text of each file by its path in the folder, in the order of the page."""
    text = _PAGE.read_text(encoding="utf-8")
    return dict(re.findall(r"^`([\w/.]+)`\n\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def write_page_dataset(datasets_dir: Path) -> None:
    """Create the folder with its files."""
    for name, text in page_files().items():
        path = datasets_dir / NAME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
