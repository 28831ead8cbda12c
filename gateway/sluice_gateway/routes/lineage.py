"""Lot genealogy: container ids in, graph out."""

from __future__ import annotations

from sluice_rpc.errors import FieldViolation, InvalidParameter
from starlette.requests import Request
from starlette.responses import Response

from sluice_gateway import body, messages, render
from sluice_gateway.body import JSON
from sluice_gateway.connection import while_connected
from sluice_gateway.engine import Lineage
from sluice_gateway.errors import shortened
from sluice_gateway.identity import Identity

_MAX_DEPTH = 20
_ID_CHARS = 200


class LineageRoutes:
    """`/api/lineage`."""

    def __init__(self, lineage: Lineage, identity: Identity, max_body_bytes: int) -> None:
        self._lineage = lineage
        self._identity = identity
        self._max_body_bytes = max_body_bytes

    async def ancestors(self, request: Request) -> Response:
        """Walk from each container up through the lots it was split from."""
        given = await body.read_object(request, self._max_body_bytes)
        container_ids, max_depth = _asked(given)
        answer = await while_connected(
            request.receive,
            self._lineage.split_ancestors(container_ids, max_depth, self._identity.of(request)),
        )
        content: messages.JSONObject = {
            "child_to_parent": dict(answer.child_to_parent),
            "container_names": dict(answer.container_names),
            "not_found_ids": list(answer.not_found_ids),
            "truncated_ids": list(answer.truncated_ids),
            "receipt": messages.receipt(answer.receipt),
        }
        return Response(render.dumps(content), media_type="application/json")


def _asked(given: dict[str, JSON]) -> tuple[list[str], int]:
    wrong = [
        FieldViolation(shortened(name), "is unknown; known are container_ids, max_depth")
        for name in given
        if name not in ("container_ids", "max_depth")
    ]
    ids = given.get("container_ids")
    depth = given.get("max_depth", _MAX_DEPTH)
    container_ids = [item for item in ids if isinstance(item, str)] if isinstance(ids, list) else []
    if not isinstance(ids, list) or len(container_ids) != len(ids):
        wrong.append(FieldViolation("container_ids", "must be a list of texts"))
    elif any(len(item) > _ID_CHARS for item in container_ids):
        wrong.append(FieldViolation("container_ids", f"holds an id longer than {_ID_CHARS} characters"))
    if not isinstance(depth, int) or isinstance(depth, bool) or not 1 <= depth <= _MAX_DEPTH:
        wrong.append(FieldViolation("max_depth", f"must be a whole number from 1 to {_MAX_DEPTH}"))
    if wrong or not isinstance(depth, int):
        raise InvalidParameter.of(wrong)
    return container_ids, depth
