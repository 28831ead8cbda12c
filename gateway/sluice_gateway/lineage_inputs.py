"""Bodies of lineage, container and event requests: checked, every fault named at once, before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sluice.lineage.v1 import container_service_pb2 as containers_pb
from sluice.lineage.v1 import limits_pb2
from sluice_rpc.errors import FieldViolation, InvalidParameter
from starlette.requests import Request

from sluice_gateway import body, preference
from sluice_gateway.body import JSON
from sluice_gateway.errors import shortened

MAX_ID_LENGTH: Final = int(limits_pb2.LIMIT_ID_LENGTH)
MAX_DEPTH: Final = int(limits_pb2.LIMIT_WALK_ROW_COUNT)
MAX_COUNT: Final = 2**31 - 1

KINDS: Final[Mapping[str, containers_pb.ContainerKind.ValueType]] = {
    name.removeprefix("CONTAINER_KIND_").lower(): number
    for name, number in containers_pb.ContainerKind.items()
    if number != containers_pb.CONTAINER_KIND_UNSPECIFIED
}
"""By name, as people choose one."""

_MAX_VIOLATION_COUNT: Final = 20


@dataclass
class LineageInput:
    """The members of a body, taken one by one; `check` at the end refuses what was wrong and what was not taken.

    Attributes:
        given: the members.
        no_cache: whether the request refuses what is kept by its header.
    """

    given: dict[str, JSON]
    no_cache: bool = False
    _known: list[str] = field(default_factory=list)
    _wrong: list[FieldViolation] = field(default_factory=list)

    @staticmethod
    async def of(request: Request, max_body_bytes: int) -> LineageInput:
        """Return the body of a request. Raises as `body.read_object`."""
        given = await body.read_object(request, max_body_bytes)
        return LineageInput(given, preference.refuses_cache(request.headers.getlist("cache-control")))

    def refresh(self) -> bool:
        """Return whether what is kept shall be read again, by body or by header."""
        return bool(self.flag("refresh")) or self.no_cache

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, which must be there; each at most as long as an id."""
        value = self._take(name, None)
        if not isinstance(value, list):
            self._wrong.append(FieldViolation(name, "must be a list of texts"))
            return []
        texts = [item for item in value if isinstance(item, str)]
        if len(texts) != len(value):
            self._wrong.append(FieldViolation(name, "must be a list of texts"))
            return []
        too_long = [place for place, text in enumerate(texts) if len(text.strip()) > MAX_ID_LENGTH]
        said = f"is longer than {MAX_ID_LENGTH} characters"
        self._wrong.extend(FieldViolation(f"{name}[{place}]", said) for place in too_long[:_MAX_VIOLATION_COUNT])
        return [text.strip() for text in texts]

    def count(self, name: str, default: int, most: int) -> int:
        """Return a whole number from 1."""
        value = self._take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            self._wrong.append(FieldViolation(name, f"must be a whole number from 1 to {most:,}"))
            return default
        return value

    def flag(self, name: str) -> bool | None:
        """Return true or false; None where it is not said."""
        value = self._take(name, None)
        if value is not None and not isinstance(value, bool):
            self._wrong.append(FieldViolation(name, "must be true or false"))
            return None
        return value

    def choice(self, name: str, choices: Mapping[str, int], default: str = "") -> str:
        """Return one of several texts, which must be there unless there is a default."""
        value = self._take(name, default)
        if not isinstance(value, str) or value not in choices:
            self._wrong.append(FieldViolation(name, f"must be one of {', '.join(choices)}"))
            return default
        return value

    def check(self) -> None:
        """Return if all is well.

        Raises:
            InvalidParameter: naming each member at fault.
        """
        known = ", ".join(self._known)
        unknown = [
            FieldViolation(shortened(name), f"is unknown; known are {known}")
            for name in self.given
            if name not in self._known
        ]
        wrong = [*unknown, *self._wrong][:_MAX_VIOLATION_COUNT]
        if wrong:
            raise InvalidParameter.of(wrong)

    def _take(self, name: str, default: JSON) -> JSON:
        self._known.append(name)
        return self.given.get(name, default)
