"""Names that follow from what is asked: of a query, and of the series of chunks that queries share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sluice_query_engine.planning.query_hash import HASH_LENGTH, compute_query_hash

_QUERY_ID: Final = re.compile(rf"[0-9a-f]{{{HASH_LENGTH}}}")


def query_id_of(dataset: str, version: int, parameters: Mapping[str, object]) -> str:
    """Return the id of a query; the same question has the same id, today and on every machine."""
    return compute_query_hash({"dataset": dataset, "version": version, "parameters": parameters})


def series_of(dataset: str, version: int, part: str, parameters: Mapping[str, object]) -> str:
    """Return the id of a series: chunks that differ in time only.

    Args:
        dataset: its name.
        version: its version, so that changed columns never meet old chunks.
        part: the part whose rows the chunks hold.
        parameters: canonical parameters without those that say when.
    """
    return compute_query_hash({"dataset": dataset, "version": version, "part": part, "parameters": parameters})


def well_formed(query_id: str) -> bool:
    """Return whether the text could be a query id."""
    return _QUERY_ID.fullmatch(query_id) is not None
