"""Refuses what is asked for by a name that nothing has, where a reference lists all there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog
from sluice_rpc import arrow
from sluice_rpc.errors import ServiceError

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.dataset import Dataset, KnownValues
from sluice_query_engine.execution.references import References
from sluice_query_engine.parameters import JSON
from sluice_query_engine.violations import Violations, one_of, shown

log = structlog.get_logger()

_TOLD: Final = 5
"""Unknown values that are spelt out."""


class KnownNames:
    """Compares parameters with the references that list their values.

    Args:
        references: finds and reads these.
        cache: where their rows are.
    """

    def __init__(self, references: References, cache: FrameCache) -> None:
        self._references = references
        self._cache = cache

    def check(self, dataset: Dataset, parameters: Mapping[str, JSON], client_id: str) -> None:
        """Check canonical parameters.

        A reference that cannot be read refuses nothing: what is asked may be there all the same, read before.

        Raises:
            InvalidParameter: naming the parameter, what is not known, and what is.
        """
        violations = Violations()
        for parameter in dataset.parameters:
            given = parameters.get(parameter.name)
            if parameter.known_in is None or not isinstance(given, list):
                continue
            known = self._known(parameter.known_in, client_id)
            unknown = [] if known is None else [value for value in given if value not in known]
            if unknown and known is not None:
                names = ", ".join(shown(value) for value in unknown[:_TOLD])
                rest = f" and {len(unknown) - _TOLD} more" if len(unknown) > _TOLD else ""
                violations.add(parameter.name, f"{names}{rest}: not known; there are {one_of(known)}")
        violations.raise_if_any()

    def _known(self, where: KnownValues, client_id: str) -> list[str] | None:
        """Return every value, sorted; None where they cannot be read."""
        try:
            pinned = self._references.pin(where.reference, client_id)
            with arrow.decode(self._cache.read_frame(pinned.frame_id)) as reader:
                values = reader.read_all()[where.column].to_pylist()
        except ServiceError as error:
            log.warning("names are not compared", reference=where.reference.name, reason=error.reason)
            return None
        return sorted({value for value in values if value is not None})
