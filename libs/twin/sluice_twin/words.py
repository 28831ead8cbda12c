"""The plant's vocabulary from `words.json`: site names are data, and every module that writes rows reads them here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

NON_QUALITY_REASONS: Final = (
    "Aged stock incoming check",
    "Keep 50 pcs, customer A",
    "Keep 50 pcs, customer B",
    "Process trial",
    "Development trial",
    "Dedicated machine only",
    "Full X-ray requested",
    "Special request control",
    "First mass lot confirmation",
    "Odd lot to be bundled",
    "Sample or prototype keep",
    "Line close stock count",
)
"""Hold reasons of the demo site that do not speak of quality; every other reason, and none at all, does."""


@cache
def _vocabulary() -> Mapping[str, object]:
    text = files(__package__).joinpath("words.json").read_text(encoding="utf-8")
    loaded: Mapping[str, object] = json.loads(text)
    return loaded


def words(topic: str) -> list[str]:
    """The names of one topic in their fixed order.

    Raises:
        KeyError: `words.json` has no such topic.
    """
    listed = _vocabulary()[topic]
    assert isinstance(listed, list)
    return listed


@cache
def work_center_groups() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Groups in process order: name, short name, work centres."""
    listed = _vocabulary()["groups"]
    assert isinstance(listed, list)
    return tuple((group["name"], group["short"], tuple(group["centers"])) for group in listed)


@cache
def people() -> tuple[str, ...]:
    """Full names of everyone who works in the plant."""
    return tuple(f"{first} {last}" for last in words("last_names") for first in words("first_names"))
