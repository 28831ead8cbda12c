"""What the OpenAPI document says of lineage, containers and events."""

from __future__ import annotations

from dataclasses import dataclass

from sluice_gateway.lineage_inputs import KINDS, MAX_DEPTH, MAX_ID_LENGTH
from sluice_gateway.messages import JSONObject

_TEXT: JSONObject = {"type": "string", "maxLength": MAX_ID_LENGTH}
_IDS: JSONObject = {"type": "array", "items": _TEXT}
_DEPTH: JSONObject = {"type": "integer", "minimum": 1, "maximum": MAX_DEPTH}
_COUNT: JSONObject = {"type": "integer", "minimum": 1}
_FLAG: JSONObject = {"type": "boolean"}


@dataclass(frozen=True)
class PostCall:
    """A call by POST: the group it is shown in, what it answers, and its body."""

    tag: str
    summary: str
    body: JSONObject


def _body(required: list[str], **members: JSONObject) -> JSONObject:
    return {
        "type": "object",
        "required": [*required],
        "properties": {**members, "refresh": {"type": "boolean"}},
        "additionalProperties": False,
    }


LINEAGE_CALLS: dict[str, PostCall] = {
    "/api/containers/resolve": PostCall(
        "Containers",
        "Containers that values mean: JSON, or their rows as Arrow",
        _body(["kind", "values"], kind={"type": "string", "enum": [*KINDS]}, values=_IDS),
    ),
    "/api/lineage/ancestors": PostCall(
        "Lineage", "Split ancestors of containers", _body(["container_ids"], container_ids=_IDS, max_depth=_DEPTH)
    ),
    "/api/lineage/descendants": PostCall(
        "Lineage",
        "Lots split from containers",
        _body(["container_ids"], container_ids=_IDS, max_depth=_DEPTH, max_node_count=_COUNT),
    ),
    "/api/lineage/merge-sources": PostCall(
        "Lineage", "What was merged into containers", _body(["container_ids"], container_ids=_IDS)
    ),
    "/api/lineage/merge-targets": PostCall(
        "Lineage", "What containers were merged into", _body(["container_ids"], container_ids=_IDS)
    ),
    "/api/lineage/leaf-serials": PostCall(
        "Lineage", "Serial numbers that containers went into", _body(["container_ids"], container_ids=_IDS)
    ),
    "/api/lineage/forward-tree": PostCall(
        "Lineage",
        "Whole families of containers: JSON, or one table as Arrow",
        _body(
            ["container_ids"],
            container_ids=_IDS,
            max_depth=_DEPTH,
            max_node_count=_COUNT,
            table={"type": "string", "enum": ["edges", "nodes", "seeds", "serials", "truncated"]},
        ),
    ),
    "/api/lineage/genealogy": PostCall(
        "Lineage",
        "Everything containers came from: JSON, or one table as Arrow",
        _body(
            ["container_ids"],
            container_ids=_IDS,
            max_depth=_DEPTH,
            max_merge_hop_count=_DEPTH,
            max_node_count=_COUNT,
            table={"type": "string", "enum": ["edges", "nodes", "ancestors", "seeds", "truncated"]},
        ),
    ),
    "/api/events/{domain}": PostCall(
        "Events",
        "Events of containers: records by container, or Arrow",
        _body(["container_ids"], container_ids=_IDS, allow_partial=_FLAG),
    ),
}
