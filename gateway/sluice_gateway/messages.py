"""Protobuf messages as the JSON of the HTTP contract, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from google.protobuf import struct_pb2, timestamp_pb2
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2

from sluice_gateway.body import JSON

JSONObject: TypeAlias = dict[str, JSON]

_TIERS = {table_pb2.TIER_MEMORY: "memory", table_pb2.TIER_REDIS: "redis", table_pb2.TIER_SPOOL: "spool"}
_COMPLETENESS = {
    table_pb2.COMPLETENESS_COMPLETE: "complete",
    table_pb2.COMPLETENESS_TRUNCATED: "truncated",
    table_pb2.COMPLETENESS_PARTIAL: "partial",
}


def struct(values: Mapping[str, JSON]) -> struct_pb2.Struct:
    """Return the JSON object as a Struct; integers become doubles."""
    message = struct_pb2.Struct()
    message.update(values)
    return message


def from_struct(message: struct_pb2.Struct) -> JSONObject:
    """Return the Struct as a JSON object by name, since its own order is chance; whole numbers become integers."""
    return {name: _value(value) for name, value in sorted(message.fields.items())}


def schema(message: struct_pb2.Struct) -> JSONObject:
    """Return the JSON Schema of an object, its properties in the order that `x-order` gives."""
    read = from_struct(message)
    match read:
        case {"properties": dict(properties), "x-order": list(order)}:
            read["properties"] = {str(name): properties[str(name)] for name in order}
    return read


def receipt(message: table_pb2.Receipt) -> JSONObject:
    """Return the receipt as every answer carries it.

    `resolution` stands only where values were typed, `stale` and `degraded` only where they are true.
    """
    flags: JSONObject = {name: True for name in ("stale", "degraded") if getattr(message, name)}
    resolution: JSONObject = {"resolution": _resolution(message.resolution)} if message.HasField("resolution") else {}
    return {
        "query_id": message.query_id,
        "status": _COMPLETENESS.get(message.status),
        "row_count": message.row_count,
        "read_time": _time(message.read_time) if message.HasField("read_time") else None,
        "expires_time": _time(message.expires_time) if message.HasField("expires_time") else None,
        "as_of_time": message.as_of_time or None,
        "tier": _TIERS.get(message.tier),
        "chunks": {
            "total": message.chunks.total,
            "reused": message.chunks.reused,
            "run": message.chunks.run,
            "failed": message.chunks.failed,
        },
        "warehouse_statements": message.warehouse_statement_count,
        "warehouse_row_count": message.warehouse_row_count,
        "failed_ranges": [_gap(gap) for gap in message.failed_ranges],
        "truncated_ranges": [_gap(gap) for gap in message.truncated_ranges],
        "plan": message.plan,
        **resolution,
        **flags,
    }


def _resolution(message: table_pb2.Resolution) -> JSONObject:
    expansion = message.expansion
    return {
        "part": message.part,
        "input_count": message.input_count,
        "resolved_count": message.resolved_count,
        "not_found": list(message.not_found),
        "not_found_count": message.not_found_count,
        "guardrail": {
            "max_container_count_per_value": expansion.max_container_count_per_value,
            "offenders": [
                {"value": item.value, "container_count": item.container_count} for item in expansion.offenders
            ],
            "offender_count": expansion.offender_count,
            "max_container_count": expansion.max_container_count,
            "over_container_limit": expansion.over_container_limit,
        },
    }


def query(message: pb.Query) -> JSONObject:
    """Return a query as it stands; `error` and `receipt` only where it has them."""
    body: JSONObject = {
        "query_id": message.query_id,
        "dataset": message.dataset,
        "parameters": from_struct(message.parameters),
        "status": state(message),
        "progress": progress(message.progress),
        "start_time": _time(message.start_time) if message.HasField("start_time") else None,
    }
    if message.HasField("receipt"):
        body["receipt"] = receipt(message.receipt)
    if message.error_code:
        body["error"] = {"code": message.error_code, "message": message.error_message}
    return body


def state(message: pb.Query) -> str:
    """Return `running`, `completed`, `partial`, `failed` or `cancelled`."""
    return pb.QueryState.Name(message.state).removeprefix("QUERY_STATE_").lower()


def progress(message: pb.Progress) -> JSONObject:
    """Return how far a query is, chunk by chunk."""
    return {
        "total_count": message.total_count,
        "completed_count": message.completed_count,
        "failed_count": message.failed_count,
        "percent": message.percent,
        "row_count": message.row_count,
        "remaining_s": message.remaining_s if message.HasField("remaining_s") else None,
        "chunks": [_chunk(chunk) for chunk in message.chunks],
    }


def plan(message: pb.PlanQueryResponse) -> JSONObject:
    """Return what a query would do."""
    return {
        "query_id": message.query_id,
        "parameters": from_struct(message.parameters),
        "plan": message.plan,
        "chunks": [
            {
                "index": chunk.index,
                **_range(chunk.part, chunk.start, chunk.end, chunk.id_count),
                "cached": chunk.cached,
                "reason": chunk.reason,
            }
            for chunk in message.chunks
        ],
        "warnings": list(message.warnings),
        "estimated_row_count": message.estimated_row_count if message.HasField("estimated_row_count") else None,
        "estimated_duration_s": message.estimated_duration_s if message.HasField("estimated_duration_s") else None,
    }


def page(message: pb.Page) -> JSONObject:
    """Return which page of how many."""
    return {
        "page": message.page,
        "page_size": message.page_size,
        "total_count": message.total_count,
        "page_count": message.page_count,
    }


def options(message: pb.ReadOptionsResponse) -> JSONObject:
    """Return the values of each filter under its name."""
    return {
        "query_id": message.receipt.query_id,
        "receipt": receipt(message.receipt),
        "options": {
            entry.filter: {
                "values": [{"value": option.value, "row_count": option.row_count} for option in entry.values],
                "truncated": entry.truncated,
            }
            for entry in message.options
        },
    }


def dataset(message: pb.Dataset) -> JSONObject:
    """Return a dataset's definition."""
    return {
        "name": message.name,
        "route": message.route,
        "title": message.title,
        "description": message.description,
        "version": message.version,
        "day_rule": message.day_rule,
        "max_range_days": message.max_range_days,
        "parameters": schema(message.parameters_schema),
        "filters": schema(message.filters_schema),
        "initial_views": list(message.initial_views),
        "views": [_view(view) for view in message.views],
        "kind": pb.DatasetKind.Name(message.kind).removeprefix("DATASET_KIND_").lower(),
        "modes": [
            {"name": mode.name, "required": list(mode.required), "refused": list(mode.refused)}
            for mode in message.modes
        ],
        "modes_parameter": message.modes_parameter or None,
        "labels": dict(message.labels),
        "descriptions": dict(message.descriptions),
        "day_rules": dict(message.day_rules),
    }


def _view(message: pb.View) -> JSONObject:
    return {
        "name": message.name,
        "title": message.title,
        "description": message.description,
        "chart": message.chart or None,
        "paged": message.paged,
        "filters": list(message.filters),
        "sort_keys": [{"name": key.name, "descending": key.descending} for key in message.sort_keys],
        "columns": [_column(column) for column in message.columns],
        "parameters": schema(message.parameters_schema),
        "selects": message.selects or None,
        "labels": dict(message.labels),
        "measure": message.measure or None,
        "note": dict(message.note),
    }


def _column(message: pb.Column) -> JSONObject:
    role = pb.ColumnRole.Name(message.role).removeprefix("COLUMN_ROLE_").lower()
    return {
        "name": message.name,
        "type": message.type,
        "title": message.title,
        "description": message.description,
        "role": None if role == "unspecified" else role,
        "unit": message.unit or None,
        "scale": message.scale if message.HasField("scale") else None,
        "aggregate": message.aggregate or None,
        "filter": message.filter or None,
        "labels": dict(message.labels),
    }


def _chunk(message: pb.ChunkProgress) -> JSONObject:
    return {
        "index": message.index,
        **_range(message.part, message.start, message.end, message.id_count),
        "state": pb.ChunkState.Name(message.state).removeprefix("CHUNK_STATE_").lower(),
        "row_count": message.row_count,
        "code": message.code or None,
    }


def _gap(message: table_pb2.Gap) -> JSONObject:
    return {**_range(message.part, message.start, message.end, message.id_count), "code": message.code}


def _range(part: str, start: str, end: str, id_count: int) -> JSONObject:
    if id_count:
        return {"part": part, "id_count": id_count}
    return {"part": part, "start": start or None, "end": end or None}


def _time(message: timestamp_pb2.Timestamp) -> str:
    return message.ToJsonString()


def _value(message: struct_pb2.Value) -> JSON:
    kind = message.WhichOneof("kind")
    if kind == "struct_value":
        return from_struct(message.struct_value)
    if kind == "list_value":
        return [_value(item) for item in message.list_value.values]
    if kind == "number_value":
        number = message.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return message.string_value
    return message.bool_value if kind == "bool_value" else None
