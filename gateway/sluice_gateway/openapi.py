"""The OpenAPI document: every call, spelt out for each dataset that is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluice_gateway.body import JSON
from sluice_gateway.definitions import Definition
from sluice_gateway.messages import JSONObject
from sluice_gateway.openapi_lineage import LINEAGE_CALLS, PostCall
from sluice_gateway.problems import MEDIA_TYPE

_QUERY_ID: JSONObject = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
_TEXT: JSONObject = {"type": "string"}
_PAGING: dict[str, JSONObject] = {
    "page": {"type": "integer", "minimum": 1},
    "page_size": {"type": "integer", "minimum": 1, "maximum": 200},
    "sort": _TEXT,
    "order": {"type": "string", "enum": ["asc", "desc"]},
}


def document(definitions: Sequence[Definition], root_path: str) -> JSONObject:
    """Return the document as OpenAPI 3.0, the newest version that the bundled viewer shows."""
    paths: dict[str, JSON] = {
        "/api/datasets": {"get": _call("Datasets", "Definitions of all datasets and the plant's clock")},
        "/api/datasets/{name}": {"get": _call("Datasets", "Definition of one dataset", [_in_path("name", _TEXT)])},
        "/api/datasets/{name}/computation": {
            "get": _call("Datasets", "What its views and filters compute, as SQL", [_in_path("name", _TEXT)]),
        },
        **_query_paths(),
        **{path: {"post": _lineage_call(path, call)} for path, call in LINEAGE_CALLS.items()},
        "/api/events": {"get": _call("Events", "Domains of events and the columns of their answers")},
        **_saved_paths(),
        "/api/me": {"get": _call("Operations", "Who am I")},
        "/api/ops/permits": {"get": _call("Operations", "Permits of each process, and who holds one")},
        "/api/ops/queries": {"get": _call("Operations", "Queries that run, for whom and how far")},
        "/health": {"get": _call("Operations", "How the whole is, what is wrong, and each part")},
        "/health/ready": {"get": _call("Operations", "200 when every process serves")},
        "/health/live": {"get": _call("Operations", "200 while this process runs")},
    }
    for definition in definitions:
        paths.update(_dataset_paths(definition))
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Sluice",
            "version": "1",
            "description": "Ask the warehouse once, look many times. Errors are RFC 9457 problems.",
        },
        "servers": [{"url": root_path or "/"}],
        "paths": paths,
    }


def _query_paths() -> dict[str, JSON]:
    return {
        "/api/queries/{query_id}": {
            "get": _call("Queries", "A query as it stands", [_in_path("query_id", _QUERY_ID)]),
            "delete": _call(
                "Queries",
                "Withdraw from a query",
                [_in_path("query_id", _QUERY_ID), _in_query("force", {"type": "boolean"})],
            ),
        },
        "/api/queries/{query_id}/events": {
            "get": _call("Queries", "Progress as server-sent events", [_in_path("query_id", _QUERY_ID)])
        },
        "/api/queries/{query_id}/retry": {
            "post": _call(
                "Queries",
                "Run what is missing, or of what failed one chunk",
                [_in_path("query_id", _QUERY_ID), _in_query("chunk", {"type": "integer", "minimum": 0})],
            )
        },
    }


def _dataset_paths(definition: Definition) -> dict[str, JSON]:
    prefix = f"/api/{definition.route}"
    tag = str(definition.json["title"])
    wanted = definition.json["parameters"]
    parameters: JSON = wanted if isinstance(wanted, dict) else {}
    filters = [_in_query(name, schema) for name, schema in definition.filters.items()]
    query_id = _in_query("query_id", _QUERY_ID, required=True)
    view = _in_query("view", {"type": "array", "items": {"type": "string", "enum": [*definition.views]}})
    paging = [_in_query(name, schema) for name, schema in _PAGING.items()]
    formats = _in_query("format", {"type": "string", "enum": ["csv", "parquet", "arrow", "xlsx"]})
    stored = _in_query("format", {"type": "string", "enum": ["arrow", "parquet"]})
    return {
        f"{prefix}/plan": {"post": _call(tag, "What a query would do", body=parameters)},
        f"{prefix}/query": {"post": _call(tag, "Start or join a query", body=_with_look(definition))},
        f"{prefix}/view": {"get": _call(tag, "Views of a finished query", [query_id, view, *filters, *paging])},
        f"{prefix}/options": {"get": _call(tag, "Values of each filter", [query_id, *filters])},
        f"{prefix}/export": {"get": _call(tag, "Every row of a view", [query_id, view, *filters, formats])},
        f"{prefix}/frame": {"get": _call(tag, "A stored table", [query_id, _in_query("table", _TEXT), stored])},
    }


def _with_look(definition: Definition) -> JSONObject:
    """The body of a query: parameters, and beside them how the first look is wanted."""
    required = definition.json["parameters"]
    members: dict[str, JSON] = {**definition.parameters, **definition.filters, **_PAGING}
    members["views"] = {"type": "array", "items": {"type": "string", "enum": [*definition.views]}}
    return {
        "type": "object",
        "properties": members,
        "required": required.get("required", []) if isinstance(required, dict) else [],
    }


def _lineage_call(path: str, call: PostCall) -> JSONObject:
    in_path = [_in_path("domain", _TEXT)] if "{domain}" in path else []
    return _call(call.tag, call.summary, in_path, body=call.body)


def _saved_paths() -> dict[str, JSON]:
    text: JSONObject = {"type": "string"}
    link: dict[str, JSON] = {"type": "object", "required": ["path"], "properties": {"path": text}}
    members: dict[str, JSON] = {"path": text, "name": text, "note": text, "shared": {"type": "boolean"}}
    view: dict[str, JSON] = {"type": "object", "required": ["path", "name"], "properties": members}
    by_id = [_in_path("id", _TEXT)]
    return {
        "/api/saved": {
            "get": _call("Saved", "Views that the caller keeps, and those that others share"),
            "post": _call("Saved", "Keep a view of the web page under a name", body=view),
        },
        "/api/saved/{id}": {
            "get": _call("Saved", "A saved view", by_id),
            "put": _call("Saved", "Keep something else under the id of a view of one's own", by_id, body=view),
            "delete": _call("Saved", "Forget a view of one's own", by_id),
        },
        "/api/permalinks": {"post": _call("Saved", "A short link to a long address of the web page", body=link)},
        "/api/permalinks/{id}": {"get": _call("Saved", "The address behind a short link", by_id)},
    }


def _call(tag: str, summary: str, parameters: Sequence[JSONObject] = (), *, body: JSON = None) -> JSONObject:
    call: JSONObject = {
        "tags": [tag],
        "summary": summary,
        "parameters": [*parameters],
        "responses": {
            "200": {"description": "The answer"},
            "default": {"description": "A problem", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}},
        },
    }
    if body is not None:
        call["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return call


def _in_query(name: str, schema: Mapping[str, JSON], *, required: bool = False) -> JSONObject:
    return {"name": name, "in": "query", "required": required, "schema": dict(schema)}


def _in_path(name: str, schema: Mapping[str, JSON]) -> JSONObject:
    return {"name": name, "in": "path", "required": True, "schema": dict(schema)}
